"""Whether two VAEs speak of the same latent space: one encodes a picture, the other decodes what came of it.

Names and shapes cannot tell a VAE of SD 1.x from one of SDXL. Their latents can: what a VAE decodes from another
family's latents is noise, while fine-tunes of one family decode each other's to nearly the same picture. How near is a
matter of degree, so the answer is a guess with its figures, and never refuses a file by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..errors import IntegrityError
from ..sentences import say
from .weights import Tensors, lent, places

if TYPE_CHECKING:
    import torch

SIDE: Final = 256
"""Pixels of the picture that is used, in both directions: a multiple of what one latent stands for in every family."""

SAME: Final = 0.55
"""A candidate that reaches less than this part of the decibels of the VAE that encoded is of another family: between
the two crowds that `python tasks.py prove latent` measures."""


@dataclass(frozen=True)
class LatentTest:
    """How like the picture came back; peak signal-to-noise ratios over all pixels, in decibels."""

    own_db: float
    """From the VAE that encoded it."""
    found_db: float
    """From the candidate."""

    @property
    def is_same_space(self) -> bool:
        return self.found_db >= SAME * self.own_db


def latent_test(module: torch.nn.Module, own: Tensors, candidate: Tensors, picture: torch.Tensor) -> LatentTest:
    """Encode `picture` with `module` and the weights `own`, decode it with those of `candidate`, and compare.

    `module` is an AutoencoderKL of ldm or sgm; both sets fit its places, each of one dtype. `picture` is [1, 3, height,
    width], -1 … 1, on the device that it decodes on. The module has its own weights again afterwards, whatever raises.
    Raises IntegrityError where the VAE that encodes gives no numbers, so that nothing can be said.
    """
    import torch

    models = places(module)
    with torch.no_grad():
        with lent(models, own):
            latent = _latent(module.encode(picture.to(_dtype_of(own))))  # type: ignore[operator]
            own_db = _psnr(picture, module.decode(latent))  # type: ignore[operator]
        if own_db is None:
            raise IntegrityError(
                say("The checkpoint's own VAE gives no picture in this precision (NaN), so nothing can be compared.")
            )
        with lent(models, candidate):
            found_db = _psnr(picture, module.decode(latent.to(_dtype_of(candidate))))  # type: ignore[operator]
    return LatentTest(own_db, found_db if found_db is not None else 0.0)


def _dtype_of(tensors: Tensors) -> torch.dtype:
    return tensors["decoder.conv_in.weight"].dtype


def sample_picture(side: int = SIDE) -> torch.Tensor:
    """[1, 3, side, side], -1 … 1, float32: slopes of colour, soft rings and sharp edges, the same at each call."""
    import torch

    y, x = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    slopes = torch.stack([x, y, -x * y])
    rings = torch.sin(9 * (x.square() + y.square())) * 0.4
    disc = ((x - 0.3).square() + (y + 0.25).square() < 0.12).float()
    bars = ((x + 0.45).abs() < 0.08).float() - ((y - 0.5).abs() < 0.06).float()
    colour = torch.tensor([0.9, -0.7, 0.2])[:, None, None]
    picture = 0.6 * slopes + rings + disc * colour - bars * colour.flip(0)
    return picture.clamp(-1, 1).unsqueeze(0)


def _latent(encoded: Any) -> Any:
    """ldm's encode gives a distribution, whose mode is the same each time; sgm's gives a latent."""
    return encoded if hasattr(encoded, "shape") else encoded.mode()


def _psnr(wanted: torch.Tensor, found: torch.Tensor) -> float | None:
    """Decibels, for numbers from -1 to 1; None where `found` holds none."""
    import torch

    error = (found.float().cpu().clamp(-1, 1) - wanted.float().cpu()).square().mean()
    return float(10 * torch.log10(4.0 / error.clamp_min(1e-10))) if torch.isfinite(error) else None
