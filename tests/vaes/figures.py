"""How well the tiny VAEs do, and how little they understand each other: measured in training, asserted in tests."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .autoencoder import SCALE, AutoencoderKL

__all__ = ["Figures", "mean_psnr", "measure", "psnr"]


@dataclass(frozen=True)
class Figures:
    """Means over the measured pictures; whatever ends in `_db` is a PSNR against the original pictures."""

    base_db: float
    """`base` decodes its own latents."""

    tuned_db: float
    """`tuned` decodes the latents of `base`, which are its own as well."""

    other_db: float
    """`other` decodes its own latents."""

    base_by_other_db: float
    """`other` decodes the latents of `base`: noise."""

    other_by_base_db: float
    """`base` decodes the latents of `other`: noise."""

    base_vividness: float
    """Vividness of what `base` decodes from its own latents, as a multiple of the originals'."""

    tuned_vividness: float
    """The same for `tuned`."""

    base_spread: float
    """Standard deviation of the latents of `base`, times `SCALE`."""

    other_spread: float
    """The same for `other`."""

    def __str__(self) -> str:
        return "\n".join(f"{field.name:>17} {getattr(self, field.name):6.2f}" for field in fields(self))


@torch.no_grad()
def measure(base: AutoencoderKL, tuned: AutoencoderKL, other: AutoencoderKL, originals: Tensor) -> Figures:
    """`originals` are pictures `[n, 3, h, w]` in -1 … 1 that no training has seen."""
    latents, foreign = base.encode(originals), other.encode(originals)
    by_base, by_tuned = base.decode(latents), tuned.decode(latents)

    return Figures(
        base_db=mean_psnr(by_base, originals),
        tuned_db=mean_psnr(by_tuned, originals),
        other_db=mean_psnr(other.decode(foreign), originals),
        base_by_other_db=mean_psnr(other.decode(latents), originals),
        other_by_base_db=mean_psnr(base.decode(foreign), originals),
        base_vividness=_vividness(by_base) / _vividness(originals),
        tuned_vividness=_vividness(by_tuned) / _vividness(originals),
        base_spread=latents.std().item() * SCALE,
        other_spread=foreign.std().item() * SCALE,
    )


def psnr(decoded: Tensor, originals: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture in dB, `[n]`, for pictures `[n, 3, h, w]` in -1 … 1."""
    error = (decoded - originals).square().mean(dim=(1, 2, 3))
    return 20.0 * math.log10(2.0) - 10.0 * torch.log10(error)


def mean_psnr(decoded: Tensor, originals: Tensor) -> float:
    """The mean of `psnr` over the pictures."""
    return psnr(decoded, originals).mean().item()


def _vividness(pictures: Tensor) -> float:
    """The mean distance of a pixel's channels from its grey."""
    return (pictures - pictures.mean(dim=1, keepdim=True)).abs().mean().item()
