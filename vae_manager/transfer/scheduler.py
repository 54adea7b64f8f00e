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
from .http_client import HttpClient, host
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
from .request import NETWORK_THREAD, PROGRESS
from .resume_journal import Journal, added, contiguous_end, missing
from .sources import ResolvedUrl, SignedUrl, shown_source

STEP = 0.1
"""Seconds of bandwidth that may be used at once, and seconds between two checks of a waiting thread."""


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
        return max(1, min(wanted, int(self._bandwidth * STEP / 4)))

    def wait(self, count: int, gone: threading.Event) -> None:
        """Sleep until `count` more bytes may be read, or `gone` is set."""
        if self._bandwidth is None:
            return
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now - STEP) + count / self._bandwidth
            until = self._free_at
        while (left := until - self._clock()) > 0 and not gone.wait(min(left, STEP)):
            pass


READ = 1 << 18
"""The most bytes of one read."""


class Worker(threading.Thread):
    """A thread that fetches segments until there are no more, or an error occurs."""

    def __init__(self, scheduler: DownloadScheduler, share: Segment) -> None:
        super().__init__(name=NETWORK_THREAD, daemon=True)
        self.brought = 0
        self._scheduler = scheduler
        self._share: Segment | None = share
        self._body: Body | None = None

    def run(self) -> None:
        error: BaseException | None = None
        try:
            while self._share is not None and not self._scheduler.gone.is_set():
                self._bring(self._share)
                self._share = self._scheduler.next_share(self._share)
        except BaseException as failure:  # noqa: BLE001 - handed to the thread that waits
            error = failure
        self._scheduler.ended(self, self._share, error)

    def abort(self) -> None:
        """End the blocking read of this connection, from another thread."""
        if (body := self._body) is not None:
            body.abort()

    def _bring(self, share: Segment) -> None:
        limiter, asked = self._scheduler.limiter, time.monotonic()
        self._body = body = self._scheduler.accept(share, self._open(share))
        share.began = time.monotonic()
        self._scheduler.answered(share.began - asked)
        try:
            wanted = self._hand_on(share, body.head)
            while wanted and share.left != 0:
                data = body.read(limiter.portion(READ if share.left is None else min(READ, share.left)))
                if not data:
                    break
                wanted = self._hand_on(share, data)
                limiter.wait(len(data), self._scheduler.gone)
        finally:
            self._body = None
            body.close()
        if wanted and share.left and (body.end is None or share.at < body.end):
            raise TransientNetworkError(
                msg("{source} broke off too early.", source=shown_source(self._scheduler.where.now.source))
            )
        if share.left is None:
            self._scheduler.came_to_its_end(share)

    def _hand_on(self, share: Segment, data: bytes) -> bool:
        self.brought += len(data)
        return self._scheduler.arrived(share, data)

    def _open(self, share: Segment) -> Body | None:
        scheduler = self._scheduler
        location = scheduler.where.now
        try:
            return open_range(scheduler.wire, location, share.at, share.end, scheduler.etag)
        except ExpiredAddressError:
            return open_range(scheduler.wire, scheduler.where.after(location), share.at, share.end, scheduler.etag)


MAX_UNKNOWN_BYTES = 20_000_000_000
"""Limit of a body of unknown size."""
TICK, SHORT_TICK = 0.1, 0.01
"""Seconds between two checks of the scheduler without an event; the short one applies while it adds connections."""


@dataclass
class _Answer:
    """The answer of the first connection, which waits until it has been checked."""

    share: Segment
    body: Body
    looked_at: bool = False


class DownloadScheduler:
    """The connections of one download, and the one thread that controls them."""

    def __init__(self, wire: HttpClient, where: SignedUrl, journal: Journal, partial: PartialFile) -> None:
        self.wire = wire
        self.where = where
        self.gone = threading.Event()
        self.limiter = Limiter(wire.network.bandwidth)
        self._journal = journal
        self._partial = partial
        self._lock = threading.Condition()
        self._connections: list[Worker] = []
        self._failures: list[tuple[Worker, BaseException]] = []
        self._answer: _Answer | None = None
        self._size_was_known = journal.total is not None
        self._claimed = self._is_open = False
        """A connection fetches the first answer; the answer was accepted."""
        self._complete = False
        self._quick = 0.0
        self._came = self._told = self._watched = 0
        self._watched_at = time.monotonic()
        most = 1 if isinstance(where.now.source, LocalSource) else wire.network.connections
        self._ramp = ConcurrencyController(max(1, most))
        if where.now.in_parts and journal.total is not None and journal.sha256 is not None:
            self._ramp.open_up()
        kept = partial.byte_ranges if partial.is_open else ()
        lacking = (
            missing(kept, contiguous_end(kept) + FIRST_SEGMENT_BYTES)[:1]
            if journal.total is None
            else missing(kept, journal.total)
        )
        self._shares = Segments.of(lacking)

    @property
    def etag(self) -> str | None:
        return self._journal.etag

    # -- the caller's thread -----------------------------------------------------------------------------------------
    def run(self, tick: Callable[[int, int | None], None], stop: threading.Event) -> None:
        try:
            while not self._complete:
                if stop.is_set():
                    raise Cancelled(msg("Stopped."))
                with self._lock:
                    self._deal_with_failures()
                    self._look_at_the_answer()
                    self._hire()
                    if not self._is_something_new():
                        self._lock.wait(SHORT_TICK if self._ramp.is_growing else TICK)
                if self._partial.is_save_due():
                    self._partial.save()
                self._watch()
                self._tell(tick)
        finally:
            self._tell(tick)  # the bytes since the last report, after an error too

    def _tell(self, tick: Callable[[int, int | None], None]) -> None:
        before, self._told = self._told, self._came
        tick(self._told - before, self._journal.total)

    def dismiss(self) -> None:
        """End all connections; their unread bytes are dropped."""
        with self._lock:
            self.gone.set()
            self._lock.notify_all()
            for connection in self._connections:
                connection.abort()

    def _is_something_new(self) -> bool:
        waits = self._answer is not None and not self._answer.looked_at
        return bool(self._failures) or waits or self._complete or self._partial.is_save_due()

    def _hire(self) -> None:
        now = time.monotonic()
        if self._is_open:
            running = sum(connection.brought > 0 for connection in self._connections)
            self._ramp.look(now, self._came, running, self._quick)
        while len(self._connections) < self._ramp.wanted and not self._complete:
            share = self._shares.take(self._ramp.most, now, self._quick)
            if share is None:
                return
            connection = Worker(self, share)
            self._connections.append(connection)
            connection.start()

    def _deal_with_failures(self) -> None:
        """Replace a connection that failed after it had brought bytes, but no other."""
        for connection, error in self._failures:
            if not isinstance(error, NetworkError | NotFoundError):
                raise error
            if isinstance(error, TransientNetworkError) and connection.brought >= PROGRESS and self._is_open:
                continue
            if not self._connections:
                raise error
            self._ramp.stay_at(len(self._connections))
        self._failures.clear()

    def _watch(self) -> None:
        network = self.wire.network
        now = time.monotonic()
        if now - self._watched_at < network.read_timeout:
            return
        slowest = network.slowest if network.bandwidth is None else min(network.slowest, network.bandwidth / 2)
        came, least = self._came - self._watched, slowest * (now - self._watched_at)
        self._watched, self._watched_at = self._came, now
        if came < least:
            raise TransientNetworkError(
                msg("{source} sends next to nothing.", source=shown_source(self.where.now.source))
            )

    # -- the first answer ----------------------------------------------------------------------------------------------
    def _look_at_the_answer(self) -> None:
        """Prepare the partial file for the first answer."""
        answer = self._answer
        if answer is None or answer.looked_at:
            return
        share, body, location = answer.share, answer.body, self.where.now
        refuse_misfit(body, location)
        self._refuse_other_size(body, location)
        total = body.total if body.total is not None else self._journal.total
        self._journal = replace(self._journal, total=total, etag=body.etag, source=location.source)
        if self._partial.is_open and (body.is_part or not self._partial.done):
            self._partial.describe(self._journal)
        else:
            self._partial.start_over(self._journal)
        if total is not None:
            check_room(self._journal.order.folder, total - self._partial.done)
        self._divide(share, body, total)
        self._is_open = answer.looked_at = True
        self._complete = total is not None and self._partial.done == total and share.left is not None
        self._lock.notify_all()

    def _divide(self, share: Segment, body: Body, total: int | None) -> None:
        if not body.is_part or total is None:
            share.at = share.start = body.start
            share.end = body.end
            self._shares = Segments([], [share])
            self._ramp.stay_at(1)
            return
        if not self._size_was_known:
            share.end = total if share.end is None else min(share.end, total)
            self._shares = Segments(
                list(missing(added(self._partial.byte_ranges, share.at, share.end), total)), [share]
            )
        self._ramp.open_up()

    def _refuse_other_size(self, body: Body, location: ResolvedUrl) -> None:
        for known in (self._journal.order.size, location.size):
            if None not in (known, body.total) and known != body.total:
                raise IntegrityError(
                    msg(
                        "{source} has {size} bytes, and {file} has {expected}. Nothing of it is used.",
                        source=shown_source(location.source),
                        size=body.total,
                        file=self._journal.order.file_name,
                        expected=known,
                    )
                )

    # -- called by the workers -----------------------------------------------------------------------------------------
    def next_share(self, share: Segment) -> Segment | None:
        with self._lock:
            self._shares.give_back(share, time.monotonic())
            if self.gone.is_set() or len(self._connections) > self._ramp.wanted:
                return None
            return self._shares.take(self._ramp.most, time.monotonic(), self._quick)

    def answered(self, seconds: float) -> None:
        """Update the mean time to the first byte by that of a new request."""
        self._quick = seconds if not self._quick else 0.7 * self._quick + 0.3 * seconds

    def accept(self, share: Segment, body: Body | None) -> Body:
        """Return the body to read for `share`; raise the error of an unusable one."""
        if not self._is_first(share):
            return self._check_part(share, body)
        try:
            body = self._first(body)
        except BaseException:
            with self._lock:
                self._claimed = False
                self._lock.notify_all()
            raise
        with self._lock:
            answer = self._answer = _Answer(share, body)
            self._lock.notify_all()
            self._lock.wait_for(lambda: answer.looked_at or self.gone.is_set())
        return body

    def _first(self, body: Body | None) -> Body:
        """Return a body that starts at the beginning of the file: the part that came, else the whole."""
        if body is None or not self._can_be_joined(body):
            if body is not None:
                body.close()
            body = open_range(self.wire, self.where.now, 0, None, None)
        if body is None:
            raise self._unasked()
        return body

    def _is_first(self, share: Segment) -> bool:
        """Return True for the answer of the first bytes, which is checked; the others wait for that."""

        def is_its_turn() -> bool:
            return not self._claimed and share.at == min((other.at for other in self._shares.out), default=share.at)

        with self._lock:
            self._lock.wait_for(lambda: self._is_open or self.gone.is_set() or is_its_turn())
            is_first = not (self._is_open or self.gone.is_set())
            self._claimed = True
            return is_first

    def arrived(self, share: Segment, data: bytes) -> bool:
        """Write the bytes for `share`; return False when it needs no more."""
        with self._lock:
            self._came += len(data)
            if self.gone.is_set():
                return False
            room = len(data) if share.end is None else min(len(data), share.end - share.at)
            offset = share.at
            share.at += room
            self._refuse_endless(share)
        if room:  # else another connection has taken over this range
            self._partial.write(offset, data[:room])
        if self._is_done() or self._partial.is_save_due():
            with self._lock:
                self._complete = self._complete or self._is_done()
                self._lock.notify_all()
        return share.left != 0

    def came_to_its_end(self, share: Segment) -> None:
        """End a segment without a known end: its body is over."""
        total = self._journal.total
        if total is not None and share.at < total:
            raise TransientNetworkError(
                msg("{source} broke off too early.", source=shown_source(self.where.now.source))
            )
        with self._lock:
            self._complete = True
            self._lock.notify_all()

    def ended(self, connection: Worker, share: Segment | None, error: BaseException | None) -> None:
        with self._lock:
            self._connections.remove(connection)
            if share is not None:
                self._shares.give_back(share, time.monotonic())
            if error is not None:
                self._failures.append((connection, error))
            self._lock.notify_all()

    def _is_done(self) -> bool:
        total = self._journal.total
        return total is not None and self._partial.byte_ranges == ((0, total),) and self._ends_are_known()

    def _ends_are_known(self) -> bool:
        return all(share.end is not None for share in self._shares.out)

    def _can_be_joined(self, body: Body) -> bool:
        """Return True if further parts can be joined to this one: without a hash, an ETag must identify the version."""
        if not body.is_part:
            return True
        sized = body.total is not None or self._journal.total is not None
        return sized and (self._journal.sha256 is not None or body.etag is not None)

    def _check_part(self, share: Segment, body: Body | None) -> Body:
        if body is None:
            raise self._unasked()
        try:
            refuse_misfit(body, self.where.now)
            fits = body.is_part and body.start == share.at and body.total in (None, self._journal.total)
            fits = fits and share in self._shares.out  # else the whole comes over another connection
            same = self._journal.sha256 is not None or (body.etag is not None and body.etag == self._journal.etag)
        except IntegrityError as error:
            body.close()
            raise TransientNetworkError(error.message) from None  # the others may still get their ranges
        if not fits or not same:
            body.close()
            raise self._unasked()
        return body

    def _unasked(self) -> TransientNetworkError:
        location = self.where.now
        return TransientNetworkError(
            msg("{host} answers with a part that nobody asked for.", host=host(location.address))
        )

    def _refuse_endless(self, share: Segment) -> None:
        limit = MAX_UNKNOWN_BYTES if self._journal.total is None else self._journal.total
        if share.end is None and share.at > limit:
            raise EndlessBodyError(
                msg(
                    "{source} does not stop sending after {size}. Nothing of it is used.",
                    source=shown_source(self.where.now.source),
                    size=megabytes(limit),
                )
            )


def fetch(
    wire: HttpClient,
    where: SignedUrl,
    journal: Journal,
    partial: PartialFile,
    *,
    tick: Callable[[int, int | None], None],
    stop: threading.Event,
) -> None:
    """Fetch the missing bytes into `partial`. The bytes that arrive stay there after an error too.

    Args:
        wire: The connections.
        where: The address of the bytes.
        journal: The known facts about the file.
        partial: The target.
        tick: Receives the number of bytes since its last call (0 at intervals without any) and the file's size.
        stop: Ends the transfer.
    """
    scheduler = DownloadScheduler(wire, where, journal, partial)
    try:
        try:
            scheduler.run(tick, stop)
        finally:
            scheduler.dismiss()
    except EndlessBodyError:
        partial.throw_away()
        raise
    except BaseException:
        with suppress(OSError, TransientNetworkError):
            partial.checkpoint()
        raise
