"""A latent to a picture, by weights that are lent to the model for that time.

Where the memory does not suffice, in tiles. Each pixel of a whole decode depends on all of the latent (the attention
in the middle, the means of every GroupNorm), so tiles give another picture: nearly the same, and called approximate.
How near cannot be known without the whole one; what is told is the largest error on a part that was decoded both ways,
with tiles of half the size, which is no less than what the larger tiles do there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final, NamedTuple

from ..errors import OutOfMemoryError
from ..sentences import Sentence, say
from ..swap.swapper import is_out_of_memory
from ..swap.weights import lent, places
from .comparison_values import Model

if TYPE_CHECKING:
    import torch

    from ..swap.weights import Tensors

    Decode = Callable[[torch.Tensor], torch.Tensor]

__all__ = ["Picture", "decoded", "encoded", "in_tiles", "largest_error"]

TILES: Final = (96, 64, 48, 32, 24, 16)
"""Sides that are tried, in pixels of the latent: 768 to 128 of the picture."""
OVERLAP: Final = 8
"""Pixels of the latent that two neighbours share: 64 of the picture, over which one passes into the other."""
LEVELS: Final = 127.5
"""Levels of a picture's 255 in one unit of -1 … 1."""


class Picture(NamedTuple):
    tensor: torch.Tensor
    """[3, height, width], of about -1 … 1, on the CPU, as the decoder gave it."""
    note: Sentence | None
    """How it is less than what was asked for."""


def decoded(model: Model, tensors: Tensors | None, latent: torch.Tensor, dtype: torch.dtype) -> Picture:
    """The picture of `latent` ([1, channels, h, w]) by `tensors` (None: what is in the module), which are of `dtype`.

    The module has its own weights again afterwards, whatever raises. Raises OutOfMemoryError where even the smallest
    tiles are too large.
    """
    import torch

    def decode(part: torch.Tensor) -> torch.Tensor:
        return model.decode(part.to(model.device, dtype if model.casts else None))[0].to("cpu")

    with torch.no_grad(), _lending(model, tensors):
        try:
            return Picture(decode(latent), None)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        return _by_tiles(decode, latent, model.wraps)


def encoded(model: Model, tensors: Tensors | None, picture: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The latent of `picture` ([1, 3, height, width], -1 … 1), on the CPU. As `decoded`, but never in tiles."""
    import torch

    with torch.no_grad(), _lending(model, tensors):
        try:
            return model.encode(picture.to(model.device).to(dtype)).to("cpu")
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
    _give_back()
    raise OutOfMemoryError(say("There is not enough memory to encode this picture. Take a smaller one."))


def _lending(model: Model, tensors: Tensors | None) -> AbstractContextManager[None]:
    return lent(places(model.module), tensors) if tensors is not None else nullcontext()


def _give_back() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# -- tiles -----------------------------------------------------------------------------------------------------------
def _by_tiles(decode: Decode, latent: torch.Tensor, wraps: bool) -> Picture:
    for side in TILES:
        if side >= max(latent.shape[2:]):
            continue
        _give_back()
        try:
            picture, error = in_tiles(decode, latent, side, wraps), largest_error(decode, latent, side)
        except (MemoryError, RuntimeError) as raised:
            if not is_out_of_memory(raised):
                raise
            continue
        return Picture(
            picture,
            say(
                "Approximate: decoded in tiles, since the memory does not suffice for the whole. Largest error {error} "
                "of 255, measured on its middle, decoded whole and in tiles of half the size.",
                error=error,
            ),
        )
    _give_back()
    raise OutOfMemoryError(say("There is not enough memory to decode this picture, not even in tiles."))


def in_tiles(decode: Decode, latent: torch.Tensor, side: int, wraps: bool = False) -> torch.Tensor:
    """[3, 8 h, 8 w] of a latent [1, channels, h, w], in tiles of `side` at most that pass into each other.

    With `wraps` the opposite edges of the picture are neighbours too.
    """
    import torch

    if wraps:
        latent = torch.nn.functional.pad(latent, (OVERLAP,) * 4, mode="circular")
    height, width = latent.shape[2:]
    total = weight = torch.zeros(0)
    factor = 0
    for top in _starts(height, side):
        for left in _starts(width, side):
            part = decode(latent[:, :, top : top + side, left : left + side])
            if not factor:
                factor = part.shape[1] // min(side, height)
                total = torch.zeros(3, height * factor, width * factor)
                weight = torch.zeros(height * factor, width * factor)
            _, high, wide = part.shape
            rows, columns = slice(top * factor, top * factor + high), slice(left * factor, left * factor + wide)
            down, across = _share(high, top, height - side, factor), _share(wide, left, width - side, factor)
            share = down[:, None] * across
            total[:, rows, columns] += share * part.float()
            weight[rows, columns] += share
    picture = total / weight
    edge = OVERLAP * factor if wraps else 0
    return picture[:, edge : picture.shape[1] - edge, edge : picture.shape[2] - edge]


def _starts(length: int, side: int) -> Sequence[int]:
    """Where tiles begin; the last one ends where the picture does."""
    return [*range(0, max(length - side, 0), side - OVERLAP), max(length - side, 0)]


def _share(length: int, start: int, last: int, factor: int) -> torch.Tensor:
    """How much each of a tile's pixels counts along one side: less and less towards an edge that has a neighbour."""
    import torch

    ramp = (torch.arange(OVERLAP * factor) + 0.5) / (OVERLAP * factor)
    share = torch.ones(length)
    if start > 0:
        share[: len(ramp)] *= ramp
    if start < last:
        share[-len(ramp) :] *= ramp.flip(0)
    return share


def largest_error(decode: Decode, latent: torch.Tensor, side: int) -> int:
    """Levels of 255, rounded up: what tiles of half of `side` do to the middle of the picture, `side` large."""
    top, left = (max(length - side, 0) // 2 for length in latent.shape[2:])
    middle = latent[:, :, top : top + side, left : left + side]
    whole, tiled = decode(middle).float(), in_tiles(decode, middle, max(side // 2, OVERLAP + 1))
    return math.ceil(float((whole.clamp(-1, 1) - tiled.clamp(-1, 1)).abs().max()) * LEVELS)
