"""Scheduler of a download's connections, and their workers.

The workers fetch the missing segments into the partial file:

    Worker (a thread a connection) ──bytes──▶ DownloadScheduler.arrived ──▶ PartialFile.write ──▶ StreamingHasher
          ▲ segments                           │ wakes                                              (a thread)
          └──────────── DownloadScheduler (the caller's thread): starts, watches, saves the journal, reports

The first connection is alone until its answer has been checked, unless the hub has announced support for ranges; the
others start afterwards.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from ..catalogue.entry import LocalSource
from ..errors import (
    Cancelled,
    EndlessBodyError,
    ExpiredAddressError,
    IntegrityError,
    NetworkError,
    NotFoundError,
    TransientNetworkError,
)
from ..files.disk import check_room
from ..messages import megabytes, msg
from .http_client import HttpClient
from .partial_file import PartialFile
from .range_requests import (
    FIRST_SEGMENT_BYTES,
    Body,
    ConcurrencyController,
    Segment,
    Segments,
    open_range,
    refuse_misfit,
)
from .request import NETWORK_THREAD, PROGRESS_BYTES
from .resolved_url import ResolvedUrl, SignedUrl, shown_source
from .resume_journal import Journal, add_range, contiguous_end, missing_ranges
from .urls import host

BURST_SECONDS = 0.1
"""Seconds of bandwidth that may be used at once, and seconds between two checks of a waiting thread."""

READ_BYTES = 1 << 18
"""The most bytes of one read."""

MAX_UNKNOWN_BYTES = 20_000_000_000
"""Limit of a body of unknown size."""
TICK, SHORT_TICK = 0.1, 0.01
"""Seconds between two checks of the scheduler without an event; the short one applies while it adds connections."""


class Limiter:
    """A limit of bytes per second over all connections."""

    def __init__(self, bandwidth: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._bandwidth = bandwidth
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = clock()

    def portion(self, wanted: int) -> int:
        """Return the number of bytes of `wanted` to read at once, so that the bandwidth is used evenly."""
        if self._bandwidth is None:
            return wanted
        return max(1, min(wanted, int(self._bandwidth * BURST_SECONDS / 4)))

    def wait(self, count: int, stopped: threading.Event) -> None:
        """Sleep until `count` more bytes may be read, or `stopped` is set."""
        if self._bandwidth is None:
            return
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now - BURST_SECONDS) + count / self._bandwidth
            until = self._free_at
        while (left := until - self._clock()) > 0 and not stopped.wait(min(left, BURST_SECONDS)):
            pass


class Worker(threading.Thread):
    """A thread that fetches segments until there are no more, or an error occurs."""

    def __init__(self, scheduler: DownloadScheduler, segment: Segment) -> None:
        super().__init__(name=NETWORK_THREAD, daemon=True)
        self.received = 0
        self._scheduler = scheduler
        self._segment: Segment | None = segment
        self._body: Body | None = None

    def run(self) -> None:
        """Fetch segment after segment, and report the end, with any error, to `DownloadScheduler.worker_ended`."""
        error: BaseException | None = None
        try:
            while self._segment is not None and not self._scheduler.stopped.is_set():
                self._fetch(self._segment)
                self._segment = self._scheduler.next_segment(self._segment)
        except BaseException as failure:  # noqa: BLE001 - handed to the thread that waits
            error = failure
        self._scheduler.worker_ended(self, self._segment, error)

    def abort(self) -> None:
        """End the blocking read of this connection, from another thread."""
        if (body := self._body) is not None:
            body.abort()

    def _fetch(self, segment: Segment) -> None:
        limiter, asked = self._scheduler.limiter, time.monotonic()
        self._body = body = self._scheduler.accept(segment, self._open(segment))
        segment.began = time.monotonic()
        self._scheduler.answered(segment.began - asked)
        try:
            wanted = self._deliver(segment, body.head)
            while wanted and segment.left != 0:
                data = body.read(limiter.portion(READ_BYTES if segment.left is None else min(READ_BYTES, segment.left)))
                if not data:
                    break
                wanted = self._deliver(segment, data)
                limiter.wait(len(data), self._scheduler.stopped)
        finally:
            self._body = None
            body.close()
        if wanted and segment.left and (body.end is None or segment.at < body.end):
            raise TransientNetworkError(
                msg(
                    "{source} broke off too early.",
                    code="broke-off",
                    source=shown_source(self._scheduler.address.now.source),
                )
            )
        if segment.left is None:
            self._scheduler.end_of_body(segment)

    def _deliver(self, segment: Segment, data: bytes) -> bool:
        self.received += len(data)
        return self._scheduler.arrived(segment, data)

    def _open(self, segment: Segment) -> Body | None:
        scheduler = self._scheduler
        location = scheduler.address.now
        try:
            return open_range(scheduler.client, location, segment.at, segment.end, scheduler.etag)
        except ExpiredAddressError:
            return open_range(
                scheduler.client, scheduler.address.after(location), segment.at, segment.end, scheduler.etag
            )


@dataclass
class _FirstAnswer:
    """The answer of the first connection, which waits until it has been checked."""

    segment: Segment
    body: Body
    is_checked: bool = False


class DownloadScheduler:
    """The connections of one download, and the one thread that controls them."""

    def __init__(self, client: HttpClient, address: SignedUrl, journal: Journal, partial: PartialFile) -> None:
        self.client = client
        self.address = address
        self.stopped = threading.Event()
        self.limiter = Limiter(client.network.bandwidth)
        self._journal = journal
        self._partial = partial
        self._lock = threading.Condition()
        self._workers: list[Worker] = []
        self._failures: list[tuple[Worker, BaseException]] = []
        self._answer: _FirstAnswer | None = None
        self._size_was_known = journal.total is not None
        self._claimed = self._is_open = False
        """A connection fetches the first answer; the answer was accepted."""
        self._complete = False
        self._latency = 0.0
        self._received = self._reported = self._checked_bytes = 0
        self._checked_at = time.monotonic()
        most = 1 if isinstance(address.now.source, LocalSource) else client.network.connections
        self._concurrency = ConcurrencyController(max(1, most))
        if address.now.in_parts and journal.total is not None and journal.sha256 is not None:
            self._concurrency.open_up()
        kept = partial.byte_ranges if partial.is_open else ()
        lacking = (
            missing_ranges(kept, contiguous_end(kept) + FIRST_SEGMENT_BYTES)[:1]
            if journal.total is None
            else missing_ranges(kept, journal.total)
        )
        self._segments = Segments.of(lacking)

    @property
    def etag(self) -> str | None:
        """The ETag of the accepted answer or of an earlier attempt; None if the source sends no ETag."""
        return self._journal.etag

    # -- the caller's thread -----------------------------------------------------------------------------------------
    def run(self, tick: Callable[[int, int | None], None], stop: threading.Event) -> None:
        """Control the connections until all bytes are in the partial file; `tick` and `stop` are as in `fetch`.

        Raises Cancelled, the errors of connections that cannot be replaced, and TransientNetworkError for a source that
        is slower than `Network.min_speed`. The workers still run afterwards: `stop_workers` ends them.
        """
        try:
            while not self._complete:
                if stop.is_set():
                    raise Cancelled(msg("Stopped."))
                with self._lock:
                    self._handle_failures()
                    self._check_first_answer()
                    self._add_workers()
                    if not self._has_news():
                        self._lock.wait(SHORT_TICK if self._concurrency.is_growing else TICK)
                if self._partial.is_save_due():
                    self._partial.save()
                self._check_speed()
                self._report(tick)
        finally:
            self._report(tick)  # the bytes since the last report, after an error too

    def _report(self, tick: Callable[[int, int | None], None]) -> None:
        before, self._reported = self._reported, self._received
        tick(self._reported - before, self._journal.total)

    def stop_workers(self) -> None:
        """End all connections; their unread bytes are dropped."""
        with self._lock:
            self.stopped.set()
            self._lock.notify_all()
            for worker in self._workers:
                worker.abort()

    def _has_news(self) -> bool:
        waits = self._answer is not None and not self._answer.is_checked
        return bool(self._failures) or waits or self._complete or self._partial.is_save_due()

    def _add_workers(self) -> None:
        now = time.monotonic()
        if self._is_open:
            running = sum(worker.received > 0 for worker in self._workers)
            self._concurrency.update(now, self._received, running, self._latency)
        while len(self._workers) < self._concurrency.wanted and not self._complete:
            segment = self._segments.take(self._concurrency.most, now, self._latency)
            if segment is None:
                return
            worker = Worker(self, segment)
            self._workers.append(worker)
            worker.start()

    def _handle_failures(self) -> None:
        """Replace a connection that failed after it had brought bytes, but no other."""
        for worker, error in self._failures:
            if not isinstance(error, NetworkError | NotFoundError):
                raise error
            if isinstance(error, TransientNetworkError) and worker.received >= PROGRESS_BYTES and self._is_open:
                continue
            if not self._workers:
                raise error
            self._concurrency.stay_at(len(self._workers))
        self._failures.clear()

    def _check_speed(self) -> None:
        network = self.client.network
        now = time.monotonic()
        if now - self._checked_at < network.read_timeout:
            return
        slowest = network.min_speed if network.bandwidth is None else min(network.min_speed, network.bandwidth / 2)
        received, least = self._received - self._checked_bytes, slowest * (now - self._checked_at)
        self._checked_bytes, self._checked_at = self._received, now
        if received < least:
            raise TransientNetworkError(
                msg("{source} sends next to nothing.", code="too-slow", source=shown_source(self.address.now.source))
            )

    # -- the first answer ----------------------------------------------------------------------------------------------
    def _check_first_answer(self) -> None:
        """Prepare the partial file for the first answer."""
        answer = self._answer
        if answer is None or answer.is_checked:
            return
        segment, body, location = answer.segment, answer.body, self.address.now
        refuse_misfit(body, location)
        self._refuse_other_size(body, location)
        total = body.total if body.total is not None else self._journal.total
        self._journal = replace(self._journal, total=total, etag=body.etag, source=location.source)
        if self._partial.is_open and (body.is_part or not self._partial.done):
            self._partial.describe(self._journal)
        else:
            self._partial.start_over(self._journal)
        if total is not None:
            check_room(self._journal.request.folder, total - self._partial.done)
        self._divide_rest(segment, body, total)
        self._is_open = answer.is_checked = True
        self._complete = total is not None and self._partial.done == total and segment.left is not None
        self._lock.notify_all()

    def _divide_rest(self, segment: Segment, body: Body, total: int | None) -> None:
        if not body.is_part or total is None:
            segment.at = segment.start = body.start
            segment.end = body.end
            self._segments = Segments([], [segment])
            self._concurrency.stay_at(1)
            return
        if not self._size_was_known:
            segment.end = total if segment.end is None else min(segment.end, total)
            self._segments = Segments(
                list(missing_ranges(add_range(self._partial.byte_ranges, segment.at, segment.end), total)), [segment]
            )
        self._concurrency.open_up()

    def _refuse_other_size(self, body: Body, location: ResolvedUrl) -> None:
        for known in (self._journal.request.size, location.size):
            if None not in (known, body.total) and known != body.total:
                raise IntegrityError(
                    msg(
                        "{source} has {size} bytes, and {file} has {expected}. Nothing of it is used.",
                        source=shown_source(location.source),
                        size=body.total,
                        file=self._journal.request.file_name,
                        expected=known,
                    )
                )

    # -- called by the workers -----------------------------------------------------------------------------------------
    def next_segment(self, segment: Segment) -> Segment | None:
        """Take back the rest of a worker's segment and return its next one; None ends the worker."""
        with self._lock:
            self._segments.give_back(segment, time.monotonic())
            if self.stopped.is_set() or len(self._workers) > self._concurrency.wanted:
                return None
            return self._segments.take(self._concurrency.most, time.monotonic(), self._latency)

    def answered(self, seconds: float) -> None:
        """Update the mean time to the first byte by that of a new request."""
        self._latency = seconds if not self._latency else 0.7 * self._latency + 0.3 * seconds

    def accept(self, segment: Segment, body: Body | None) -> Body:
        """Return the body to read for `segment`; raise the error of an unusable one."""
        if not self._is_first(segment):
            return self._check_part(segment, body)
        try:
            body = self._first(body)
        except BaseException:
            with self._lock:
                self._claimed = False
                self._lock.notify_all()
            raise
        with self._lock:
            answer = self._answer = _FirstAnswer(segment, body)
            self._lock.notify_all()
            self._lock.wait_for(lambda: answer.is_checked or self.stopped.is_set())
        return body

    def _first(self, body: Body | None) -> Body:
        """Return a body that starts at the beginning of the file: the part that came, else the whole."""
        if body is None or not self._can_be_joined(body):
            if body is not None:
                body.close()
            body = open_range(self.client, self.address.now, 0, None, None)
        if body is None:
            raise self._unexpected_part_error()
        return body

    def _is_first(self, segment: Segment) -> bool:
        """Return True for the answer of the first bytes, which is checked; the others wait for that."""

        def is_its_turn() -> bool:
            return not self._claimed and segment.at == min(
                (other.at for other in self._segments.active), default=segment.at
            )

        with self._lock:
            self._lock.wait_for(lambda: self._is_open or self.stopped.is_set() or is_its_turn())
            is_first = not (self._is_open or self.stopped.is_set())
            self._claimed = True
            return is_first

    def arrived(self, segment: Segment, data: bytes) -> bool:
        """Write the bytes for `segment`; return False when it needs no more."""
        with self._lock:
            self._received += len(data)
            if self.stopped.is_set():
                return False
            room = len(data) if segment.end is None else min(len(data), segment.end - segment.at)
            offset = segment.at
            segment.at += room
            self._refuse_endless(segment)
        if room:  # else another connection has taken over this range
            self._partial.write(offset, data[:room])
        if self._is_done() or self._partial.is_save_due():
            with self._lock:
                self._complete = self._complete or self._is_done()
                self._lock.notify_all()
        return segment.left != 0

    def end_of_body(self, segment: Segment) -> None:
        """End a segment without a known end: its body is over."""
        total = self._journal.total
        if total is not None and segment.at < total:
            raise TransientNetworkError(
                msg("{source} broke off too early.", code="broke-off", source=shown_source(self.address.now.source))
            )
        with self._lock:
            self._complete = True
            self._lock.notify_all()

    def worker_ended(self, worker: Worker, segment: Segment | None, error: BaseException | None) -> None:
        """Remove a worker; the rest of its segment waits for another, and `run` handles the error."""
        with self._lock:
            self._workers.remove(worker)
            if segment is not None:
                self._segments.give_back(segment, time.monotonic())
            if error is not None:
                self._failures.append((worker, error))
            self._lock.notify_all()

    def _is_done(self) -> bool:
        total = self._journal.total
        return total is not None and self._partial.byte_ranges == ((0, total),) and self._ends_are_known()

    def _ends_are_known(self) -> bool:
        return all(segment.end is not None for segment in self._segments.active)

    def _can_be_joined(self, body: Body) -> bool:
        """Return True if further parts can be joined to this one: without a hash, an ETag must identify the version."""
        if not body.is_part:
            return True
        sized = body.total is not None or self._journal.total is not None
        return sized and (self._journal.sha256 is not None or body.etag is not None)

    def _check_part(self, segment: Segment, body: Body | None) -> Body:
        if body is None:
            raise self._unexpected_part_error()
        try:
            refuse_misfit(body, self.address.now)
            fits = body.is_part and body.start == segment.at and body.total in (None, self._journal.total)
            fits = fits and segment in self._segments.active  # else the whole comes over another connection
            same = self._journal.sha256 is not None or (body.etag is not None and body.etag == self._journal.etag)
        except IntegrityError as error:
            body.close()
            raise TransientNetworkError(error.message) from None  # the others may still get their ranges
        if not fits or not same:
            body.close()
            raise self._unexpected_part_error()
        return body

    def _unexpected_part_error(self) -> TransientNetworkError:
        location = self.address.now
        return TransientNetworkError(
            msg("{host} answers with a part that nobody asked for.", host=host(location.address))
        )

    def _refuse_endless(self, segment: Segment) -> None:
        limit = MAX_UNKNOWN_BYTES if self._journal.total is None else self._journal.total
        if segment.end is None and segment.at > limit:
            raise EndlessBodyError(
                msg(
                    "{source} does not stop sending after {size}. Nothing of it is used.",
                    code="endless-body",
                    source=shown_source(self.address.now.source),
                    size=megabytes(limit),
                )
            )


def fetch(
    client: HttpClient,
    address: SignedUrl,
    journal: Journal,
    partial: PartialFile,
    *,
    tick: Callable[[int, int | None], None],
    stop: threading.Event,
) -> None:
    """Fetch the missing bytes into `partial`. The bytes that arrive stay there after an error too.

    Args:
        client: The connections.
        address: The address of the bytes.
        journal: The known facts about the file.
        partial: The target.
        tick: Receives the number of bytes since its last call (0 at intervals without any) and the file's size.
        stop: Ends the transfer.
    """
    scheduler = DownloadScheduler(client, address, journal, partial)
    try:
        try:
            scheduler.run(tick, stop)
        finally:
            scheduler.stop_workers()
    except EndlessBodyError:
        partial.discard()
        raise
    except BaseException:
        with suppress(OSError, TransientNetworkError):
            partial.checkpoint()
        raise
