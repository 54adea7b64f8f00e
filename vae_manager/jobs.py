"""Background work: what waits, what runs, its progress, pause and end."""

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
SHORTEST_SECONDS = 0.5
"""Over less than this, a single block of data that came or did not come would be most of the speed."""


class SpeedMeter:
    """Speed over the last few seconds, so that it follows a line that slows down but does not jump.

    It is the plain average over the window, from its first point to its last: the figure that anybody else gets who
    counts the same bytes over the same seconds.
    """

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def add(self, now: float, done: int) -> None:
        """`done` units stood done at the moment `now` (seconds on any monotonic clock)."""
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
        return (after - before) / (last - first) if last - first >= SHORTEST_SECONDS else None

    def seconds_left(self, total: int | None, now: float | None = None) -> float | None:
        """Seconds from `now` (else from the last point) until `total` is reached at this speed; None where that cannot
        be told."""
        if total is None or not self.speed:
            return None
        last, done = self._points[-1]
        return max(0.0, (total - done) / self.speed - (0.0 if now is None else now - last))


class JobState(Enum):
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
    """What a running job has been told and may not have heard yet."""

    NONE = "none"
    PAUSE = "pause"
    STOP = "stop"
    AGAIN = "again"
    """Resumed after a pause that it is still about to obey."""


class Step(Enum):
    """Where a job goes, among those that wait or are paused."""

    UP = "up"
    DOWN = "down"
    FRONT = "front"


@dataclass(frozen=True)
class JobEntry:
    """One job's place in the line."""

    serial: int
    """Counts the askings of the lane: the same key asked for again is another job."""
    key: str
    state: JobState = JobState.WAITING
    wish: PendingCommand = PendingCommand.NONE

    @property
    def can_go_on(self) -> bool:
        """It is wanted: to ask for its key again changes nothing."""
        return not self.state.ended and self.wish is not PendingCommand.STOP

    @property
    def queued(self) -> bool:
        return self.state in (JobState.WAITING, JobState.PAUSED)


class QueueState:
    """Slots in their order. Slots themselves never change: a message puts another one in the place of one."""

    def __init__(self, slots: Iterable[JobEntry] = ()) -> None:
        self._slots: dict[int, JobEntry] = {}
        """By serial, in the order of the line."""
        self._serials: dict[str, list[int]] = {}
        """Of each key, the newest last: at most one that ends, one that is about to stop, and one that is wanted."""
        self._ended: dict[int, None] = {}
        self._running: int | None = None
        for slot in slots:
            self._append(slot)

    def __iter__(self) -> Iterator[JobEntry]:
        return iter(self._slots.values())

    def __len__(self) -> int:
        return len(self._slots)

    # -- looking ---------------------------------------------------------------------------------------------------
    def slot(self, serial: int) -> JobEntry:
        return self._slots[serial]

    def newest(self, key: str) -> JobEntry | None:
        """The slot that `key` means: of two, the later one. The earlier one is about to stop."""
        serials = self._serials.get(key)
        return self._slots[serials[-1]] if serials else None

    def is_newest(self, slot: JobEntry) -> bool:
        return self._serials[slot.key][-1] == slot.serial

    def places(self) -> dict[int, int]:
        """Positions of the waiting slots by serial: 1 for the one that begins next."""
        waiting = (slot.serial for slot in self if slot.state is JobState.WAITING)
        return {serial: place for place, serial in enumerate(waiting, 1)}

    @property
    def ended(self) -> tuple[int, ...]:
        """The serials of those that have ended."""
        return tuple(self._ended)

    # -- messages --------------------------------------------------------------------------------------------------
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
        """Let the first one that waits run, unless another does."""
        if self._running is not None:
            return None
        waiting = next((slot for slot in self if slot.state is JobState.WAITING), None)
        if waiting is None:
            return None
        running = replace(waiting, state=JobState.RUNNING, wish=PendingCommand.NONE)
        self._put(running)
        return running

    def end(self, serial: int, outcome: JobState) -> JobEntry:
        """Let the running job come to its end; returns its slot. `outcome` is as in `end_of`."""
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
        """Let a failed job wait again, behind all others; returns what was dropped."""
        slot = self.newest(key)
        if slot is None or slot.state is not JobState.FAILED:
            return []
        dropped = self.forget(key)
        self._append(replace(slot, state=JobState.WAITING))
        return [serial for serial in dropped if serial != slot.serial]

    def forget(self, key: str) -> list[int]:
        """Drop what has ended; returns the serials."""
        dropped = [serial for serial in self._serials.get(key, ()) if serial in self._ended]
        for serial in dropped:
            self.drop(serial)
        return dropped

    def drop(self, serial: int) -> None:
        """Take a slot out of the line."""
        slot = self._slots.pop(serial)
        self._ended.pop(serial, None)
        if self._running == serial:
            self._running = None
        serials = self._serials[slot.key]
        serials.remove(serial)
        if not serials:
            del self._serials[slot.key]

    def move(self, key: str, step: Step) -> None:
        """Change places with a neighbour in the queue, or go before all of it. A running job stays in place."""
        slot = self.newest(key)
        if slot is None or not slot.queued:
            return
        queue = [other for other in self if other.queued]
        old = queue.index(slot)
        new = {Step.UP: max(0, old - 1), Step.DOWN: min(len(queue) - 1, old + 1), Step.FRONT: 0}[step]
        queue.insert(new, queue.pop(old))
        moved = iter(queue)
        self._slots = {slot.serial: slot for slot in [next(moved) if one.queued else one for one in self]}

    # -- one slot --------------------------------------------------------------------------------------------------
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
    """The running slot after its work has ended: `outcome` is DONE, FAILED or STOPPED, which may be a pause."""
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
    """A job as it stood at one moment."""

    key: str
    serial: int
    """Counts the askings of this lane: the same key asked for again is another one."""
    title: str
    """What the job is about, as people know it: the name of a VAE or a file."""
    state: JobState
    phase: str = ""
    """The work's own word for what it is doing."""
    done: int = 0
    total: int | None = None
    speed: float | None = None
    """Units a second."""
    seconds_left: float | None = None
    error: Message | None = None
    wish: PendingCommand = PendingCommand.NONE
    """What it has been told and may not have heard yet."""
    place: int | None = None
    """Of one that waits: 1 for the one that begins next."""

    @property
    def stopping(self) -> bool:
        """Asked to stop for good, and not stopped yet."""
        return self.wish is PendingCommand.STOP


class JobContext:
    """What a piece of work is given: a place to report to, and the wish to stop."""

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
        """Say how far the work is, in its own units (bytes, files); `kept` of `done` were there before it began, and
        are no speed."""
        with self._lock:
            if phase != self._phase:
                self._pace = SpeedMeter()
            self._phase, self._done, self._total, self._kept = phase, done, total, kept
            self._pace.add(self._clock(), done - kept)

    def measured(self) -> tuple[str, int, int | None, float | None, float | None]:
        """Phase, done, total, speed, seconds left: of one and the same moment."""
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
        """Counts the ends of the lane's jobs: a job that waits can be stopped long before its turn."""

    def view(self, slot: JobEntry, place: int | None) -> JobView:
        phase, done, total, speed, seconds_left = self.handle.measured()
        if slot.queued:
            speed = seconds_left = None  # of the time before
        return JobView(
            slot.key, slot.serial, self.title, slot.state, phase, done, total, speed, seconds_left,
            self.error if slot.state is JobState.FAILED else None, slot.wish, place,
        )  # fmt: skip


class JobQueue:
    """Jobs in the order in which they were asked for unless they are moved, one at a time.

    A key names a piece of work: asked for twice while it waits, runs or is paused, it is one job. An ended job stays
    readable until its key is asked for again, it is forgotten, or `KEPT_AFTER_END` others have ended after it.
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

    # -- messages --------------------------------------------------------------------------------------------------
    def start(self, key: str, title: str, work: Work, after: After | None = None) -> None:
        """Put `work` at the end of the lane, unless a job of that key waits or runs already; a paused one goes on.

        A job that was asked to stop, and has not yet, is followed by the new one. `after` is told how the job has
        ended, before anybody sees it as ended.
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
        """Ask the job to stop for now; it keeps its place, and the next one begins."""
        with self._changed:
            self._line.pause(key)
            self._pass_on(key)

    def resume(self, key: str) -> None:
        with self._changed:
            self._line.resume(key)
            self._changed.notify_all()

    def stop(self, key: str) -> None:
        """Ask the job to stop for good; one that waits or is paused never starts."""
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
        """Let a failed job wait again, with the same work; False if no such job has failed."""
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

    # -- looking ---------------------------------------------------------------------------------------------------
    def views(self) -> tuple[JobView, ...]:
        """Every job that waits, runs, is paused or has lately ended, in the order of the line."""
        with self._changed:
            places = self._line.places()
            return tuple(self._view(slot, places.get(slot.serial)) for slot in self._line if self._line.is_newest(slot))

    def view(self, key: str) -> JobView | None:
        with self._changed:
            slot = self._line.newest(key)
            return self._view(slot, self._line.places().get(slot.serial)) if slot is not None else None

    def is_wanted(self, key: str) -> bool:
        """A job of that key waits, runs or is paused, and was not asked to stop."""
        with self._changed:
            slot = self._line.newest(key)
            return slot is not None and slot.can_go_on

    def wait(self, key: str, timeout: float | None = None) -> JobView | None:
        """Block until the job has ended; for callers that have a thread to spare."""

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
            _tell(job, slot.state, error)  # with nothing held: it may take a moment
            told, outcome = True, slot.state

    # -- with `_changed` held --------------------------------------------------------------------------------------
    def _pass_on(self, key: str) -> None:
        """Let the work hear that it is to stop."""
        slot = self._line.newest(key)
        if slot is not None and slot.wish in (PendingCommand.PAUSE, PendingCommand.STOP):
            self._jobs[slot.serial].handle.stop.set()
        self._changed.notify_all()

    def _drop_jobs(self, serials: Iterable[int]) -> None:
        for serial in serials:
            del self._jobs[serial]

    def _tidy(self) -> None:
        """Drop those that ended too long ago, and wake whoever waits."""
        for serial in sorted(self._line.ended, key=lambda serial: self._jobs[serial].ended_as)[:-KEPT_AFTER_END]:
            self._line.drop(serial)
            del self._jobs[serial]
        self._changed.notify_all()


def _tell(job: _Job, state: JobState, error: Message | None) -> None:
    if job.after is None:
        return
    try:
        job.after(state, error)
    except Exception:  # the edge of a worker: how the job itself ended stands
        logger.exception("%s: what follows its end failed", job.title)


def _perform(job: _Job) -> tuple[JobState, Message | None]:
    try:
        job.work(job.handle)
    except Cancelled:
        return JobState.STOPPED, None
    except VaeManagerError as error:
        logger.warning("%s: %s", job.title, error)
        return JobState.FAILED, error.message
    except (Exception, SystemExit) as error:  # the edge of a worker: it is recorded and shown
        logger.exception("%s: unexpected error", job.title)
        return JobState.FAILED, msg(
            "{title}: something unexpected happened ({error}). The details are in the console.",
            title=job.title,
            error=f"{type(error).__name__}: {error}",
        )
    return JobState.DONE, None
