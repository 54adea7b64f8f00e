"""First look of a comparison: the part with the most detail, decoded alone by each VAE before the whole picture.

A whole decode of 1024 × 1024 takes a processor 20 seconds and more; that of a part of 128 × 128 pixels, with what
surrounds it, takes a sixteenth of that. Each pixel of a whole decode depends on all of the latent (the attention in the
middle, the means of every GroupNorm), so the part errs, mostly by a shift of its colours. The error is measured once
the same VAE has decoded the whole.

This module imports torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from .comparison_store import FirstLook

if TYPE_CHECKING:
    from .comparison_store import Pixels

__all__ = ["Part", "error_of", "look_at", "part_of"]

SIDE: Final = 16
"""Side of the part in pixels of the latent: 128 of the picture."""
MARGIN: Final = 8
"""Pixels of the latent around it that are decoded too: more than the convolutions of the three upper levels reach."""
LEAST_GAIN: Final = 8
"""Whole decodes of fewer times the pixels are shown at once."""
STRIDE: Final = 4
"""Distance in pixels of the latent between two places that are tried."""


class Part(NamedTuple):
    """A square part of a latent, in its pixels."""

    top: int
    left: int
    side: int = SIDE

    def cut(self, latent: torch.Tensor) -> tuple[torch.Tensor, int, int]:
        """Return the part of `latent` ([1, channels, h, w]) with its margin, and its own row and column in that."""
        top, left = max(self.top - MARGIN, 0), max(self.left - MARGIN, 0)
        bottom, right = self.top + self.side + MARGIN, self.left + self.side + MARGIN
        return latent[:, :, top:bottom, left:right], self.top - top, self.left - left

    def gain(self, latent: torch.Tensor) -> float:
        """Return the pixels of the whole `latent` in those of the part with its margin."""
        cut, _, _ = self.cut(latent)
        return latent.shape[2] * latent.shape[3] / (cut.shape[2] * cut.shape[3])


def part_of(latent: torch.Tensor) -> Part | None:
    """Return the part of `latent` ([1, channels, h, w]) with the most detail; None if the whole takes little longer.

    Detail is the mean difference between neighbours, over all channels.
    """
    height, width = latent.shape[2:]
    if height * width < LEAST_GAIN * (SIDE + 2 * MARGIN) ** 2 or min(height, width) < SIDE:
        return None
    numbers = latent.detach().float()
    detail = torch.zeros(1, 1, height, width)
    detail[..., 1:, :] += (numbers[..., 1:, :] - numbers[..., :-1, :]).abs().sum(1, keepdim=True).cpu()
    detail[..., :, 1:] += (numbers[..., :, 1:] - numbers[..., :, :-1]).abs().sum(1, keepdim=True).cpu()
    sums = torch.nn.functional.avg_pool2d(detail, SIDE, STRIDE)[0, 0]
    row, column = divmod(int(sums.nan_to_num().argmax()), sums.shape[1])
    return Part(row * STRIDE, column * STRIDE)


def look_at(
    vae: str, decode: Callable[[torch.Tensor], torch.Tensor], latent: torch.Tensor, part: Part
) -> FirstLook | None:
    """Return the part of `latent` that `decode` makes ([1, channels, h, w] to [3, 8 h, 8 w]); None if it has NaN."""
    from .comparison import to_pixels

    started = time.perf_counter()
    cut, row, column = part.cut(latent)
    picture = decode(cut)
    factor = picture.shape[1] // cut.shape[2]
    own = picture[:, row * factor : (row + part.side) * factor, column * factor : (column + part.side) * factor]
    if not bool(own.isfinite().all()):
        return None
    seconds = time.perf_counter() - started
    return FirstLook(vae, to_pixels(own.to("cpu")), part.top * factor, part.left * factor, seconds)


def error_of(look: FirstLook, whole: Pixels) -> int:
    """Return the largest difference of the look from the same part of the `whole` picture, in levels of 255.

    A picture that was padded before it was encoded is smaller than its latent: the padding is not compared.
    """
    import numpy as np

    height, width = look.pixels.shape[:2]
    same = whole[look.top : look.top + height, look.left : look.left + width].astype(np.int16)
    return int(np.abs(same - look.pixels[: same.shape[0], : same.shape[1]]).max())
