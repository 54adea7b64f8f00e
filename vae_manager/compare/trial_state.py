"""The state of a trial in a WebUI at one moment, and the store of the last one."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from ..messages import Message
from .comparison_store import State
from .trial import Finding, TrialStep
from .trial_card import Crop

__all__ = ["TrialState", "Trials"]


@dataclass(frozen=True, eq=False)
class TrialState:
    """One trial."""

    id: str
    title: Message
    """The origin of the pictures."""
    vaes: Sequence[str]
    """The names of the choices."""
    checkpoint: str | None = None
    """The file of the checkpoint that is loaded at its begin."""
    note: Message | None = None
    """What the result has to be read with."""
    state: State = State.WAITING
    step: TrialStep | None = None
    finding: Finding | None = None
    """The result so far."""
    crops: Sequence[Crop] = ()
    """The worst parts, side by side."""
    error: Message | None = None
    waits_for: Message | None = None
    when: float = 0.0
    """Time of the request, in seconds since 1970."""

    @property
    def ended(self) -> bool:
        """True if its state is final."""
        return self.state in (State.DONE, State.STOPPED, State.FAILED)


class Trials:
    """The last trial. Safe to use from any thread."""

    def __init__(self) -> None:
        self._now: TrialState | None = None
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def new_id(self) -> str:
        """Return a number as text, which counts from 1 in each process; no comparison has that id."""
        return f"trial-{next(self._numbers)}"

    @property
    def now(self) -> TrialState | None:
        """The last trial that was asked for."""
        return self._now

    def begin(self, state: TrialState) -> None:
        """Show a new trial; the one before is dropped."""
        with self._lock:
            self._now = state

    def put(self, state: TrialState) -> None:
        """Store the current state of a trial, unless another one is shown by now."""
        with self._lock:
            if self._now is None or self._now.id == state.id:
                self._now = state

    def forget(self) -> None:
        """Drop the last trial, if it has ended."""
        with self._lock:
            if self._now is not None and self._now.ended:
                self._now = None
