"""Looks at the files behind typed addresses, before a download. They are kept in memory for some minutes.

What a server sends at a look is no proof, so nothing of it reaches a store.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ..catalogue import CivitaiSource, HubSource, Source
from ..catalogue.source_text import typed_source
from ..errors import NoVaeError, RefusedError, UsageError, VaeManagerError, WholeRepositoryError
from ..messages import msg
from .addresses import NetworkFor, check

if TYPE_CHECKING:
    from ..transfer import ListedFile, RemoteInspection

__all__ = ["Look", "Looks", "SeenFile"]

AT_ONCE: Final = 4
"""Addresses that are looked at at the same time, by all visitors of the page."""
FILES_AT_ONCE: Final = 4
MAX_FILES: Final = 8
"""Files of an address that are looked at; the others are listed with their sizes."""
MAX_LIST_SECONDS: Final = 30.0
MAX_WAIT_SECONDS: Final = 60.0
MAX_QUEUE_SECONDS: Final = 10.0
"""Seconds that a look waits for one of `AT_ONCE`: its request holds a thread of the WebUI."""
KEPT_SECONDS: Final = 300.0
MAX_KEPT: Final = 50


@dataclass(frozen=True)
class SeenFile:
    """One of several files that an address means."""

    listed: ListedFile
    found: RemoteInspection | None = None
    """None if it was not looked at, or cannot be."""


@dataclass(frozen=True)
class Look:
    """The answer of a look: what the one file is, or a choice among several, or an error."""

    found: RemoteInspection | None = None
    files: Sequence[SeenFile] = ()
    error: VaeManagerError | None = None


@dataclass
class _Kept:
    since: float
    answer: Future[Look] = field(default_factory=Future)


class Looks:
    """Looks by address. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, bool], _Kept] = {}
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(AT_ONCE)

    def at(self, address: str, network: NetworkFor, *, remote_users: bool) -> Look:
        """Look at `address`, or return the answer of the last minutes; wait for one that is under way.

        `network` and `remote_users` are those of `addresses.typed`. A failure is an answer too, and is not kept.
        """
        key = address.strip(), remote_users
        with self._lock:
            kept, is_new = self._of(key), False
            if kept is None:
                kept, is_new = _Kept(time.monotonic()), True
                self._kept[key] = kept
                self._forget_oldest()
        if not is_new:
            return _awaited(kept) or Look(error=_busy())
        try:
            look = self._look(key[0], network, remote_users)
        except BaseException:
            look = Look(error=_busy())
            raise
        finally:
            if look.error is not None:
                with self._lock:
                    self._kept.pop(key, None)
            kept.answer.set_result(look)
        if look.error is None:
            self._keep_files(look, remote_users)
        return look

    def refusal(self, address: str, *, remote_users: bool, wait: bool = False) -> NoVaeError | None:
        """Return why the file at `address` is not to be downloaded; None if that is not known.

        No look is begun here; one that is under way is waited for only with `wait`.
        """
        from ..transfer import no_vae_error

        with self._lock:
            kept = self._of((address.strip(), remote_users))
        if kept is None or not (wait or kept.answer.done()):
            return None
        look = _awaited(kept)
        return no_vae_error(look.found) if look is not None and look.found is not None else None

    def _of(self, key: tuple[str, bool]) -> _Kept | None:
        kept = self._kept.get(key)
        return kept if kept is not None and time.monotonic() - kept.since < KEPT_SECONDS else None

    def _forget_oldest(self) -> None:
        while len(self._kept) > MAX_KEPT:
            del self._kept[min(self._kept, key=lambda key: self._kept[key].since)]

    def _keep_files(self, look: Look, remote_users: bool) -> None:
        """Keep the answer for each of several files: one of them is probably chosen next."""
        for file in look.files:
            if file.found is not None:
                kept = _Kept(time.monotonic())
                kept.answer.set_result(Look(file.found))
                with self._lock:
                    self._kept[str(file.listed.source), remote_users] = kept
                    self._forget_oldest()

    def _look(self, address: str, network: NetworkFor, remote_users: bool) -> Look:
        if not self._free.acquire(timeout=MAX_QUEUE_SECONDS):
            return Look(error=_busy())
        try:
            return _answer(address, network, remote_users)
        except VaeManagerError as error:
            return Look(error=error)
        finally:
            self._free.release()


def _awaited(kept: _Kept) -> Look | None:
    try:
        return kept.answer.result(MAX_WAIT_SECONDS)
    except FutureTimeoutError:
        return None


def _busy() -> RefusedError:
    return RefusedError(msg("Too many addresses are being looked at. Try again in a moment.", code="too-many-looks"))


def _answer(address: str, network: NetworkFor, remote_users: bool) -> Look:
    from ..transfer import inspect_remote, listed_files, version_files

    stop = threading.Event()
    try:
        source = typed_source(address, remote_users=remote_users, http_hosts=network(()).http_hosts)
    except WholeRepositoryError as whole:
        hub = HubSource(whole.repo, whole.folder, whole.revision)
        files = listed_files(whole, network=network((hub,)), stop=stop)
        if len(files) > 1:
            return Look(files=_seen(files, network))
        source = files[0].source
    check(source, remote_users=remote_users)
    try:
        return Look(inspect_remote(source, network=network((source,)), stop=stop))
    except UsageError as error:
        if not isinstance(source, CivitaiSource) or error.code != "several-files":
            raise
        files = version_files(source, network=network((source,)), stop=stop)
        return Look(files=_seen(files, network))


def _seen(files: Sequence[ListedFile], network: NetworkFor) -> Sequence[SeenFile]:
    """Look at the first files; one that cannot be looked at is listed all the same."""
    from ..transfer import inspect_remote

    stop = threading.Event()
    timer = threading.Timer(MAX_LIST_SECONDS, stop.set)
    timer.daemon = True

    def seen(file: ListedFile) -> SeenFile:
        source: Source = file.source
        try:
            return SeenFile(file, inspect_remote(source, network=network((source,)), stop=stop))
        except VaeManagerError:  # the choice of this file shows its error
            return SeenFile(file)

    timer.start()
    try:
        with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
            first = list(pool.map(seen, files[:MAX_FILES]))
    finally:
        timer.cancel()
    return [*first, *map(SeenFile, files[MAX_FILES:])]
