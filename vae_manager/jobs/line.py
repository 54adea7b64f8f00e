"""The jobs of a lane as plain data, and what each message makes of them: nothing here runs, waits or tells the time.

    ask ──▶ WAITING ──begin──▶ RUNNING ──end──▶ DONE, FAILED
              │  ▲               │   ▲
        pause │  │ resume        │   └── what was resumed before it had really stopped waits again, in its place
              ▼  │               │
            PAUSED ◀──end────────┤ asked to pause
              │                  │
              └──cancel──▶ STOPPED ◀──end── asked to stop

A paused job keeps its place and holds up nobody: the next one that waits begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum


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


class Wish(Enum):
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
class Slot:
    """One job's place in the line."""

    serial: int
    """Counts the askings of the lane: the same key asked for again is another job."""
    key: str
    state: JobState = JobState.WAITING
    wish: Wish = Wish.NONE

    @property
    def can_go_on(self) -> bool:
        """It is wanted: to ask for its key again changes nothing."""
        return not self.state.ended and self.wish is not Wish.STOP

    @property
    def queued(self) -> bool:
        return self.state in (JobState.WAITING, JobState.PAUSED)


Line = tuple[Slot, ...]


def newest(line: Line, key: str) -> Slot | None:
    """The slot that `key` means: of two, the later one. The earlier one is about to stop."""
    return next((slot for slot in reversed(line) if slot.key == key), None)


def place(line: Line, slot: Slot) -> int | None:
    """1 for the one that begins next; None for what does not wait."""
    waiting = [other.serial for other in line if other.state is JobState.WAITING]
    return waiting.index(slot.serial) + 1 if slot.serial in waiting else None


def ask(line: Line, key: str, serial: int) -> Line:
    """One job for each key: what waits or runs goes on, what is paused is resumed, what has ended begins anew."""
    slot = newest(line, key)
    if slot is not None and slot.can_go_on:
        return resume(line, key)
    others = tuple(other for other in line if other.key != key or not other.state.ended)
    return (*others, Slot(serial, key))


def begin(line: Line) -> tuple[Line, Slot | None]:
    """Let the first one that waits run, unless another does."""
    if any(slot.state is JobState.RUNNING for slot in line):
        return line, None
    waiting = next((slot for slot in line if slot.state is JobState.WAITING), None)
    if waiting is None:
        return line, None
    running = replace(waiting, state=JobState.RUNNING, wish=Wish.NONE)
    return _put(line, running), running


def end(line: Line, serial: int, outcome: JobState) -> Line:
    """The running job has come to its end: `outcome` is DONE, FAILED or STOPPED, which may be a pause."""

    def after(slot: Slot) -> Slot:
        state = outcome
        if outcome is JobState.STOPPED and slot.wish is Wish.PAUSE:
            state = JobState.PAUSED
        elif outcome is JobState.STOPPED and slot.wish is Wish.AGAIN:
            state = JobState.WAITING
        elif outcome is JobState.FAILED and slot.wish is Wish.STOP:
            state = JobState.STOPPED  # nobody wants to know any more
        return replace(slot, state=state, wish=Wish.NONE)

    return tuple(after(slot) if slot.serial == serial and slot.state is JobState.RUNNING else slot for slot in line)


def pause(line: Line, key: str) -> Line:
    def after(slot: Slot) -> Slot:
        if slot.state is JobState.WAITING:
            return replace(slot, state=JobState.PAUSED)
        if slot.state is JobState.RUNNING and slot.wish is not Wish.STOP:
            return replace(slot, wish=Wish.PAUSE)
        return slot

    return _change(line, key, after)


def resume(line: Line, key: str) -> Line:
    def after(slot: Slot) -> Slot:
        if slot.state is JobState.PAUSED:
            return replace(slot, state=JobState.WAITING)
        if slot.state is JobState.RUNNING and slot.wish is Wish.PAUSE:
            return replace(slot, wish=Wish.AGAIN)
        return slot

    return _change(line, key, after)


def stop(line: Line, key: str) -> Line:
    def after(slot: Slot) -> Slot:
        if slot.queued:
            return replace(slot, state=JobState.STOPPED)
        return replace(slot, wish=Wish.STOP) if slot.state is JobState.RUNNING else slot

    return _change(line, key, after)


def retry(line: Line, key: str) -> Line:
    """What has failed waits again, behind all others."""
    slot = newest(line, key)
    if slot is None or slot.state is not JobState.FAILED:
        return line
    return (*forget(line, key), replace(slot, state=JobState.WAITING))


def forget(line: Line, key: str) -> Line:
    """Drop what has ended."""
    return tuple(slot for slot in line if slot.key != key or not slot.state.ended)


def move(line: Line, key: str, step: Step) -> Line:
    """Change places with a neighbour in the queue, or go before all of it. What runs is not moved and goes on."""
    slot = newest(line, key)
    queue = [other for other in line if other.queued]
    if slot is None or slot not in queue:
        return line
    old = queue.index(slot)
    new = {Step.UP: max(0, old - 1), Step.DOWN: min(len(queue) - 1, old + 1), Step.FRONT: 0}[step]
    queue.insert(new, queue.pop(old))
    moved = iter(queue)
    return tuple(next(moved) if other.queued else other for other in line)


def _change(line: Line, key: str, after: Callable[[Slot], Slot]) -> Line:
    slot = newest(line, key)
    return line if slot is None else _put(line, after(slot))


def _put(line: Line, new: Slot) -> Line:
    return tuple(new if slot.serial == new.serial else slot for slot in line)
