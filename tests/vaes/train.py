"""Trains the three tiny VAEs: `python -m tests.vaes.train --out DIR`.

Everything is seeded: with the same torch on the same processor the same files come out. Another processor rounds
otherwise, and its files differ in their bytes but meet the same figures.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from . import BASE, OTHER, TUNED
from .autoencoder import SCALE, TINY, AutoencoderKL
from .figures import Figures, measure, psnr
from .pictures import pictures

__all__ = ["HELD_OUT_SEEDS", "main"]

HELD_OUT_SEEDS: Final = range(1000)
"""Seeds of pictures that no training sees; all training seeds lie above."""

KL_WEIGHT: Final = 1e-6
"""Of a picture's divergence in nats: keeps the latents in bounds without blurring the pictures."""


@dataclass(frozen=True)
class Course:
    """One training: how long, on which pictures, how fast."""

    seed: int
    """Of the initial weights and of the first batch of pictures; each step takes the next seed."""

    steps: int
    rate: float
    """The highest learning rate: reached after `warm_up` steps, then a cosine down to nothing."""

    warm_up: int = 100
    batch: int = 16
    size: int = 64

    large_each: int = 8
    """One step in so many takes a quarter of the pictures at twice the size, so that size does not matter."""

    def pictures(self, step: int) -> Tensor:
        large = step % self.large_each == self.large_each - 1
        count, size = (self.batch // 4, self.size * 2) if large else (self.batch, self.size)
        return pictures(count, size, self.seed + step)


BASE_COURSE: Final = Course(seed=1_000_000, steps=2800, rate=3e-3)
OTHER_COURSE: Final = Course(seed=2_000_000, steps=2800, rate=3e-3)
TUNED_COURSE: Final = Course(seed=3_000_000, steps=400, rate=1e-3, warm_up=20)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the three tiny VAEs of the tests.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the three files to")
    parser.add_argument("--threads", type=int, default=2, help="processor threads to use (default: 2)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)

    base = _stored(_trained(BASE_COURSE))
    tuned = _stored(_tuned(base, TUNED_COURSE))
    other = _stored(_trained(OTHER_COURSE))
    _estrange(other, base)
    for path, vae in ((BASE, base), (TUNED, tuned), (OTHER, other)):
        _save(vae, arguments.out / path.name)
    print(measured(base, tuned, other))


def measured(base: AutoencoderKL, tuned: AutoencoderKL, other: AutoencoderKL) -> Figures:
    """The figures on held-out pictures."""
    return measure(base, tuned, other, pictures(64, 64, seed=HELD_OUT_SEEDS[0]))


def _trained(course: Course) -> AutoencoderKL:
    """A VAE trained from scratch, with latents of unit scale."""
    torch.manual_seed(course.seed)
    vae = AutoencoderKL(TINY)
    with torch.no_grad():
        # Begin with hardly any noise on the latents: the encoder finds out how much it can bear
        _halves(vae.quant_conv.bias)[1].fill_(-6.0)
    _fit(vae, course, target=lambda originals: originals)
    _standardise(vae)
    return vae


def _tuned(base: AutoencoderKL, course: Course) -> AutoencoderKL:
    """`base` with a decoder that has learnt to decode more vivid and sharper than the pictures were."""
    torch.manual_seed(course.seed)
    vae = copy.deepcopy(base).train()
    for part in (vae.decoder, vae.post_quant_conv):
        part.requires_grad_(True)
    _fit(vae, course, target=_enhanced)
    return vae


def _fit(vae: AutoencoderKL, course: Course, target: Callable[[Tensor], Tensor]) -> None:
    """Trains those parameters of `vae` that require gradients, until what it decodes is `target` of what it was given."""
    optimiser = torch.optim.Adam([p for p in vae.parameters() if p.requires_grad], lr=course.rate, betas=(0.9, 0.99))
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, course.rate, total_steps=course.steps, pct_start=course.warm_up / course.steps, cycle_momentum=False
    )
    began = time.monotonic()
    for step in range(course.steps):
        originals = course.pictures(step)
        wanted = target(originals)
        posterior = vae.posterior(originals)
        decoded = vae.decode_raw(posterior.sample())
        error = decoded - wanted
        loss = error.abs().mean() + error.square().mean() + KL_WEIGHT * posterior.kl().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimiser.step()
        rates.step()
        if (step + 1) % 100 == 0:
            db = psnr(decoded.detach(), wanted).mean().item()
            print(f"{step + 1:5}/{course.steps}  {db:5.2f} dB  {time.monotonic() - began:5.0f} s", flush=True)


def _enhanced(originals: Tensor) -> Tensor:
    """Pictures with stronger colours and crisper edges: `[n, 3, h, w]` to the same shape."""
    grey = originals.mean(dim=1, keepdim=True)
    blurred = nn.functional.avg_pool2d(originals, 5, stride=1, padding=2, count_include_pad=False)
    return (originals + 0.25 * (originals - grey) + 0.3 * (originals - blurred)).clamp(-1.0, 1.0)


@torch.no_grad()
def _standardise(vae: AutoencoderKL) -> None:
    """Moves and scales each latent channel to mean 0 and standard deviation 1 / `SCALE`; what is decoded stays."""
    latents = vae.encode(pictures(256, 64, seed=HELD_OUT_SEEDS.stop))
    means, factors = latents.mean(dim=(0, 2, 3)), 1.0 / (SCALE * latents.std(dim=(0, 2, 3)))
    _relabel(vae, torch.diag(factors), -factors * means)


@torch.no_grad()
def _estrange(vae: AutoencoderKL, from_: AutoencoderKL) -> None:
    """Reorders and flips the latent channels of `vae` until neither VAE makes anything of the other's latents."""
    ...


@torch.no_grad()
def _relabel(vae: AutoencoderKL, matrix: Tensor, offset: Tensor) -> None:
    """Makes the latent `z` of `vae` into `matrix @ z + offset`, in the encoder and, undone, in the decoder.

    `matrix` `[c, c]` has one number in each row and column, so that the channels stay independent; `offset` is `[c]`.
    """
    before, after = vae.quant_conv, vae.post_quant_conv
    (mean_weight, logvar_weight), (mean_bias, logvar_bias) = _halves(before.weight), _halves(before.bias)
    mean_weight.copy_(torch.einsum("ij,jkhw->ikhw", matrix, mean_weight))
    mean_bias.copy_(matrix @ mean_bias + offset)
    order, factors = matrix.abs().max(dim=1).indices, matrix.abs().sum(dim=1)
    logvar_weight.copy_(logvar_weight[order])
    logvar_bias.copy_(logvar_bias[order] + 2.0 * factors.log())
    after.weight.copy_(torch.einsum("ijhw,jk->ikhw", after.weight, torch.linalg.inv(matrix)))
    assert after.bias is not None
    after.bias.sub_(torch.einsum("ijhw,j->i", after.weight, offset))
