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

logger = logging.getLogger(__name__)

KEPT_AFTER_END = 20


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
        """True if the job will not run again, unless it is retried or its key requested anew."""
        return self in (JobState.DONE, JobState.FAILED, JobState.STOPPED)


class PendingCommand(Enum):
    """A command to a running job that it may not have obeyed yet."""

    NONE = "none"
    PAUSE = "pause"
    STOP = "stop"
    RESUME = "again"
    """Resumed after a pause that the job has not obeyed yet."""


class Move(Enum):
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
    command: PendingCommand = PendingCommand.NONE

    @property
    def is_active(self) -> bool:
        """True if a new request of its key has no effect."""
        return not self.state.ended and self.command is not PendingCommand.STOP

    @property
    def is_queued(self) -> bool:
        """True if it has a place in the order that `Move` changes."""
        return self.state in (JobState.WAITING, JobState.PAUSED)


class QueueState:
    """Job entries in their order. An entry is immutable: each command replaces it by another one."""

    def __init__(self, entries: Iterable[JobEntry] = ()) -> None:
        self._entries: dict[int, JobEntry] = {}
        """By serial, in the order of the queue."""
        self._serials: dict[str, list[int]] = {}
        """Serials of each key, the newest last: at most one that ends, one that will stop, and one that is wanted."""
        self._ended: dict[int, None] = {}
        self._running: int | None = None
        for entry in entries:
            self._append(entry)

    def __iter__(self) -> Iterator[JobEntry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    # -- reading -------------------------------------------------------------------------------------------------------
    def entry(self, serial: int) -> JobEntry:
        """Return the entry of that serial. Raises KeyError if it was dropped."""
        return self._entries[serial]

    def newest(self, key: str) -> JobEntry | None:
        """Return the entry of `key`: of two, the later one. The earlier one will stop."""
        serials = self._serials.get(key)
        return self._entries[serials[-1]] if serials else None

    def is_newest(self, entry: JobEntry) -> bool:
        """Return False for a job that is to stop and is followed by another request of its key."""
        return self._serials[entry.key][-1] == entry.serial

    def positions(self) -> dict[int, int]:
        """Return the positions of the waiting entries by serial: 1 for the next one."""
        waiting = (entry.serial for entry in self if entry.state is JobState.WAITING)
        return {serial: position for position, serial in enumerate(waiting, 1)}

    @property
    def ended(self) -> tuple[int, ...]:
        """The serials of the ended entries."""
        return tuple(self._ended)

    # -- commands ------------------------------------------------------------------------------------------------------
    def request(self, key: str, serial: int) -> list[int]:
        """Keep one job per key: a waiting or running one continues, a paused one is resumed, an ended one begins anew.

        Returns:
            The jobs that were dropped.
        """
        entry = self.newest(key)
        if entry is not None and entry.is_active:
            self.resume(key)
            return []
        dropped = self.forget(key)
        self._append(JobEntry(serial, key))
        return dropped

    def start_next(self) -> JobEntry | None:
        """Start the first waiting job, unless another runs."""
        if self._running is not None:
            return None
        waiting = next((entry for entry in self if entry.state is JobState.WAITING), None)
        if waiting is None:
            return None
        running = replace(waiting, state=JobState.RUNNING, command=PendingCommand.NONE)
        self._put(running)
        return running

    def end(self, serial: int, outcome: JobState) -> JobEntry:
        """End the running job; return its entry. `outcome` is as in `end_of`."""
        entry = end_of(self._entries[serial], outcome)
        self._put(entry)
        return entry

    def pause(self, key: str) -> None:
        """Pause a waiting job at once; a running one gets the command. Other states and stopping jobs stay."""

        def transition(entry: JobEntry) -> JobEntry:
            if entry.state is JobState.WAITING:
                return replace(entry, state=JobState.PAUSED)
            if entry.state is JobState.RUNNING and entry.command is not PendingCommand.STOP:
                return replace(entry, command=PendingCommand.PAUSE)
            return entry

        self._change(key, transition)

    def resume(self, key: str) -> None:
        """Let a paused job wait again; a running one that has not obeyed its pause yet will wait after it."""

        def transition(entry: JobEntry) -> JobEntry:
            if entry.state is JobState.PAUSED:
                return replace(entry, state=JobState.WAITING)
            if entry.state is JobState.RUNNING and entry.command is PendingCommand.PAUSE:
                return replace(entry, command=PendingCommand.RESUME)
            return entry

        self._change(key, transition)

    def stop(self, key: str) -> None:
        """End a waiting or paused job at once; a running one gets the command. An ended job stays."""

        def transition(entry: JobEntry) -> JobEntry:
            if entry.is_queued:
                return replace(entry, state=JobState.STOPPED)
            return replace(entry, command=PendingCommand.STOP) if entry.state is JobState.RUNNING else entry

        self._change(key, transition)

    def retry(self, key: str) -> list[int]:
        """Queue a failed job again, behind all others; return the dropped serials."""
        entry = self.newest(key)
        if entry is None or entry.state is not JobState.FAILED:
            return []
        dropped = self.forget(key)
        self._append(replace(entry, state=JobState.WAITING))
        return [serial for serial in dropped if serial != entry.serial]

    def forget(self, key: str) -> list[int]:
        """Drop the ended entries of a key; return their serials."""
        dropped = [serial for serial in self._serials.get(key, ()) if serial in self._ended]
        for serial in dropped:
            self.drop(serial)
        return dropped

    def drop(self, serial: int) -> None:
        """Remove an entry from the queue."""
        entry = self._entries.pop(serial)
        self._ended.pop(serial, None)
        if self._running == serial:
            self._running = None
        serials = self._serials[entry.key]
        serials.remove(serial)
        if not serials:
            del self._serials[entry.key]

    def move(self, key: str, step: Move) -> None:
        """Exchange a job with its neighbour in the queue, or move it to the front. A running job stays in place."""
        entry = self.newest(key)
        if entry is None or not entry.is_queued:
            return
        queue = [other for other in self if other.is_queued]
        old = queue.index(entry)
        new = {Move.UP: max(0, old - 1), Move.DOWN: min(len(queue) - 1, old + 1), Move.FRONT: 0}[step]
        queue.insert(new, queue.pop(old))
        moved = iter(queue)
        self._entries = {entry.serial: entry for entry in [next(moved) if one.is_queued else one for one in self]}

    # -- one entry -------------------------------------------------------------------------------------------------
    def _append(self, entry: JobEntry) -> None:
        self._entries[entry.serial] = entry
        self._serials.setdefault(entry.key, []).append(entry.serial)
        self._put(entry)

    def _change(self, key: str, transition: Callable[[JobEntry], JobEntry]) -> None:
        entry = self.newest(key)
        if entry is not None:
            self._put(transition(entry))

    def _put(self, new: JobEntry) -> None:
        self._entries[new.serial] = new
        if new.state is JobState.RUNNING:
            self._running = new.serial
        elif self._running == new.serial:
            self._running = None
        if new.state.ended:
            self._ended[new.serial] = None
        else:
            self._ended.pop(new.serial, None)


def end_of(entry: JobEntry, outcome: JobState) -> JobEntry:
    """Return the running entry after its end: `outcome` is DONE, FAILED or STOPPED, which may be a pause."""
    state = outcome
    if outcome is JobState.STOPPED and entry.command is PendingCommand.PAUSE:
        state = JobState.PAUSED
    elif outcome is JobState.STOPPED and entry.command is PendingCommand.RESUME:
        state = JobState.WAITING
    elif outcome is JobState.FAILED and entry.command is PendingCommand.STOP:
        state = JobState.STOPPED  # the result is no longer wanted
    return replace(entry, state=state, command=PendingCommand.NONE)


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
    command: PendingCommand = PendingCommand.NONE
    """A command that the job may not have obeyed yet."""
    position: int | None = None
    """Position of a waiting job: 1 for the next one."""

    @property
    def is_stopping(self) -> bool:
        """True if it was asked to stop for good, and has not stopped yet."""
        return self.command is PendingCommand.STOP


class JobContext:
    """The work's link to its job: the progress report, and the event that stops it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.stop = threading.Event()
        self._clock = clock
        self._lock = threading.Lock()
        self._speed_meter = SpeedMeter()
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
                self._speed_meter = SpeedMeter()
            self._phase, self._done, self._total, self._kept = phase, done, total, kept
            self._speed_meter.add(self._clock(), done - kept)

    def snapshot(self) -> tuple[str, int, int | None, float | None, float | None]:
        """Return phase, done, total, speed and seconds left, all of one moment."""
        with self._lock:
            to_come = None if self._total is None else self._total - self._kept
            left = self._speed_meter.seconds_left(to_come, self._clock())
            return self._phase, self._done, self._total, self._speed_meter.speed, left


Work = Callable[[JobContext], None]
OnEnd = Callable[[JobState, Message | None], None]


class _Job:
    def __init__(self, title: str, work: Work, on_end: OnEnd | None, clock: Callable[[], float]) -> None:
        self.title, self.work, self.on_end = title, work, on_end
        self.context = JobContext(clock)
        self.error: Message | None = None
        self.end_number = 0
        """Number of the end among those of the queue's jobs: a waiting job can be stopped long before its turn."""

    def view(self, entry: JobEntry, position: int | None) -> JobView:
        phase, done, total, speed, seconds_left = self.context.snapshot()
        if entry.is_queued:
            speed = seconds_left = None  # of the time before
        return JobView(
            entry.key, entry.serial, self.title, entry.state, phase, done, total, speed, seconds_left,
            self.error if entry.state is JobState.FAILED else None, entry.command, position,
        )  # fmt: skip


class JobQueue:
    """A queue of jobs, one at a time, in the order of their requests unless they are moved.

    A key names a piece of work: requests of the same key while it waits, runs or is paused are one job. An ended job
    stays readable until its key is requested again, it is forgotten, or `KEPT_AFTER_END` others have ended after it.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._state = QueueState()
        self._jobs: dict[int, _Job] = {}
        self._serials = itertools.count(1)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ends = itertools.count()

    # -- commands ------------------------------------------------------------------------------------------------------
    def start(self, key: str, title: str, work: Work, on_end: OnEnd | None = None) -> None:
        """Queue `work`, unless a job of that key waits or runs already; a paused one is resumed.

        A job that was asked to stop, and has not yet, is followed by the new one. `on_end` receives the outcome of the
        job before it appears as ended.
        """
        with self._changed:
            entry = self._state.newest(key)
            if entry is not None and entry.is_active:
                self._state.resume(key)
            else:
                serial = next(self._serials)
                self._drop_jobs(self._state.request(key, serial))
                self._jobs[serial] = _Job(title, work, on_end, self._clock)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"vae-manager {self._name}", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def pause(self, key: str) -> None:
        """Pause the job; it keeps its place, and the next one begins."""
        with self._changed:
            self._state.pause(key)
            self._signal(key)

    def resume(self, key: str) -> None:
        """Let a job that is paused, or about to pause, wait for its turn again; its work then begins anew."""
        with self._changed:
            self._state.resume(key)
            self._changed.notify_all()

    def stop(self, key: str) -> None:
        """Stop the job for good; a waiting or paused one never starts."""
        with self._changed:
            entry = self._state.newest(key)
            stopped_at_once = entry is not None and entry.is_queued
            self._state.stop(key)
            self._signal(key)
            if entry is None or not stopped_at_once:
                return
            job = self._jobs[entry.serial]
            job.end_number = next(self._ends)
        _notify(job, JobState.STOPPED, None)
        with self._changed:
            self._tidy()

    def retry(self, key: str) -> bool:
        """Queue a failed job again, with the same work; return False if no such job has failed."""
        with self._changed:
            entry = self._state.newest(key)
            self._drop_jobs(self._state.retry(key))
            self._changed.notify_all()
            return entry is not None and entry.state is JobState.FAILED

    def move(self, key: str, step: Move) -> None:
        """Move a waiting or paused job in the order; a running, ended or unknown one stays."""
        with self._changed:
            self._state.move(key, step)

    def forget(self, key: str) -> None:
        """Drop an ended job from view."""
        with self._changed:
            self._drop_jobs(self._state.forget(key))
            self._changed.notify_all()

    # -- reading -------------------------------------------------------------------------------------------------------
    def views(self) -> tuple[JobView, ...]:
        """Return every job that waits, runs, is paused or has lately ended, in the order of the queue."""
        with self._changed:
            positions = self._state.positions()
            return tuple(
                self._view(entry, positions.get(entry.serial)) for entry in self._state if self._state.is_newest(entry)
            )

    def view(self, key: str) -> JobView | None:
        """Return the newest job of that key; None if there was no such job, or it was dropped."""
        with self._changed:
            entry = self._state.newest(key)
            return self._view(entry, self._state.positions().get(entry.serial)) if entry is not None else None

    def is_wanted(self, key: str) -> bool:
        """Return True if a job of that key waits, runs or is paused, and was not asked to stop."""
        with self._changed:
            entry = self._state.newest(key)
            return entry is not None and entry.is_active

    def wait(self, key: str, timeout: float | None = None) -> JobView | None:
        """Block until the job has ended; for callers with a thread to spare."""

        def has_ended() -> bool:
            entry = self._state.newest(key)
            return entry is None or entry.state.ended

        with self._changed:
            self._changed.wait_for(has_ended, timeout)
        return self.view(key)

    def _view(self, entry: JobEntry, position: int | None) -> JobView:
        return self._jobs[entry.serial].view(entry, position)

    # -- the thread ------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        while True:
            entry, job = self._next()
            outcome, error = _perform(job)
            self._end(entry.serial, job, outcome, error)

    def _next(self) -> tuple[JobEntry, _Job]:
        with self._changed:
            while True:
                entry = self._state.start_next()
                if entry is not None:
                    job = self._jobs[entry.serial]
                    job.context, job.error = JobContext(self._clock), None
                    return entry, job
                self._changed.wait()

    def _end(self, serial: int, job: _Job, outcome: JobState, error: Message | None) -> None:
        is_notified = False
        while True:
            with self._changed:
                entry = end_of(self._state.entry(serial), outcome)
                if is_notified or not entry.state.ended:
                    self._state.end(serial, outcome)
                    job.error, job.end_number = error, next(self._ends)
                    self._tidy()
                    return
            _notify(job, entry.state, error)  # without the lock: it may take a moment
            is_notified, outcome = True, entry.state

    # -- with `_changed` held --------------------------------------------------------------------------------------
    def _signal(self, key: str) -> None:
        """Set the work's stop event if it is to stop."""
        entry = self._state.newest(key)
        if entry is not None and entry.command in (PendingCommand.PAUSE, PendingCommand.STOP):
            self._jobs[entry.serial].context.stop.set()
        self._changed.notify_all()

    def _drop_jobs(self, serials: Iterable[int]) -> None:
        for serial in serials:
            del self._jobs[serial]

    def _tidy(self) -> None:
        """Drop the jobs that ended longest ago, and wake all waiting threads."""
        for serial in sorted(self._state.ended, key=lambda serial: self._jobs[serial].end_number)[:-KEPT_AFTER_END]:
            self._state.drop(serial)
            del self._jobs[serial]
        self._changed.notify_all()


def _notify(job: _Job, state: JobState, error: Message | None) -> None:
    if job.on_end is None:
        return
    try:
        job.on_end(state, error)
    except Exception:  # the edge of a worker: the outcome of the job itself stands
        logger.exception("%s: what follows its end failed", job.title)


def _perform(job: _Job) -> tuple[JobState, Message | None]:
    try:
        job.work(job.context)
    except Cancelled:
        return JobState.STOPPED, None
    except VaeManagerError as error:
        logger.warning("%s: %s", job.title, error)
        return JobState.FAILED, error.message
    except (Exception, SystemExit) as error:  # the edge of a worker: the error is recorded and shown
        logger.exception("%s: unexpected error", job.title)
        return JobState.FAILED, msg(
            "{title}: something unexpected happened ({error}). The details are in the console.",
            code="unexpected-error",
            title=job.title,
            error=f"{type(error).__name__}: {error}",
        )
    return JobState.DONE, None
