"""Values of a comparison, the store of finished comparisons, and the latents of recent pictures.

Importing this module needs no torch.
"""

from __future__ import annotations

import enum
import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
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
    "ComparisonStep",
    "Comparisons",
    "Decoded",
    "Encoder",
    "FirstLook",
    "Model",
    "RecentLatents",
    "RecentPicture",
    "Result",
    "State",
]

MAX_COMPARISONS = 6
"""Comparisons that the store keeps."""
MAX_BYTES = 256_000_000
"""Bytes of their pictures; five of 512 × 512 take 4 MB, five of 2048 × 2048 take 63."""


@dataclass(frozen=True)
class Model:
    """A module with a VAE in it and its encode and decode functions.

    Use it only while no other code uses the module.
    """

    module: torch.nn.Module
    decode: Callable[[torch.Tensor], torch.Tensor]
    """[1, channels, h, w], as the sampler has it -> [1, 3, 8 h, 8 w] of about -1 … 1."""
    encode: Callable[[torch.Tensor], torch.Tensor]
    """[1, 3, height, width] of -1 … 1 -> [1, channels, height / 8, width / 8], the same at each call."""
    device: torch.device
    wraps: bool = False
    """Its convolutions are circular at present: the picture can be tiled."""
    factor: int = 8
    """Pixels of the picture along one side of a pixel of the latent."""
    casts: bool = True
    """A latent is converted to the VAE's dtype before decoding; else it keeps the sampler's."""
    better: torch.dtype | None = None
    """The dtype for a second decode after NaN; None: there is no second decode."""
    running_in: Callable[[torch.dtype], AbstractContextManager[None]] = lambda dtype: nullcontext()
    """Lets the host convert latents to the dtype of lent weights, inside the `with` statement."""


@dataclass(frozen=True)
class Candidate:
    """A VAE that is to decode."""

    vae: str
    """The name of the choice: a file's name, or that of the checkpoint's own VAE."""
    weights: Callable[[], Tensors | None]
    """Returns weights that fit the module; None: those in it. Raises a VaeManagerError without weights."""


class ComparisonStep(NamedTuple):
    """The progress of a comparison."""

    done: int
    total: int
    vae: str
    """The VAE that is decoding."""


class Encoder(NamedTuple):
    """A picture to encode first, by the VAE in the model or `each` by itself."""

    picture: Pixels
    each: bool


@dataclass(frozen=True, eq=False)
class Decoded:
    """The picture that one VAE decoded, or the reason for its absence."""

    vae: str
    pixels: Pixels | None
    seconds: float
    """Of the decode alone, and of the encoding if each VAE encodes itself."""
    peak: int | None = None
    """Bytes of GPU memory that the decode took on top of those in use; None on a CPU."""
    nan: bool = False
    """The first decode gave NaN in the precision that the host is set to."""
    note: Message | None = None
    foreign: Message | None = None
    """The note for Built-in if the picture came from another checkpoint, which no infotext shows."""
    error: Message | None = None


@dataclass(frozen=True, eq=False)
class FirstLook:
    """A part of the picture that one VAE decoded alone, before the whole."""

    vae: str
    pixels: Pixels
    top: int
    """Its first row in the whole picture."""
    left: int
    seconds: float
    """Of the decode alone."""
    error: int | None = None
    """The largest difference from the whole picture, in levels of 255; None until that is decoded."""


@dataclass(frozen=True, eq=False)
class Result:
    """A decoded picture with its metrics."""

    decoded: Decoded
    figures: Figures | None = None
    """Against the reference; None for the reference itself, without a picture, and until they are measured."""
    findings: tuple[Message, ...] = ()
    infotext: str | None = None
    """The text for a saved picture, in the host's form."""


class State(enum.Enum):
    """The stage of a comparison."""

    WAITING = "waiting"
    """Waiting for another comparison, or for a picture that is being generated."""
    RUNNING = "running"
    MEASURING = "measuring"
    """All pictures are decoded, and some metrics are not measured yet."""
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class Comparison:
    """The state of one comparison at one moment."""

    id: str
    title: str | Message
    """The origin of the picture."""
    vaes: Sequence[str]
    """The names of the choices in decoding order; the first is the reference unless there is an original."""
    original: Pixels | None = None
    """The picture that was encoded; None if a latent was kept."""
    infotext: str | None = None
    """Of the kept picture, with the VAE that decoded it then."""
    note: Message | None = None
    """Other processing that the shown picture went through."""
    state: State = State.WAITING
    step: ComparisonStep | None = None
    results: tuple[Result, ...] = ()
    """In the order of decoding."""
    looks: tuple[FirstLook, ...] = ()
    """First looks, as far as they are decoded; empty if the whole takes little longer."""
    error: Message | None = None
    waits_for: Message | None = None
    seconds: float | None = None
    """From the start of its turn to the last picture."""
    when: float = 0.0
    """Time of the request, in seconds since 1970."""

    @property
    def ended(self) -> bool:
        """True if its state is final; only then can the store drop it."""
        return self.state in (State.DONE, State.STOPPED, State.FAILED)

    @property
    def reference(self) -> str | None:
        """The VAE that the others are compared with; None if the original is the reference."""
        return self.vaes[0] if self.original is None and self.vaes else None

    @property
    def lacks_reference(self) -> bool:
        """True if the reference gave no picture, so that no metric can be measured."""
        result = self.of(self.reference) if self.reference is not None else None
        return result is not None and result.decoded.pixels is None

    @property
    def nbytes(self) -> int:
        """Bytes of the original and of all decoded pictures, uncompressed."""
        looks = (look.pixels for look in self.looks)
        pictures = [self.original, *(result.decoded.pixels for result in self.results), *looks]
        return sum(pixels.nbytes for pixels in pictures if pixels is not None)

    def of(self, vae: str) -> Result | None:
        """Return the result of that choice; None until it has been decoded."""
        return next((result for result in self.results if result.decoded.vae == vae), None)

    def look_of(self, vae: str) -> FirstLook | None:
        """Return the first look of that choice, if there is one."""
        return next((look for look in self.looks if look.vae == vae), None)

    def with_look(self, new: FirstLook) -> Comparison:
        """Return a copy with `new` in the place of the first look of the same VAE, or at the end."""
        looks = {look.vae: look for look in self.looks} | {new.vae: new}
        return replace(self, looks=tuple(looks.values()))

    def with_result(self, new: Result) -> Comparison:
        """Return a copy with `new` in the place of the result of the same VAE, or at the end."""
        others = [result for result in self.results if result.decoded.vae != new.decoded.vae]
        place = next((at for at, one in enumerate(self.results) if one.decoded.vae == new.decoded.vae), len(others))
        return replace(self, results=(*others[:place], new, *others[place:]))


class Comparisons:
    """Comparisons by id. The longest untouched goes first; a running one stays."""

    def __init__(self, most: int = MAX_COMPARISONS, most_bytes: int = MAX_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._kept: OrderedDict[str, Comparison] = OrderedDict()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def new_id(self) -> str:
        """Return a number as text, which counts from 1 in each process."""
        return str(next(self._numbers))

    @property
    def nbytes(self) -> int:
        """Bytes of all kept pictures, which the bound `most_bytes` applies to."""
        with self._lock:
            return sum(comparison.nbytes for comparison in self._kept.values())

    def get(self, id: str) -> Comparison | None:
        """Return the last stored state; None if it was dropped, or is of an earlier process."""
        with self._lock:
            return self._kept.get(id)

    def all(self) -> Sequence[Comparison]:
        """Return the comparisons, newest first."""
        with self._lock:
            return tuple(reversed(self._kept.values()))

    def put(self, comparison: Comparison) -> None:
        """Store the current state of a comparison."""
        with self._lock:
            self._kept[comparison.id] = comparison
            ended = [one for one in self._kept.values() if one.ended and one.id != comparison.id]
            while ended and self._too_much():
                del self._kept[ended.pop(0).id]

    def _too_much(self) -> bool:
        return len(self._kept) > self._most or sum(one.nbytes for one in self._kept.values()) > self._most_bytes


@dataclass(frozen=True)
class Checkpoint:
    """The checkpoint that was loaded when the latents were decoded, possibly a refiner."""

    file: str
    sha256: str | None
    """As far as the host knows it at that time."""
    family: str | None


@dataclass(frozen=True, eq=False)
class RecentPicture:
    """One picture as its latent before decoding."""

    id: str
    latent: torch.Tensor | None
    """[1, channels, height / 8, width / 8], on the CPU, in the dtype of the decoder's input; None if the picture cannot
    be compared: see `why_not`."""
    size: tuple[int, int]
    """Width and height of the picture, in pixels."""
    when: float
    """Seconds since the epoch."""
    tab: str
    """`txt2img` or `img2img`."""
    job: str
    """The host's id of the generation, shared by all pictures of a batch."""
    number: int
    """Index of the picture in its generation, from 0."""
    infotext: str
    """The text that the host wrote into the picture."""
    tiling: bool
    checkpoint: Checkpoint
    vae: str | None
    """The file of the VAE that decoded it; None: the checkpoint's own."""
    note: Message | None = None
    """Other processing of the shown picture: a comparison shows it without that."""
    why_not: Message | None = None
    """The reason that it cannot be compared; None: it can."""

    @property
    def nbytes(self) -> int:
        """Bytes of the latent in main memory; 0 without one."""
        return self.latent.numel() * self.latent.element_size() if self.latent is not None else 0


class RecentLatents:
    """The latents of the last pictures, the oldest going first. Safe to use from any thread."""

    def __init__(self, bound_count: Callable[[], int], bound_bytes: Callable[[], int]) -> None:
        """Make an empty store.

        Args:
            bound_count: Returns the most pictures; called each time. 0 disables the store.
            bound_bytes: Returns the most bytes of latents; called each time. 0 disables the store.
        """
        self._bound_count, self._bound_bytes = bound_count, bound_bytes
        self._generations: tuple[Sequence[RecentPicture], ...] = ()
        self._lock = threading.Lock()

    @property
    def wanted(self) -> bool:
        """True if neither bound is 0. Hosts read it before they copy a latent from the GPU."""
        return self._bound_count() > 0 and self._bound_bytes() > 0

    @property
    def nbytes(self) -> int:
        """Bytes of all kept latents in main memory."""
        return sum(kept.nbytes for kept in self.all())

    def all(self) -> Sequence[RecentPicture]:
        """Return the pictures, newest generation first; those of one generation in their order."""
        return [kept for generation in self._generations for kept in generation]

    def get(self, id: str) -> RecentPicture | None:
        """Return the picture of that id; None once it was dropped."""
        return next((kept for kept in self.all() if kept.id == id), None)

    def of_infotext(self, infotext: str) -> RecentPicture | None:
        """Return the newest picture with this text, which identifies the picture in view."""
        return next((kept for kept in self.all() if kept.infotext == infotext), None)

    def put(self, pictures: Iterable[RecentPicture]) -> None:
        """Add the pictures of one generation, then drop those above the bounds."""
        with self._lock:
            self._generations = (list(pictures), *self._generations)
            self._shrink()

    def shrink(self) -> None:
        """Drop the pictures above the bounds, which may have become smaller."""
        with self._lock:
            self._shrink()

    def _shrink(self) -> None:
        """Drop the oldest generations, and of one generation its first pictures."""
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
