"""The latents of the last pictures, as they went into the final decode: on the CPU, bounded in number and bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..sentences import Sentence

if TYPE_CHECKING:
    import torch

__all__ = ["Checkpoint", "Kept", "KeptLatents"]


@dataclass(frozen=True)
class Checkpoint:
    """Whose latents they are: of the model that was loaded when they were decoded, a refiner perhaps."""

    file: str
    sha256: str | None
    """As far as the host knows it then."""
    family: str | None


@dataclass(frozen=True, eq=False)
class Kept:
    """One picture, before it was one."""

    id: str
    latent: torch.Tensor | None
    """[1, channels, height / 8, width / 8], on the CPU, in the dtype in which it came to the decoder; None where a
    comparison could say nothing of the picture: see `why_not`."""
    size: tuple[int, int]
    """Width and height of the picture, in pixels."""
    when: float
    """Seconds since the epoch."""
    tab: str
    """`txt2img` or `img2img`."""
    job: str
    """The host's name for the generation; a batch has one for all its pictures."""
    number: int
    """Of the picture in its generation, from 0."""
    infotext: str
    """What the host wrote into the picture."""
    tiling: bool
    checkpoint: Checkpoint
    vae: str | None
    """The file of the VAE that decoded it; None: the checkpoint's own."""
    note: Sentence | None = None
    """What else made the picture that was shown: a comparison shows it without that."""
    why_not: Sentence | None = None
    """Why it cannot be compared; None: it can."""

    @property
    def nbytes(self) -> int:
        return self.latent.numel() * self.latent.element_size() if self.latent is not None else 0


class KeptLatents:
    """The last pictures, the oldest going first. Safe to use from any thread."""

    def __init__(self, bound_count: Callable[[], int], bound_bytes: Callable[[], int]) -> None:
        """The most pictures and the most bytes of latents; both are asked each time, and 0 of either keeps nothing."""
        self._bound_count, self._bound_bytes = bound_count, bound_bytes
        self._generations: tuple[Sequence[Kept], ...] = ()
        self._lock = threading.Lock()

    @property
    def wanted(self) -> bool:
        return self._bound_count() > 0 and self._bound_bytes() > 0

    @property
    def nbytes(self) -> int:
        return sum(kept.nbytes for kept in self.all())

    def all(self) -> Sequence[Kept]:
        """The newest first; of one generation, in the order of its pictures."""
        return [kept for generation in self._generations for kept in generation]

    def get(self, id: str) -> Kept | None:
        return next((kept for kept in self.all() if kept.id == id), None)

    def of_infotext(self, infotext: str) -> Kept | None:
        """The newest picture that bears this text: which one a person looks at is known by it."""
        return next((kept for kept in self.all() if kept.infotext == infotext), None)

    def put(self, pictures: Iterable[Kept]) -> None:
        """Add the pictures of one generation, then drop what is too much."""
        with self._lock:
            self._generations = (list(pictures), *self._generations)
            self._shrink()

    def shrink(self) -> None:
        """Drop what is too much by now: a bound may have become smaller."""
        with self._lock:
            self._shrink()

    def _shrink(self) -> None:
        """The newest stay; of one generation, its last pictures."""
        count, left = (self._bound_count(), self._bound_bytes()) if self.wanted else (0, 0)
        generations = []
        for generation in self._generations:
            fitting: list[Kept] = []
            for kept in reversed(generation):
                count, left = count - 1, left - kept.nbytes
                if count < 0 or left < 0:
                    break
                fitting.insert(0, kept)
            if fitting:
                generations.append(fitting)
        self._generations = tuple(generations)
