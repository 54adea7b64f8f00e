"""Rescue of a picture whose decode failed: what is wrong with decoded pictures, and the attempts to decode them again.

A VAE that overflows in half precision, damaged weights or too little memory cost the picture alone: its latent is there
still, and another decode takes a second where sampling took minutes. This module decides, and decodes nothing;
`webui.hosts.common.rescuing` has the effect.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..messages import Message, msg

if TYPE_CHECKING:
    import torch


__all__ = [
    "MAX_OTHERS",
    "Attempt",
    "Fault",
    "Origin",
    "Situation",
    "attempts",
    "fault_of",
    "faults",
    "is_finite",
    "is_meant",
    "name_of",
]

WIDE: Final = "fp32"
RANGE_OF_WIDE: Final = "bf16"
"""Half the memory of `WIDE` with its range: it overflows as seldom."""
NEARLY: Final = 0.25
"""The difference of two pictures in one colour, in -1 … 1: 32 levels of 255."""
MAX_OTHERS: Final = 3
"""VAEs other than that in the model which one picture may be decoded with."""


class Fault(enum.Enum):
    """What is wrong with a decode."""

    NAN = "nan"
    INFINITE = "infinite"
    FLAT = "flat"
    """Every value is the same one, or all are beyond black or beyond white."""
    MEMORY = "memory"
    """The decode raised for want of memory."""


_NAMES: Final = {
    Fault.NAN: msg("NaN", code="rescue-nan"),
    Fault.INFINITE: msg("infinite values", code="rescue-infinite"),
    Fault.FLAT: msg("one colour alone", code="rescue-flat"),
    Fault.MEMORY: msg("not enough memory", code="rescue-memory"),
}


def name_of(fault: Fault) -> Message:
    """Return the words for a fault, for a place in a sentence."""
    return _NAMES[fault]


class Origin(enum.Enum):
    """Where the weights of an attempt come from."""

    MODEL = "model"
    """Those in the model, converted if the dtype differs."""
    ANEW = "anew"
    """The VAE in the model, read from its file once more."""
    OTHER = "other"


@dataclass(frozen=True)
class Attempt:
    """One more decode."""

    path: str | None
    """The VAE file; None: the checkpoint's own VAE."""
    origin: Origin
    dtype: str
    """`fp32`, `bf16` or `fp16`."""


@dataclass(frozen=True)
class Situation:
    """The model at the time of the fault."""

    path: str | None
    """The VAE in it; None: the checkpoint's own."""
    dtype: str
    """The dtype of its weights."""
    is_sound: bool
    """Its weights are finite."""
    has_bf16: bool
    """The device computes in bf16."""
    others: Sequence[str | None] = ()
    """Other VAEs that decode the same latents and are known to be good, the nearest first."""


def fault_of(low: float, high: float) -> Fault | None:
    """Return what is wrong with a picture of these extremes, in -1 … 1; None for a possible picture.

    >>> fault_of(-0.9, 0.8), fault_of(-3.0, -1.0)
    (None, <Fault.FLAT: 'flat'>)
    """
    if low != low or high != high:
        return Fault.NAN
    if low == float("-inf") or high == float("inf"):
        return Fault.INFINITE
    return Fault.FLAT if low == high or high <= -1 or low >= 1 else None


def faults(pictures: Sequence[torch.Tensor]) -> list[Fault | None]:
    """Return the fault of each decoded picture: one reduction on its device, and one wait for all of them.

    NaN in one place makes both extremes NaN (`torch.aminmax`).
    """
    import torch

    if not pictures:
        return []
    extremes = [torch.stack(torch.aminmax(picture.detach())).float() for picture in pictures]
    return [fault_of(low, high) for low, high in torch.stack(extremes).tolist()]


def is_meant(picture: torch.Tensor, flat: torch.Tensor) -> bool:
    """Return True if `picture`, of another decode, is that one colour of `flat` too, as far as an eye would say.

    A picture may be black by right; another VAE then decodes it to a black that is a few levels off.
    """
    first, second = (one.detach().to("cpu").float().clamp(-1, 1) for one in (picture, flat))
    return float((first - second).abs().max()) <= NEARLY


def is_finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Return True if no tensor has NaN or infinite values. One wait for all that lie on one device."""
    import torch

    sums: dict[torch.device, list[torch.Tensor]] = {}
    floating = [tensor.detach() for tensor in tensors if tensor.is_floating_point()]
    for tensor in floating:
        sums.setdefault(tensor.device, []).append(tensor.sum(dtype=torch.float32))
    # A sum is quicker than a test of each value. That of finite values may be infinite, and is looked at again.
    if all(bool(torch.isfinite(torch.stack(part)).all()) for part in sums.values()):
        return True
    return all(bool(torch.isfinite(tensor).all()) for tensor in floating)


def attempts(fault: Fault, now: Situation) -> Iterator[Attempt]:
    """Yield the decodes that may give the picture, the nearest to the failed one first.

    Each decodes in tiles if the memory does not suffice. Another VAE never helps against want of memory.
    """
    best = RANGE_OF_WIDE if now.has_bf16 else WIDE
    if now.is_sound:
        same = [now.dtype] if fault is Fault.MEMORY else []
        wider = [dtype for dtype in (best, WIDE) if dtype != now.dtype and now.dtype != WIDE]
        for dtype in dict.fromkeys([*same, *wider]):
            yield Attempt(now.path, Origin.MODEL, dtype)
    else:
        yield Attempt(now.path, Origin.ANEW, best)
        if best != WIDE:
            yield Attempt(now.path, Origin.ANEW, WIDE)
    if fault is not Fault.MEMORY:
        for path in [path for path in now.others if path != now.path][:MAX_OTHERS]:
            yield Attempt(path, Origin.OTHER, best)
