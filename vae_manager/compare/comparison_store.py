"""The last comparisons and their pictures, for whoever shows them: bounded, and safe to use from any thread."""

from __future__ import annotations

import enum
import itertools
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..sentences import Sentence
from .comparison_values import Result, Step

if TYPE_CHECKING:
    from .comparison_values import Pixels

__all__ = ["Comparison", "Comparisons", "State"]

MOST = 6
"""Comparisons that are remembered."""
MOST_BYTES = 256_000_000
"""Of their pictures; five of 512 × 512 take 4 MB, five of 2048 × 2048 take 63."""


class State(enum.Enum):
    WAITING = "waiting"
    """For its turn: another comparison, or a picture that is being made."""
    RUNNING = "running"
    MEASURING = "measuring"
    """All pictures are there, and not yet all figures."""
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class Comparison:
    """One comparison as it stands at one moment."""

    id: str
    title: str | Sentence
    """Whose picture it is of."""
    vaes: Sequence[str]
    """The words of the choices, in the order in which they decode; the first is the reference unless there is an
    original."""
    original: Pixels | None = None
    """The picture that was encoded; None where a latent was kept."""
    infotext: str | None = None
    """Of the picture that was kept, with the VAE that decoded it then."""
    note: Sentence | None = None
    """What else made the picture that was shown."""
    state: State = State.WAITING
    step: Step | None = None
    results: tuple[Result, ...] = ()
    """As they have come."""
    error: Sentence | None = None
    waits_for: Sentence | None = None
    seconds: float | None = None
    """From its turn to the last picture."""
    when: float = 0.0
    """Seconds since 1970: it was asked for."""

    @property
    def ended(self) -> bool:
        return self.state in (State.DONE, State.STOPPED, State.FAILED)

    @property
    def reference(self) -> str | None:
        """The VAE that the others are held against; None where they are held against the original."""
        return self.vaes[0] if self.original is None and self.vaes else None

    @property
    def lacks_reference(self) -> bool:
        """It gave no picture, so that nothing can be measured."""
        result = self.of(self.reference) if self.reference is not None else None
        return result is not None and result.decoded.pixels is None

    @property
    def nbytes(self) -> int:
        pictures = [self.original, *(result.decoded.pixels for result in self.results)]
        return sum(pixels.nbytes for pixels in pictures if pixels is not None)

    def of(self, vae: str) -> Result | None:
        return next((result for result in self.results if result.decoded.vae == vae), None)

    def with_result(self, new: Result) -> Comparison:
        """With `new` in the place of the result of the same VAE, or at the end."""
        others = [result for result in self.results if result.decoded.vae != new.decoded.vae]
        place = next((at for at, one in enumerate(self.results) if one.decoded.vae == new.decoded.vae), len(others))
        return replace(self, results=(*others[:place], new, *others[place:]))


class Comparisons:
    """By id. The longest untouched goes first; one that runs stays."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._kept: OrderedDict[str, Comparison] = OrderedDict()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def new_id(self) -> str:
        return str(next(self._numbers))

    @property
    def nbytes(self) -> int:
        with self._lock:
            return sum(comparison.nbytes for comparison in self._kept.values())

    def get(self, id: str) -> Comparison | None:
        with self._lock:
            return self._kept.get(id)

    def all(self) -> Sequence[Comparison]:
        """The newest first."""
        with self._lock:
            return tuple(reversed(self._kept.values()))

    def put(self, comparison: Comparison) -> None:
        """Remember it as it stands now."""
        with self._lock:
            self._kept[comparison.id] = comparison
            ended = [one for one in self._kept.values() if one.ended and one.id != comparison.id]
            while ended and self._too_much():
                del self._kept[ended.pop(0).id]

    def _too_much(self) -> bool:
        return len(self._kept) > self._most or sum(one.nbytes for one in self._kept.values()) > self._most_bytes
