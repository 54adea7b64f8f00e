"""A lane runs jobs one after another on a thread of its own.

The thread is a daemon and starts with the first job: the WebUI leaves by `os._exit`, so nothing here depends on being
told that the process ends.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from ..errors import Cancelled, VaeManagerError
from ..sentences import Sentence, say
from .pace import Pace

logger = logging.getLogger(__name__)

KEPT_AFTER_END = 20


class JobState(Enum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def ended(self) -> bool:
        return self in (JobState.DONE, JobState.FAILED, JobState.STOPPED)


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
    error: Sentence | None = None


class Handle:
    """What a piece of work is given: a place to report to, and the wish to stop."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.stop = threading.Event()
        self._clock = clock
        self._lock = threading.Lock()
        self._pace = Pace()
        self._phase = ""
        self._done = 0
        self._total: int | None = None

    def report(self, phase: str, done: int, total: int | None) -> None:
        """Say how far the work is; `done` and `total` are in the work's own units (bytes, files)."""
        with self._lock:
            if phase != self._phase:
                self._pace = Pace()
            self._phase, self._done, self._total = phase, done, total
            self._pace.add(self._clock(), done)

    def measured(self) -> tuple[str, int, int | None, float | None, float | None]:
        """Phase, done, total, speed, seconds left: of one and the same moment."""
        with self._lock:
            return self._phase, self._done, self._total, self._pace.speed, self._pace.seconds_left(self._total)


Work = Callable[[Handle], None]


class _Job:
    def __init__(self, key: str, serial: int, title: str, work: Work, clock: Callable[[], float]) -> None:
        self.key, self.serial, self.title, self.work = key, serial, title, work
        self.handle = Handle(clock)
        self.state = JobState.WAITING
        self.error: Sentence | None = None
        self.ended_as = 0
        """Counts the ends of the lane's jobs: a job that waits can be stopped long before its turn."""

    def view(self) -> JobView:
        phase, done, total, speed, seconds_left = self.handle.measured()
        return JobView(
            self.key, self.serial, self.title, self.state, phase, done, total, speed, seconds_left, self.error
        )


class Lane:
    """Jobs in the order in which they were asked for, one at a time.

    A key names a piece of work: asked for twice while it waits or runs, it is one job. An ended job stays readable
    until its key is asked for again, it is forgotten, or `KEPT_AFTER_END` others have ended after it.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._clock = clock
        self._jobs: dict[str, _Job] = {}
        self._asked = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ends = itertools.count()

    def start(self, key: str, title: str, work: Work) -> None:
        """Put `work` at the end of the lane, unless a job of that key waits or runs already.

        A job that was asked to stop, and has not yet, is followed by the new one.
        """
        with self._changed:
            running = self._jobs.get(key)
            if running is not None and not running.state.ended and not running.handle.stop.is_set():
                return
            self._jobs.pop(key, None)
            self._asked += 1
            self._jobs[key] = _Job(key, self._asked, title, work, self._clock)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"vae-manager {self._name}", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def stop(self, key: str) -> None:
        """Ask the job to stop; one that still waits never starts."""
        with self._changed:
            job = self._jobs.get(key)
            if job is None or job.state.ended:
                return
            job.handle.stop.set()
            if job.state is JobState.WAITING:
                self._end(job, JobState.STOPPED, None)

    def forget(self, key: str) -> None:
        """Drop an ended job from view."""
        with self._changed:
            job = self._jobs.get(key)
            if job is not None and job.state.ended:
                del self._jobs[key]

    def views(self) -> tuple[JobView, ...]:
        """Every job that waits, runs or has lately ended, in the order of asking."""
        with self._changed:
            return tuple(job.view() for job in self._jobs.values())

    def view(self, key: str) -> JobView | None:
        with self._changed:
            job = self._jobs.get(key)
            return job.view() if job is not None else None

    def wait(self, key: str, timeout: float | None = None) -> JobView | None:
        """Block until the job has ended; for callers that have a thread to spare."""
        with self._changed:
            self._changed.wait_for(lambda: key not in self._jobs or self._jobs[key].state.ended, timeout)
        return self.view(key)

    def _next(self) -> _Job:
        with self._changed:
            while True:
                for job in self._jobs.values():
                    if job.state is JobState.WAITING:
                        job.state = JobState.RUNNING
                        return job
                self._changed.wait()

    def _run(self) -> None:
        while True:
            job = self._next()
            state, error = _perform(job)
            with self._changed:
                self._end(job, state, error)

    def _end(self, job: _Job, state: JobState, error: Sentence | None) -> None:
        """Note what became of the job and drop those that ended too long ago; `_changed` is held."""
        job.state, job.error, job.ended_as = state, error, next(self._ends)
        ended = [other for other in self._jobs.values() if other.state.ended]
        for other in sorted(ended, key=lambda one: one.ended_as)[:-KEPT_AFTER_END]:
            del self._jobs[other.key]
        self._changed.notify_all()


def _perform(job: _Job) -> tuple[JobState, Sentence | None]:
    try:
        job.work(job.handle)
    except Cancelled:
        return JobState.STOPPED, None
    except VaeManagerError as error:
        logger.warning("%s: %s", job.title, error)
        return JobState.FAILED, error.sentence
    except (Exception, SystemExit) as error:  # the edge of a worker: it is recorded and shown
        logger.exception("%s: unexpected error", job.title)
        return JobState.FAILED, say(
            "{title}: something unexpected happened ({error}). The details are in the console.",
            title=job.title,
            error=f"{type(error).__name__}: {error}",
        )
    return JobState.DONE, None
