"""Queue of downloads, kept across restarts.

The requests in the queue are stored in `queue.json`, since a request that had not begun when a process ended leaves no
other trace. A record is a line: a request that was queued, or the digest of one that is settled. Lines are added, so
that a queue of thousands is written once and not thousands of times; when most lines are outdated, the file is
rewritten.

The file is only a hint. The next process reads it once and offers it to the person; no download starts by itself.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..catalogue import HttpsSource, Source
from ..errors import RefusedError
from ..files.state_file import StateFile, hexadecimal, list_of, parse_json, path_of, text, whole
from ..jobs import JobContext, JobQueue, JobState, JobView, Move
from ..messages import Message, joined
from .history import DownloadOutcome, History, PastDownload, cut_sources, now, without_secrets

if TYPE_CHECKING:
    from ..records import HashStore
    from ..transfer import DownloadRequest, DownloadResult, Network, Progress


logger = logging.getLogger(__name__)

OUTDATED_LINES: Final = 64
"""Number of outdated lines, besides one for each request, before the file is rewritten."""

Then = Callable[["DownloadResult"], None]
Explain = Callable[[Path], Message | None]
"""Returns why a file cannot be used unchanged."""


@dataclass(frozen=True)
class _SettledRequest:
    """The record of a request that has ended."""

    digest: str


class Pending:
    """Requests of this process, and those that an earlier one left. All methods may be called from any thread."""

    def __init__(self, file: Path) -> None:
        self._file = StateFile(file, list_of, parse=_records)
        self._lock = threading.Lock()
        self._earlier: dict[str, DownloadRequest] | None = None
        self._live: dict[str, DownloadRequest] = {}
        self._asked: Counter[str] = Counter()
        """The number of queued and unsettled requests of each digest: one that is stopping may be followed by
        another."""
        self._lines = 0
        self._is_ours = False
        """The file was written by this process: lines can be added to it."""

    def earlier(self) -> tuple[DownloadRequest, ...]:
        """Return the unsettled requests of an earlier process, without those whose file is there by now."""
        with self._lock:
            return tuple(request for request in self._recalled().values() if not _is_there(request))

    def add(self, request: DownloadRequest) -> None:
        """Record a request that has been queued."""
        if not _can_be_noted(request):
            return
        digest = _digest(request)
        with self._lock:
            is_noted = self._recalled().pop(digest, None) is not None or digest in self._live
            self._live[digest] = request
            self._asked[digest] += 1
            if not is_noted:
                self._write(lambda: self._append(_data(request)))

    def settle(self, request: DownloadRequest) -> None:
        """Record that a request has ended, or that a person has decided on it."""
        digest = _digest(request)
        with self._lock:
            if digest in self._live:
                self._asked[digest] -= 1
                if self._asked[digest] > 0:
                    return
                del self._live[digest], self._asked[digest]
            elif self._recalled().pop(digest, None) is None:
                return
            self._write(lambda: self._append({"settled": digest}))

    def _append(self, record: dict[str, Any]) -> None:
        count = len(self._recalled()) + len(self._live)
        if not self._is_ours or not count or self._lines > 2 * count + OUTDATED_LINES:
            left = [*self._recalled().values(), *self._live.values()]
            self._is_ours, self._lines = bool(left), len(left)
            self._file.write_bytes(b"".join(_line(_data(request)) for request in left) or None)
        else:
            self._file.append(_line(record))
            self._lines += 1

    def _write(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            logger.warning("%s cannot be written: %s", self._file.path, error)

    def _recalled(self) -> dict[str, DownloadRequest]:
        if self._earlier is None:
            records: list[DownloadRequest | _SettledRequest] = self._file.items(_record)
            found: dict[str, DownloadRequest] = {}
            for record in records:
                if isinstance(record, _SettledRequest):
                    found.pop(record.digest, None)
                else:
                    found[_digest(record)] = record
            self._earlier, self._lines = found, len(records)
        return self._earlier


def _can_be_noted(request: DownloadRequest) -> bool:
    """Return False for an address with a query: it may hold a secret, which must not be stored."""
    return not any(isinstance(source, HttpsSource) and "?" in source.url for source in request.sources)


def _is_there(request: DownloadRequest) -> bool:
    return os.path.exists(request.folder / request.file_name)  # noqa: PTH110 - it never raises, for any path


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode("ascii") + b"\n"


def _digest(request: DownloadRequest) -> str:
    return hashlib.sha256(_line(_data(request))).hexdigest()[:16]


def _data(request: DownloadRequest) -> dict[str, Any]:
    return {
        "file_name": request.file_name,
        "folder": str(request.folder),
        "sources": [str(source) for source in request.sources],
        "sha256": request.sha256,
        "size": request.size,
    }


def _records(data: bytes) -> list[Any]:
    """Return the records of a file: a line each, or one list, as earlier versions wrote it. Raises `ValueError`."""
    try:
        return list(list_of(parse_json(data)))
    except ValueError as error:
        if b"\n" not in data.strip() and not data.lstrip().startswith(b"{"):
            raise error from None
    found: list[Any] = []
    lines: Iterable[bytes] = [line for line in data.splitlines() if line.strip()]
    for line in lines:
        try:
            found.append(parse_json(line))
        except ValueError:
            found.append(None)  # counted as damaged
    if not any(isinstance(record, dict) for record in found):
        raise ValueError("no queue")
    return found


def _record(data: Any) -> DownloadRequest | _SettledRequest:
    """Read a request, or the digest of a settled one. Raises for any other value."""
    from ..catalogue.entry import safe_file_name
    from ..catalogue.source_text import parse_source
    from ..transfer import DownloadRequest

    if "settled" in data:
        return _SettledRequest(text(data["settled"]))
    return DownloadRequest(
        tuple(parse_source(text(source), http_hosts=None) for source in list_of(data["sources"])),
        path_of(data["folder"]),
        safe_file_name(text(data["file_name"])),
        None if data["sha256"] is None else hexadecimal(data["sha256"]),
        None if data["size"] is None else whole(data["size"]),
    )


@dataclass(frozen=True)
class DownloadItem:
    """A requested file."""

    request: DownloadRequest
    name: str
    """The name for people: that of a VAE, or of its file."""


@dataclass(frozen=True)
class Download:
    """The state of a download in the queue at one moment."""

    wanted: DownloadItem
    job: JobView


@dataclass(frozen=True)
class UnfinishedDownload:
    """A download that was interrupted, by this process or an earlier one, and can be resumed."""

    request: DownloadRequest
    done: int
    total: int | None

    @property
    def key(self) -> str:
        """The key of its request, by which the page names it: a resumed download has the same one."""
        return key_of(self.request)


def key_of(request: DownloadRequest) -> str:
    """Return the same key for the same bytes into the same folder, under any name.

    The key is a digest, since pages get it: it contains neither the folder nor an address.
    """
    what = request.sha256 or "\n".join([request.file_name, *map(str, request.sources)])
    # A folder's name need not be UTF-8.
    return hashlib.sha256(f"{what}\n{request.folder.absolute()}".encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Downloads:
    """The queue of downloads, one at a time, since each uses many connections by itself.

    All methods may be called from any thread.
    """

    def __init__(self, history: History, pending: Pending, hashes: Callable[[], HashStore], explain: Explain) -> None:
        self._jobs = JobQueue("downloads")
        self._history = history
        self._pending = pending
        self._hashes = hashes
        self._explain = explain
        self._fetches: dict[str, _Fetch] = {}
        self._lock = threading.Lock()

    def get(self, wanted: DownloadItem, network: Callable[[], Network], then: Then | None = None) -> str:
        """Download in the background; return the job's key. `then` runs in the same job once the file is there.

        Two requests of the same file are one download, and the `then` of each is called. `network` is called at each
        attempt, so that a changed setting applies.
        """
        key = key_of(wanted.request)
        with self._lock:
            fetch = self._fetches.get(key)
            is_new = fetch is None or not self._jobs.is_wanted(key)
            if fetch is None or is_new:
                fetch = self._fetches[key] = _Fetch(wanted, network, self._history, self._hashes, self._explain)
                self._pending.add(wanted.request)  # before it can end
            if then is not None:
                fetch.follow(then)
            self._jobs.start(key, wanted.name, fetch.work, self._followed_by(fetch))
        return key

    def _followed_by(self, fetch: _Fetch) -> Callable[[JobState, Message | None], None]:
        def after(state: JobState, error: Message | None) -> None:
            fetch.after(state, error)
            self._pending.settle(fetch.wanted.request)

        return after

    def left_over(self, folder: Path) -> tuple[UnfinishedDownload, ...]:
        """Return the unfinished downloads into `folder` that are not in the queue."""
        from ..transfer import unfinished

        busy = [one.wanted.request for one in self.views() if not one.job.state.ended]
        found = [UnfinishedDownload(item.request, item.done, item.total) for item in unfinished(folder)]
        begun = [left.request for left in found]
        found += [
            UnfinishedDownload(request, 0, request.size)
            for request in self._pending.earlier()
            if request.folder == folder and not any(_same(other, request) for other in begun)
        ]
        return tuple(
            left
            for left in found
            if not any(request.folder == folder and _same(left.request, request) for request in busy)
        )

    def discard(self, left: UnfinishedDownload) -> None:
        """Discard an unfinished download, unless a process is writing it."""
        _discard(left.request)
        self._pending.settle(left.request)

    def views(self) -> tuple[Download, ...]:
        """Return the queue in its order, with the lately ended downloads."""
        with self._lock:
            views = self._jobs.views()
            self._fetches = {view.key: self._fetches[view.key] for view in views if view.key in self._fetches}
            return tuple(Download(self._fetches[view.key].wanted, view) for view in views if view.key in self._fetches)

    def pause(self, key: str) -> None:
        """Pause: the arrived bytes and the place in the queue are kept, and the next one runs."""
        self._jobs.pause(key)

    def resume(self, key: str) -> None:
        """Let a paused download wait for its turn again, in its place; the arrived bytes are not fetched again."""
        self._jobs.resume(key)

    def cancel(self, key: str) -> None:
        """Stop for good; the arrived bytes are discarded once it has really stopped."""
        self._jobs.stop(key)

    def retry(self, key: str) -> None:
        """Queue a failed download again, behind all others; it asks for the network settings anew.

        It has no effect on a download in any other state.
        """
        with self._lock:
            fetch = self._fetches.get(key)
            if fetch is not None and self._jobs.retry(key):
                self._pending.add(fetch.wanted.request)

    def move(self, key: str, step: Move) -> None:
        """Change the order of the waiting and paused downloads; the running one stays in place."""
        self._jobs.move(key, step)

    def forget(self, key: str) -> None:
        """Drop an ended download from the list; its file and its history entry stay."""
        self._jobs.forget(key)

    def wait(self, key: str, timeout: float | None = None) -> JobView | None:
        """Block until the download has ended, or for `timeout` seconds; None for an unknown key."""
        return self._jobs.wait(key, timeout)


class _Fetch:
    """One download from its first attempt to its end, with its effects, its costs and its history entry."""

    def __init__(
        self,
        wanted: DownloadItem,
        network: Callable[[], Network],
        history: History,
        hashes: Callable[[], HashStore],
        explain: Explain,
    ) -> None:
        self.wanted = wanted
        self._network = network
        self._history = history
        self._hashes = hashes
        self._explain = explain
        self._followers: list[Then] = []
        self._delivery: DownloadResult | None = None
        self._problem: Message | None = None
        self._notices: list[Message] = []
        self._seconds = 0.0
        self._fetched = 0

    def follow(self, then: Then) -> None:
        if then not in self._followers:
            self._followers.append(then)

    def work(self, context: JobContext) -> None:
        self._delivery = self._problem = None
        self._notices.clear()
        self._delivery = delivery = self._deliver(context)
        self._hashes().remember(delivery.path, delivery.sha256)
        self._problem = self._explain(delivery.path)
        for then in self._followers:
            then(delivery)

    def _deliver(self, context: JobContext) -> DownloadResult:
        from ..transfer import download_file

        last: Progress | None = None

        def report(progress: Progress) -> None:
            nonlocal last
            last = progress
            context.report(progress.phase, progress.done, progress.total, progress.kept)

        network = self._network()
        network = replace(network, places=replace(network.places, notice=self._notices.append))
        began = time.monotonic()
        try:
            delivery = download_file(self.wanted.request, network=network, report=report, stop=context.stop)
        except BaseException:
            if last is not None:
                self._fetched += max(0, last.done - last.kept)
            raise
        finally:
            self._seconds += time.monotonic() - began
        self._fetched += delivery.fetched
        return delivery

    def after(self, state: JobState, error: Message | None) -> None:
        """Discard unwanted bytes of the ended download, and write its history entry."""
        if state is JobState.STOPPED and self._delivery is None:
            kept = _discard(self.wanted.request)
            if not kept and not self._seconds:
                return  # it had not begun, so there is no entry
        self._history.add(self._past(state, error))
        self._seconds, self._fetched = 0.0, 0  # a retry is another attempt

    def _past(self, state: JobState, error: Message | None) -> PastDownload:
        request, delivery = self.wanted.request, self._delivery
        if delivery is not None:  # a later failure does not remove the file
            ending = DownloadOutcome.ALREADY_THERE if delivery.already_there else DownloadOutcome.DELIVERED
        else:
            ending = DownloadOutcome.CANCELLED if state is JobState.STOPPED else DownloadOutcome.FAILED
        texts = [str(source) for source in _delivered_from(delivery) or request.sources]
        return PastDownload(
            ended_at=now(),
            name=self.wanted.name,
            file_name=request.file_name,
            folder=str(request.folder),
            sources=tuple(map(without_secrets, texts)),
            ending=ending,
            size=delivery.size if delivery is not None else request.size,
            sha256=delivery.sha256 if delivery is not None else request.sha256,
            proven=delivery is not None and delivery.proven,
            seconds=self._seconds,
            fetched=self._fetched,
            problem=self._joined_problem(error, is_proven=delivery is not None and delivery.proven),
            taken_from=str(delivery.taken.path) if delivery is not None and delivery.taken is not None else None,
            taken_as=delivery.taken.way if delivery is not None and delivery.taken is not None else None,
            cut=cut_sources(texts),
        )

    def _joined_problem(self, error: Message | None, *, is_proven: bool) -> Message | None:
        """Return the problem with the notices; of a file without a proof, a problem alone means that it is unusable."""
        problem = error or self._problem
        notices = self._notices if is_proven or problem is not None else []
        found = [*notices, *([problem] if problem is not None else [])]
        return joined(found) if len(found) > 1 else next(iter(found), None)


def _delivered_from(delivery: DownloadResult | None) -> tuple[Source, ...]:
    """Return the source that sent the bytes, of the several in the request."""
    return (delivery.source,) if delivery is not None and delivery.source is not None else ()


def _discard(request: DownloadRequest) -> bool:
    """Discard the request's partial file, unless a process is writing it; return False if there was no such file."""
    from ..transfer import discard, unfinished

    found = [item for item in unfinished(request.folder) if _same(item.request, request)]
    for item in found:
        with suppress(RefusedError):
            discard(item)
    return bool(found)


def _same(kept: DownloadRequest, wanted: DownloadRequest) -> bool:
    if wanted.sha256 is not None:
        return kept.sha256 == wanted.sha256.lower()
    return kept.sha256 is None and (kept.file_name, _named(kept.sources)) == (wanted.file_name, _named(wanted.sources))


def _named(sources: tuple[Source, ...]) -> list[str]:
    """Return the sources without queries, as they are in journals, for comparison."""
    return [without_secrets(str(source)) for source in sources]
