"""The jobs of a lane as plain data, and the effect of each message. This module runs no job and reads no clock.

    ask ──▶ WAITING ──begin──▶ RUNNING ──end──▶ DONE, FAILED
              │  ▲               │   ▲
        pause │  │ resume        │   └── what was resumed before it had really stopped waits again, in its place
              ▼  │               │
            PAUSED ◀──end────────┤ asked to pause
              │                  │
              └──cancel──▶ STOPPED ◀──end── asked to stop

A paused job keeps its place and holds up nobody: the next one that waits begins.

A queue can hold thousands: all messages but `move` take the same time, however long it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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


class Line:
    """Slots in their order. Slots themselves never change: a message puts another one in the place of one."""

    def __init__(self, slots: Iterable[Slot] = ()) -> None:
        self._slots: dict[int, Slot] = {}
        """By serial, in the order of the line."""
        self._serials: dict[str, list[int]] = {}
        """Of each key, the newest last: at most one that ends, one that is about to stop, and one that is wanted."""
        self._ended: dict[int, None] = {}
        self._running: int | None = None
        for slot in slots:
            self._append(slot)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots.values())

    def __len__(self) -> int:
        return len(self._slots)

    # -- looking ---------------------------------------------------------------------------------------------------
    def slot(self, serial: int) -> Slot:
        return self._slots[serial]

    def newest(self, key: str) -> Slot | None:
        """The slot that `key` means: of two, the later one. The earlier one is about to stop."""
        serials = self._serials.get(key)
        return self._slots[serials[-1]] if serials else None

    def is_newest(self, slot: Slot) -> bool:
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
        self._append(Slot(serial, key))
        return dropped

    def begin(self) -> Slot | None:
        """Let the first one that waits run, unless another does."""
        if self._running is not None:
            return None
        waiting = next((slot for slot in self if slot.state is JobState.WAITING), None)
        if waiting is None:
            return None
        running = replace(waiting, state=JobState.RUNNING, wish=Wish.NONE)
        self._put(running)
        return running

    def end(self, serial: int, outcome: JobState) -> Slot:
        """Let the running job come to its end; returns its slot. `outcome` is as in `end_of`."""
        slot = end_of(self._slots[serial], outcome)
        self._put(slot)
        return slot

    def pause(self, key: str) -> None:
        def after(slot: Slot) -> Slot:
            if slot.state is JobState.WAITING:
                return replace(slot, state=JobState.PAUSED)
            if slot.state is JobState.RUNNING and slot.wish is not Wish.STOP:
                return replace(slot, wish=Wish.PAUSE)
            return slot

        self._change(key, after)

    def resume(self, key: str) -> None:
        def after(slot: Slot) -> Slot:
            if slot.state is JobState.PAUSED:
                return replace(slot, state=JobState.WAITING)
            if slot.state is JobState.RUNNING and slot.wish is Wish.PAUSE:
                return replace(slot, wish=Wish.AGAIN)
            return slot

        self._change(key, after)

    def stop(self, key: str) -> None:
        def after(slot: Slot) -> Slot:
            if slot.queued:
                return replace(slot, state=JobState.STOPPED)
            return replace(slot, wish=Wish.STOP) if slot.state is JobState.RUNNING else slot

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
    def _append(self, slot: Slot) -> None:
        self._slots[slot.serial] = slot
        self._serials.setdefault(slot.key, []).append(slot.serial)
        self._put(slot)

    def _change(self, key: str, after: Callable[[Slot], Slot]) -> None:
        slot = self.newest(key)
        if slot is not None:
            self._put(after(slot))

    def _put(self, new: Slot) -> None:
        self._slots[new.serial] = new
        if new.state is JobState.RUNNING:
            self._running = new.serial
        elif self._running == new.serial:
            self._running = None
        if new.state.ended:
            self._ended[new.serial] = None
        else:
            self._ended.pop(new.serial, None)


def end_of(slot: Slot, outcome: JobState) -> Slot:
    """The running slot after its work has ended: `outcome` is DONE, FAILED or STOPPED, which may be a pause."""
    state = outcome
    if outcome is JobState.STOPPED and slot.wish is Wish.PAUSE:
        state = JobState.PAUSED
    elif outcome is JobState.STOPPED and slot.wish is Wish.AGAIN:
        state = JobState.WAITING
    elif outcome is JobState.FAILED and slot.wish is Wish.STOP:
        state = JobState.STOPPED  # the result is no longer wanted
    return replace(slot, state=state, wish=Wish.NONE)
