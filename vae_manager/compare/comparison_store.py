"""Values of a comparison, the store of finished comparisons, and the latents of recent pictures. Importing this module
needs no torch."""

from __future__ import annotations

import enum
import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from ..messages import Message

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from ..swap.weights import Tensors
    from .metrics import Figures

    Pixels = NDArray[np.uint8]
    """uint8, [height, width, 3]."""

__all__ = [
    "Candidate",
    "Checkpoint",
    "Comparison",
    "Comparisons",
    "Decoded",
    "Encoder",
    "Model",
    "RecentLatents",
    "RecentPicture",
    "Result",
    "State",
    "Step",
]


@dataclass(frozen=True)
class Model:
    """A module with a VAE in it, and how it encodes and decodes. Used only while nothing else uses it."""

    module: torch.nn.Module
    decode: Callable[[torch.Tensor], torch.Tensor]
    """[1, channels, h, w], as the sampler has it -> [1, 3, 8 h, 8 w] of about -1 … 1."""
    encode: Callable[[torch.Tensor], torch.Tensor]
    """[1, 3, height, width] of -1 … 1 -> [1, channels, height / 8, width / 8], the same at each call."""
    device: torch.device
    wraps: bool = False
    """Its convolutions are circular at present: the picture is to be tiled."""
    factor: int = 8
    """Pixels of the picture along one side of a pixel of the latent."""
    casts: bool = True
    """A latent is handed to it in the VAE's dtype; else as the sampler has it."""
    better: torch.dtype | None = None
    """What a VAE is decoded in anew where it gives NaN; None: it is not."""


@dataclass(frozen=True)
class Candidate:
    """A VAE that is to decode."""

    vae: str
    """The choice's word: a file's name, or that of the checkpoint's own."""
    weights: Callable[[], Tensors | None]
    """Fitting the module; None: what is in it. Raises a VaeManagerError where that cannot be."""


class Step(NamedTuple):
    """How far a comparison is."""

    done: int
    total: int
    vae: str
    """The one whose turn it is."""


class Encoder(NamedTuple):
    """A picture that is to be encoded first, by the VAE in the model or `each` by itself."""

    picture: Pixels
    each: bool


@dataclass(frozen=True, eq=False)
class Decoded:
    """What one VAE made of the latent, or why it made nothing."""

    vae: str
    pixels: Pixels | None
    seconds: float
    """Of the decode alone (and, where each VAE encodes itself, of the encoding)."""
    peak: int | None = None
    """Bytes of the GPU's memory that the decode took on top; None on a CPU."""
    nan: bool = False
    """It gave NaN in the precision that the host is set to."""
    note: Message | None = None
    foreign: Message | None = None
    """Said of Built-in where it is another checkpoint's than made the picture: no infotext can tell that."""
    error: Message | None = None


@dataclass(frozen=True, eq=False)
class Result:
    """A picture with what is said of it."""

    decoded: Decoded
    figures: Figures | None = None
    """Against the reference; None for the reference itself, where there is no picture, and until they are known."""
    findings: tuple[Message, ...] = ()
    infotext: str | None = None
    """For a picture that is saved, in the host's form."""


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
    title: str | Message
    """Whose picture it is of."""
    vaes: Sequence[str]
    """The words of the choices, in the order in which they decode; the first is the reference unless there is an
    original."""
    original: Pixels | None = None
    """The picture that was encoded; None where a latent was kept."""
    infotext: str | None = None
    """Of the picture that was kept, with the VAE that decoded it then."""
    note: Message | None = None
    """What else made the picture that was shown."""
    state: State = State.WAITING
    step: Step | None = None
    results: tuple[Result, ...] = ()
    """As they have come."""
    error: Message | None = None
    waits_for: Message | None = None
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


@dataclass(frozen=True)
class Checkpoint:
    """Whose latents they are: of the model that was loaded when they were decoded, a refiner perhaps."""

    file: str
    sha256: str | None
    """As far as the host knows it then."""
    family: str | None


@dataclass(frozen=True, eq=False)
class RecentPicture:
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
    note: Message | None = None
    """What else made the picture that was shown: a comparison shows it without that."""
    why_not: Message | None = None
    """Why it cannot be compared; None: it can."""

    @property
    def nbytes(self) -> int:
        return self.latent.numel() * self.latent.element_size() if self.latent is not None else 0


class RecentLatents:
    """The last pictures, the oldest going first. Safe to use from any thread."""

    def __init__(self, bound_count: Callable[[], int], bound_bytes: Callable[[], int]) -> None:
        """The most pictures and the most bytes of latents; both are asked each time, and 0 of either keeps nothing."""
        self._bound_count, self._bound_bytes = bound_count, bound_bytes
        self._generations: tuple[Sequence[RecentPicture], ...] = ()
        self._lock = threading.Lock()

    @property
    def wanted(self) -> bool:
        return self._bound_count() > 0 and self._bound_bytes() > 0

    @property
    def nbytes(self) -> int:
        return sum(kept.nbytes for kept in self.all())

    def all(self) -> Sequence[RecentPicture]:
        """The newest first; of one generation, in the order of its pictures."""
        return [kept for generation in self._generations for kept in generation]

    def get(self, id: str) -> RecentPicture | None:
        return next((kept for kept in self.all() if kept.id == id), None)

    def of_infotext(self, infotext: str) -> RecentPicture | None:
        """The newest picture that bears this text: which one a person looks at is known by it."""
        return next((kept for kept in self.all() if kept.infotext == infotext), None)

    def put(self, pictures: Iterable[RecentPicture]) -> None:
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
            fitting: list[RecentPicture] = []
            for kept in reversed(generation):
                count, left = count - 1, left - kept.nbytes
                if count < 0 or left < 0:
                    break
                fitting.insert(0, kept)
            if fitting:
                generations.append(fitting)
        self._generations = tuple(generations)
