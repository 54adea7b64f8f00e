"""Looks at the files behind typed addresses, before a download. They are kept in memory for some minutes.

What a server sends at a look is no proof, so nothing of it reaches a store. Looks have a few threads of their own, so
that servers which hang hold none of the WebUI's, and a page has one look at a time: a newer one cancels the older.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from ..catalogue import CivitaiSource, HubSource, Source
from ..catalogue.source_text import typed_source
from ..errors import Cancelled, NoVaeError, RefusedError, UsageError, VaeManagerError, WholeRepositoryError
from ..messages import msg
from .addresses import NetworkFor, check

if TYPE_CHECKING:
    from ..transfer import ListedFile, Network, RemoteInspection

__all__ = ["MAX_WAIT_SECONDS", "Look", "Looks", "SeenFile", "too_many_looks"]

AT_ONCE: Final = 4
"""Addresses that are looked at at the same time, by all visitors of the page."""
MAX_WAITING: Final = 16
"""Addresses that wait for one of them; a further one is refused at once."""
FILES_AT_ONCE: Final = 4
MAX_FILES: Final = 8
"""Files of an address that are looked at; the others are listed with their sizes."""
MAX_LOOK_SECONDS: Final = 60.0
"""Seconds for an address, with the list of its files and the looks at them."""
MAX_LIST_SECONDS: Final = 30.0
"""Seconds for the looks at the files of a list."""
MAX_WAIT_SECONDS: Final = 90.0
"""Seconds that a page or a download waits for a look."""
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


@dataclass(frozen=True)
class _Address:
    text: str
    remote_users: bool


@dataclass(eq=False)
class _Run:
    """A look that waits, runs or has ended."""

    address: _Address
    network: NetworkFor
    since: float = field(default_factory=time.monotonic)
    answer: Future[Look] = field(default_factory=lambda: _pending())
    stop: threading.Event = field(default_factory=threading.Event)
    askers: set[object] = field(default_factory=set)
    """The pages that wait for it; without any it is cancelled."""


class Looks:
    """Looks by address. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[_Address, _Run] = {}
        self._waiting: deque[_Run] = deque()
        self._running: set[_Run] = set()

    def begin(self, address: str, network: NetworkFor, *, remote_users: bool, page: str = "") -> Future[Look]:
        """Begin a look at `address`, or join the one that is under way or has ended in the last minutes.

        `network` and `remote_users` are those of `addresses.typed`. An older look that only `page` waits for is
        cancelled; an empty `page` is one of its own. A failure is an answer too, and is not kept.
        """
        key, asker = _Address(address.strip(), remote_users), page or object()
        with self._lock:
            left = self._leave(asker, key)
            run = self._of(key)
            if run is None and len(self._waiting) < MAX_WAITING:
                run = self._kept[key] = _Run(key, network)
                self._forget_oldest()
                self._waiting.append(run)
                self._start_next()
            if run is not None:
                run.askers.add(asker)
        for one in left:
            one.answer.set_result(Look(error=Cancelled(msg("Stopped."))))
        return run.answer if run is not None else _answered(Look(error=too_many_looks()))

    def at(self, address: str, network: NetworkFor, *, remote_users: bool) -> Look:
        """Look at `address` as `begin`, and wait for the answer."""
        answer = self.begin(address, network, remote_users=remote_users)
        return answer.result() if futures.wait([answer], MAX_WAIT_SECONDS).done else Look(error=too_many_looks())

    def seen(self, address: str, *, remote_users: bool, wait: bool = False) -> RemoteInspection | None:
        """Return what is known of the one file at `address`; None without a look.

        No look is begun here; one that is under way is waited for only with `wait`.
        """
        with self._lock:
            run = self._of(_Address(address.strip(), remote_users))
        if run is None:
            return None
        ended = futures.wait([run.answer], MAX_WAIT_SECONDS if wait else 0).done
        return run.answer.result().found if ended and run.answer.exception() is None else None

    def refusal(self, address: str, *, remote_users: bool, wait: bool = False) -> NoVaeError | None:
        """Return why the file at `address` is not to be downloaded; None if that is not known. Waits as `seen`."""
        from ..transfer import no_vae_error

        found = self.seen(address, remote_users=remote_users, wait=wait)
        return no_vae_error(found) if found is not None else None

    # -- under the lock ------------------------------------------------------------------------------------------------
    def _of(self, key: _Address) -> _Run | None:
        run = self._kept.get(key)
        return run if run is not None and time.monotonic() - run.since < KEPT_SECONDS else None

    def _leave(self, asker: object, key: _Address) -> list[_Run]:
        """Take `asker` away from its other looks, cancel those without one, and return those that had to wait."""
        left = []
        for run in [*self._waiting, *self._running]:
            if run.address == key or asker not in run.askers:
                continue
            run.askers.discard(asker)
            if run.askers:
                continue
            run.stop.set()
            self._forget(run)
            if run in self._waiting:
                self._waiting.remove(run)
                left.append(run)
        return left

    def _forget(self, run: _Run) -> None:
        if self._kept.get(run.address) is run:
            del self._kept[run.address]

    def _forget_oldest(self) -> None:
        while len(self._kept) > MAX_KEPT:
            ended = [run for run in self._kept.values() if run.answer.done()]
            self._forget(min(ended, key=lambda run: run.since))

    def _start_next(self) -> None:
        if self._waiting and len(self._running) < AT_ONCE:
            run = self._waiting.popleft()
            self._running.add(run)
            threading.Thread(target=self._run, args=(run,), name="vae-manager look", daemon=True).start()

    # -- the threads of the looks --------------------------------------------------------------------------------------
    def _run(self, run: _Run) -> None:
        look: Look | None = None
        try:
            look = _answer(run)
        except VaeManagerError as error:
            look = Look(error=error)
        except BaseException as fault:  # noqa: BLE001 - raised again where the answer is waited for
            run.answer.set_exception(fault)
        with self._lock:
            self._running.discard(run)
            if look is None or look.error is not None:
                self._forget(run)
            self._start_next()
        if look is not None:
            self._keep_files(look, run)
            run.answer.set_result(look)

    def _keep_files(self, look: Look, run: _Run) -> None:
        """Keep the answer for each of several files: one of them is probably chosen next."""
        for file in look.files:
            if file.found is not None:
                key = _Address(str(file.listed.source), run.address.remote_users)
                kept = _Run(key, run.network, answer=_answered(Look(file.found)))
                with self._lock:
                    self._kept[key] = kept
                    self._forget_oldest()


def _pending() -> Future[Look]:
    """Return an answer that is to come, and that none of those who wait for it can cancel."""
    answer: Future[Look] = Future()
    answer.set_running_or_notify_cancel()
    return answer


def _answered(look: Look) -> Future[Look]:
    answer = _pending()
    answer.set_result(look)
    return answer


def too_many_looks() -> RefusedError:
    """Return the error for a look that cannot begin now."""
    return RefusedError(msg("Too many addresses are being looked at. Try again in a moment.", code="too-many-looks"))


def _until(network: NetworkFor, seconds: float) -> NetworkFor:
    """Return `network` with the time that is left of `seconds` from now on as that for each answer."""
    end = time.monotonic() + seconds

    def limited(sources: tuple[Source, ...]) -> Network:
        found = network(sources)
        return replace(found, answer_timeout=min(found.answer_timeout, max(0.0, end - time.monotonic())))

    return limited


def _answer(run: _Run) -> Look:
    from ..transfer import inspect_remote, listed_files, version_files

    address, remote_users, stop = run.address.text, run.address.remote_users, run.stop
    network = _until(run.network, MAX_LOOK_SECONDS)
    try:
        general = network(())
        source = typed_source(
            address, remote_users=remote_users, http_hosts=general.http_hosts, endpoint=general.named_endpoint
        )
    except WholeRepositoryError as whole:
        hub = HubSource(whole.repo, whole.folder, whole.revision)
        files = listed_files(whole, network=network((hub,)), stop=stop)
        if len(files) > 1:
            return Look(files=_seen(files, network, stop))
        source = files[0].source
    check(source, remote_users=remote_users)
    try:
        return Look(inspect_remote(source, network=network((source,)), stop=stop))
    except UsageError as error:
        if not isinstance(source, CivitaiSource) or error.code != "several-files":
            raise
        files = version_files(source, network=network((source,)), stop=stop)
        return Look(files=_seen(files, network, stop))


def _seen(files: Sequence[ListedFile], network: NetworkFor, stop: threading.Event) -> Sequence[SeenFile]:
    """Look at the first files; one that cannot be looked at is listed all the same."""
    from ..transfer import inspect_remote

    within = _until(network, MAX_LIST_SECONDS)

    def seen(file: ListedFile) -> SeenFile:
        source: Source = file.source
        settings = within((source,))
        if not settings.answer_timeout:
            return SeenFile(file)
        try:
            return SeenFile(file, inspect_remote(source, network=settings, stop=stop))
        except VaeManagerError:  # the choice of this file shows its error
            return SeenFile(file)

    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        first = list(pool.map(seen, files[:MAX_FILES]))
    return [*first, *map(SeenFile, files[MAX_FILES:])]
