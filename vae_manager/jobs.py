"""Background jobs: the queue, and the progress, pause and end of each job."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from .errors import Cancelled, VaeManagerError
from .messages import Message, msg

WINDOW_SECONDS = 4.0
MIN_SPAN_SECONDS = 0.5
"""Over a shorter time, a single block of data would dominate the speed."""


class SpeedMeter:
    """Speed over the last few seconds, which follows a slower line but does not jump.

    It is the plain average over the window, from its first point to its last: the same figure as that of any other
    program that counts the same bytes over the same seconds.
    """

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def add(self, now: float, done: int) -> None:
        """Record `done` units at the time `now` (seconds on any monotonic clock)."""
        if self._points and done < self._points[-1][1]:
            self._points.clear()  # started over
        self._points.append((now, done))
        while len(self._points) > 2 and now - self._points[1][0] >= WINDOW_SECONDS:
            self._points.popleft()

    @property
    def speed(self) -> float | None:
        """Units a second; None before there is a span of time to measure over."""
        if len(self._points) < 2:
            return None
        (first, before), (last, after) = self._points[0], self._points[-1]
        return (after - before) / (last - first) if last - first >= MIN_SPAN_SECONDS else None

    def seconds_left(self, total: int | None, now: float | None = None) -> float | None:
        """Return the seconds from `now` (else from the last point) until `total` is reached at this speed.

        None without a speed or a total.
        """
        if total is None or not self.speed:
            return None
        last, done = self._points[-1]
        return max(0.0, (total - done) / self.speed - (0.0 if now is None else now - last))


class JobState(Enum):
    """The stage of a job."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED, JobState.STOPPED)


class PendingCommand(Enum):
    """A command to a running job that it may not have obeyed yet."""

    NONE = "none"
    PAUSE = "pause"
    STOP = "stop"
    AGAIN = "again"
    """Resumed after a pause that the job has not obeyed yet."""


class Step(Enum):
    """A move of a job among those that wait or are paused."""

    UP = "up"
    DOWN = "down"
    FRONT = "front"


@dataclass(frozen=True)
class JobEntry:
    """The state of one job in the queue."""

    serial: int
    """Number of the request in its queue: a second request of the same key is another job."""
    key: str
    state: JobState = JobState.WAITING
    wish: PendingCommand = PendingCommand.NONE

    @property
    def can_go_on(self) -> bool:
        """True if a new request of its key has no effect."""
        return not self.state.ended and self.wish is not PendingCommand.STOP

    @property
    def queued(self) -> bool:
        return self.state in (JobState.WAITING, JobState.PAUSED)


class QueueState:
    """Job entries in their order. An entry is immutable: each command replaces it by another one."""

    def __init__(self, slots: Iterable[JobEntry] = ()) -> None:
        self._slots: dict[int, JobEntry] = {}
        """By serial, in the order of the queue."""
        self._serials: dict[str, list[int]] = {}
        """Serials of each key, the newest last: at most one that ends, one that will stop, and one that is wanted."""
        self._ended: dict[int, None] = {}
        self._running: int | None = None
        for slot in slots:
            self._append(slot)

    def __iter__(self) -> Iterator[JobEntry]:
        return iter(self._slots.values())

    def __len__(self) -> int:
        return len(self._slots)

    # -- reading -------------------------------------------------------------------------------------------------------
    def slot(self, serial: int) -> JobEntry:
        return self._slots[serial]

    def newest(self, key: str) -> JobEntry | None:
        """Return the entry of `key`: of two, the later one. The earlier one will stop."""
        serials = self._serials.get(key)
        return self._slots[serials[-1]] if serials else None

    def is_newest(self, slot: JobEntry) -> bool:
        return self._serials[slot.key][-1] == slot.serial

    def places(self) -> dict[int, int]:
        """Return the positions of the waiting entries by serial: 1 for the next one."""
        waiting = (slot.serial for slot in self if slot.state is JobState.WAITING)
        return {serial: place for place, serial in enumerate(waiting, 1)}

    @property
    def ended(self) -> tuple[int, ...]:
        """The serials of the ended entries."""
        return tuple(self._ended)

    # -- commands ------------------------------------------------------------------------------------------------------
    def ask(self, key: str, serial: int) -> list[int]:
        """Keep one job per key: a waiting or running one continues, a paused one is resumed, an ended one begins anew.

        Returns:
            The jobs that were dropped.
        """
        slot = self.newest(key)
        if slot is not None and slot.can_go_on:
            self.resume(key)
            return []
        dropped = self.forget(key)
        self._append(JobEntry(serial, key))
        return dropped

    def begin(self) -> JobEntry | None:
        """Start the first waiting job, unless another runs."""
        if self._running is not None:
            return None
        waiting = next((slot for slot in self if slot.state is JobState.WAITING), None)
        if waiting is None:
            return None
        running = replace(waiting, state=JobState.RUNNING, wish=PendingCommand.NONE)
        self._put(running)
        return running

    def end(self, serial: int, outcome: JobState) -> JobEntry:
        """End the running job; return its entry. `outcome` is as in `end_of`."""
        slot = end_of(self._slots[serial], outcome)
        self._put(slot)
        return slot

    def pause(self, key: str) -> None:
        def after(slot: JobEntry) -> JobEntry:
            if slot.state is JobState.WAITING:
                return replace(slot, state=JobState.PAUSED)
            if slot.state is JobState.RUNNING and slot.wish is not PendingCommand.STOP:
                return replace(slot, wish=PendingCommand.PAUSE)
            return slot

        self._change(key, after)

    def resume(self, key: str) -> None:
        def after(slot: JobEntry) -> JobEntry:
            if slot.state is JobState.PAUSED:
                return replace(slot, state=JobState.WAITING)
            if slot.state is JobState.RUNNING and slot.wish is PendingCommand.PAUSE:
                return replace(slot, wish=PendingCommand.AGAIN)
            return slot

        self._change(key, after)

    def stop(self, key: str) -> None:
        def after(slot: JobEntry) -> JobEntry:
            if slot.queued:
                return replace(slot, state=JobState.STOPPED)
            return replace(slot, wish=PendingCommand.STOP) if slot.state is JobState.RUNNING else slot

        self._change(key, after)

    def retry(self, key: str) -> list[int]:
        """Queue a failed job again, behind all others; return the dropped serials."""
        slot = self.newest(key)
        if slot is None or slot.state is not JobState.FAILED:
            return []
        dropped = self.forget(key)
        self._append(replace(slot, state=JobState.WAITING))
        return [serial for serial in dropped if serial != slot.serial]

    def forget(self, key: str) -> list[int]:
        """Drop the ended entries of a key; return their serials."""
        dropped = [serial for serial in self._serials.get(key, ()) if serial in self._ended]
        for serial in dropped:
            self.drop(serial)
        return dropped

    def drop(self, serial: int) -> None:
        """Remove an entry from the queue."""
        slot = self._slots.pop(serial)
        self._ended.pop(serial, None)
        if self._running == serial:
            self._running = None
        serials = self._serials[slot.key]
        serials.remove(serial)
        if not serials:
            del self._serials[slot.key]

    def move(self, key: str, step: Step) -> None:
        """Exchange a job with its neighbour in the queue, or move it to the front. A running job stays in place."""
        slot = self.newest(key)
        if slot is None or not slot.queued:
            return
        queue = [other for other in self if other.queued]
        old = queue.index(slot)
        new = {Step.UP: max(0, old - 1), Step.DOWN: min(len(queue) - 1, old + 1), Step.FRONT: 0}[step]
        queue.insert(new, queue.pop(old))
        moved = iter(queue)
        self._slots = {slot.serial: slot for slot in [next(moved) if one.queued else one for one in self]}

    # -- one entry -------------------------------------------------------------------------------------------------
    def _append(self, slot: JobEntry) -> None:
        self._slots[slot.serial] = slot
        self._serials.setdefault(slot.key, []).append(slot.serial)
        self._put(slot)

    def _change(self, key: str, after: Callable[[JobEntry], JobEntry]) -> None:
        slot = self.newest(key)
        if slot is not None:
            self._put(after(slot))

    def _put(self, new: JobEntry) -> None:
        self._slots[new.serial] = new
        if new.state is JobState.RUNNING:
            self._running = new.serial
        elif self._running == new.serial:
            self._running = None
        if new.state.ended:
            self._ended[new.serial] = None
        else:
            self._ended.pop(new.serial, None)


def end_of(slot: JobEntry, outcome: JobState) -> JobEntry:
    """Return the running entry after its end: `outcome` is DONE, FAILED or STOPPED, which may be a pause."""
    state = outcome
    if outcome is JobState.STOPPED and slot.wish is PendingCommand.PAUSE:
        state = JobState.PAUSED
    elif outcome is JobState.STOPPED and slot.wish is PendingCommand.AGAIN:
        state = JobState.WAITING
    elif outcome is JobState.FAILED and slot.wish is PendingCommand.STOP:
        state = JobState.STOPPED  # the result is no longer wanted
    return replace(slot, state=state, wish=PendingCommand.NONE)


logger = logging.getLogger(__name__)

KEPT_AFTER_END = 20


@dataclass(frozen=True)
class JobView:
    """The state of a job at one moment."""

    key: str
    serial: int
    """Number of the request in this queue: a second request of the same key is another job."""
    title: str
    """The subject of the job for people: the name of a VAE or a file."""
    state: JobState
    phase: str = ""
    """The work's own word for its present step."""
    done: int = 0
    total: int | None = None
    speed: float | None = None
    """Units a second."""
    seconds_left: float | None = None
    error: Message | None = None
    wish: PendingCommand = PendingCommand.NONE
    """A command that the job may not have obeyed yet."""
    place: int | None = None
    """Position of a waiting job: 1 for the next one."""

    @property
    def stopping(self) -> bool:
        """True if it was asked to stop for good, and has not stopped yet."""
        return self.wish is PendingCommand.STOP


class JobContext:
    """The work's link to its job: the progress report, and the event that stops it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.stop = threading.Event()
        self._clock = clock
        self._lock = threading.Lock()
        self._pace = SpeedMeter()
        self._phase = ""
        self._done = 0
        self._kept = 0
        self._total: int | None = None

    def report(self, phase: str, done: int, total: int | None, kept: int = 0) -> None:
        """Report the progress in the work's own units (bytes, files).

        `kept` units of `done` were there before the start, and do not count for the speed.
        """
        with self._lock:
            if phase != self._phase:
                self._pace = SpeedMeter()
            self._phase, self._done, self._total, self._kept = phase, done, total, kept
            self._pace.add(self._clock(), done - kept)

    def measured(self) -> tuple[str, int, int | None, float | None, float | None]:
        """Return phase, done, total, speed and seconds left, all of one moment."""
        with self._lock:
            to_come = None if self._total is None else self._total - self._kept
            left = self._pace.seconds_left(to_come, self._clock())
            return self._phase, self._done, self._total, self._pace.speed, left


Work = Callable[[JobContext], None]
After = Callable[[JobState, Message | None], None]


class _Job:
    def __init__(self, title: str, work: Work, after: After | None, clock: Callable[[], float]) -> None:
        self.title, self.work, self.after = title, work, after
        self.handle = JobContext(clock)
        self.error: Message | None = None
        self.ended_as = 0
        """Number of the end among those of the queue's jobs: a waiting job can be stopped long before its turn."""

    def view(self, slot: JobEntry, place: int | None) -> JobView:
        phase, done, total, speed, seconds_left = self.handle.measured()
        if slot.queued:
            speed = seconds_left = None  # of the time before
        return JobView(
            slot.key, slot.serial, self.title, slot.state, phase, done, total, speed, seconds_left,
            self.error if slot.state is JobState.FAILED else None, slot.wish, place,
        )  # fmt: skip


class JobQueue:
    """A queue of jobs, one at a time, in the order of their requests unless they are moved.

    A key names a piece of work: requests of the same key while it waits, runs or is paused are one job. An ended job
    stays readable until its key is requested again, it is forgotten, or `KEPT_AFTER_END` others have ended after it.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._line = QueueState()
        self._jobs: dict[int, _Job] = {}
        self._serials = itertools.count(1)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ends = itertools.count()

    # -- commands ------------------------------------------------------------------------------------------------------
    def start(self, key: str, title: str, work: Work, after: After | None = None) -> None:
        """Queue `work`, unless a job of that key waits or runs already; a paused one is resumed.

        A job that was asked to stop, and has not yet, is followed by the new one. `after` receives the outcome of the
        job before it appears as ended.
        """
        with self._changed:
            slot = self._line.newest(key)
            if slot is not None and slot.can_go_on:
                self._line.resume(key)
            else:
                serial = next(self._serials)
                self._drop_jobs(self._line.ask(key, serial))
                self._jobs[serial] = _Job(title, work, after, self._clock)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"vae-manager {self._name}", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def pause(self, key: str) -> None:
        """Pause the job; it keeps its place, and the next one begins."""
        with self._changed:
            self._line.pause(key)
            self._pass_on(key)

    def resume(self, key: str) -> None:
        with self._changed:
            self._line.resume(key)
            self._changed.notify_all()

    def stop(self, key: str) -> None:
        """Stop the job for good; a waiting or paused one never starts."""
        with self._changed:
            slot = self._line.newest(key)
            stopped_at_once = slot is not None and slot.queued
            self._line.stop(key)
            self._pass_on(key)
            if slot is None or not stopped_at_once:
                return
            job = self._jobs[slot.serial]
            job.ended_as = next(self._ends)
        _tell(job, JobState.STOPPED, None)
        with self._changed:
            self._tidy()

    def retry(self, key: str) -> bool:
        """Queue a failed job again, with the same work; return False if no such job has failed."""
        with self._changed:
            slot = self._line.newest(key)
            self._drop_jobs(self._line.retry(key))
            self._changed.notify_all()
            return slot is not None and slot.state is JobState.FAILED

    def move(self, key: str, step: Step) -> None:
        with self._changed:
            self._line.move(key, step)

    def forget(self, key: str) -> None:
        """Drop an ended job from view."""
        with self._changed:
            self._drop_jobs(self._line.forget(key))
            self._changed.notify_all()

    # -- reading -------------------------------------------------------------------------------------------------------
    def views(self) -> tuple[JobView, ...]:
        """Return every job that waits, runs, is paused or has lately ended, in the order of the queue."""
        with self._changed:
            places = self._line.places()
            return tuple(self._view(slot, places.get(slot.serial)) for slot in self._line if self._line.is_newest(slot))

    def view(self, key: str) -> JobView | None:
        with self._changed:
            slot = self._line.newest(key)
            return self._view(slot, self._line.places().get(slot.serial)) if slot is not None else None

    def is_wanted(self, key: str) -> bool:
        """Return True if a job of that key waits, runs or is paused, and was not asked to stop."""
        with self._changed:
            slot = self._line.newest(key)
            return slot is not None and slot.can_go_on

    def wait(self, key: str, timeout: float | None = None) -> JobView | None:
        """Block until the job has ended; for callers with a thread to spare."""

        def has_ended() -> bool:
            slot = self._line.newest(key)
            return slot is None or slot.state.ended

        with self._changed:
            self._changed.wait_for(has_ended, timeout)
        return self.view(key)

    def _view(self, slot: JobEntry, place: int | None) -> JobView:
        return self._jobs[slot.serial].view(slot, place)

    # -- the thread ------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        while True:
            slot, job = self._next()
            outcome, error = _perform(job)
            self._end(slot.serial, job, outcome, error)

    def _next(self) -> tuple[JobEntry, _Job]:
        with self._changed:
            while True:
                slot = self._line.begin()
                if slot is not None:
                    job = self._jobs[slot.serial]
                    job.handle, job.error = JobContext(self._clock), None
                    return slot, job
                self._changed.wait()

    def _end(self, serial: int, job: _Job, outcome: JobState, error: Message | None) -> None:
        told = False
        while True:
            with self._changed:
                slot = end_of(self._line.slot(serial), outcome)
                if told or not slot.state.ended:
                    self._line.end(serial, outcome)
                    job.error, job.ended_as = error, next(self._ends)
                    self._tidy()
                    return
            _tell(job, slot.state, error)  # without the lock: it may take a moment
            told, outcome = True, slot.state

    # -- with `_changed` held --------------------------------------------------------------------------------------
    def _pass_on(self, key: str) -> None:
        """Set the work's stop event if it is to stop."""
        slot = self._line.newest(key)
        if slot is not None and slot.wish in (PendingCommand.PAUSE, PendingCommand.STOP):
            self._jobs[slot.serial].handle.stop.set()
        self._changed.notify_all()

    def _drop_jobs(self, serials: Iterable[int]) -> None:
        for serial in serials:
            del self._jobs[serial]

    def _tidy(self) -> None:
        """Drop the jobs that ended longest ago, and wake all waiting threads."""
        for serial in sorted(self._line.ended, key=lambda serial: self._jobs[serial].ended_as)[:-KEPT_AFTER_END]:
            self._line.drop(serial)
            del self._jobs[serial]
        self._changed.notify_all()


def _tell(job: _Job, state: JobState, error: Message | None) -> None:
    if job.after is None:
        return
    try:
        job.after(state, error)
    except Exception:  # the edge of a worker: the outcome of the job itself stands
        logger.exception("%s: what follows its end failed", job.title)


def _perform(job: _Job) -> tuple[JobState, Message | None]:
    try:
        job.work(job.handle)
    except Cancelled:
        return JobState.STOPPED, None
    except VaeManagerError as error:
        logger.warning("%s: %s", job.title, error)
        return JobState.FAILED, error.message
    except (Exception, SystemExit) as error:  # the edge of a worker: the error is recorded and shown
        logger.exception("%s: unexpected error", job.title)
        return JobState.FAILED, msg(
            "{title}: something unexpected happened ({error}). The details are in the console.",
            title=job.title,
            error=f"{type(error).__name__}: {error}",
        )
    return JobState.DONE, None
