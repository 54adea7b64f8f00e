"""What a comparison is asked for and what it gives: plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..sentences import Sentence

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from ..swap.weights import Tensors
    from .metrics import Figures

    Pixels = NDArray[np.uint8]
    """uint8, [height, width, 3]."""

__all__ = ["Candidate", "Decoded", "Encoder", "Model", "Result", "Step"]


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
    note: Sentence | None = None
    foreign: Sentence | None = None
    """Said of Built-in where it is another checkpoint's than made the picture: no infotext can tell that."""
    error: Sentence | None = None


@dataclass(frozen=True, eq=False)
class Result:
    """A picture with what is said of it."""

    decoded: Decoded
    figures: Figures | None = None
    """Against the reference; None for the reference itself, where there is no picture, and until they are known."""
    words: tuple[Sentence, ...] = ()
    infotext: str | None = None
    """For a picture that is saved, in the host's form."""
