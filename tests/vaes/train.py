"""Trains the three tiny VAEs: `python -m tests.vaes.train --out DIR`.

All is seeded and every training keeps to one thread, so the same torch on the same kind of processor makes the same
files. Elsewhere the sums are rounded otherwise: other bytes, about the same figures.
"""

from __future__ import annotations

import argparse
import copy
import functools
import itertools
import math
import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from tests.vaes import BASE, OTHER, TUNED
from tests.vaes.autoencoder import SCALE, TINY, AutoencoderKL, load
from tests.vaes.figures import mean_psnr, measure
from tests.vaes.optimiser import OrthogonalMomentum
from tests.vaes.pictures import pictures

__all__ = ["HELD_OUT", "main"]

HELD_OUT: Final = range(1000)
"""Seeds of pictures that no training sees: all training seeds are greater."""

KL_WEIGHT: Final = 1e-6
"""Of a picture's divergence in nats: keeps the latents within bounds and blurs nothing."""

FIRST_LOGVAR: Final = -6.0
"""Training begins with hardly any noise on the latents: the encoder finds out by itself how much they bear."""

PLAIN_RATE: Final = 0.15
"""Learning rate of biases and norms as a part of that of the convolutions."""


@dataclass(frozen=True)
class ProgressCounter:
    """One training: for how long, on which pictures, how fast."""

    seed: int
    """Of the initial weights, of the noise and of the first batch of pictures; each step takes the next one."""

    steps: int

    rate: float
    """The highest learning rate: reached after `warm_up` steps, then a cosine down to nothing."""

    warm_up: int = 50
    batch: int = 16
    size: int = 64

    large_every: int = 8
    """One step in so many takes a quarter of the pictures at twice the size, for the norms to see more than one."""

    def pictures(self, step: int) -> Tensor:
        large = (step + 1) % self.large_every == 0
        count, size = (self.batch // 4, self.size * 2) if large else (self.batch, self.size)
        return pictures(count, size, self.seed + step)

    def rate_at(self, step: int) -> float:
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        return self.rate * 0.5 * (1.0 + math.cos(math.pi * (step - self.warm_up) / (self.steps - self.warm_up)))


COURSES: Final = {
    BASE.name: ProgressCounter(seed=1_000_000, steps=500, rate=0.02),
    OTHER.name: ProgressCounter(seed=2_000_000, steps=500, rate=0.02),
}
FURTHER: Final = ProgressCounter(seed=3_000_000, steps=200, rate=0.005, warm_up=10)
"""From base to tuned."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the three tiny VAEs of the tests.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the three files to")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(len(COURSES), multiprocessing.get_context("spawn")) as pool:
        for _ in pool.map(functools.partial(_train, out), COURSES):
            pass
    torch.set_num_threads(1)
    base = load(out / BASE.name)
    _save(_tuned(base, FURTHER), out / TUNED.name)
    other = load(out / OTHER.name)
    _estrange(other, base)
    _save(other, out / OTHER.name)
    tuned = load(out / TUNED.name)
    print(measure(base, tuned, load(out / OTHER.name), pictures(128, 64, HELD_OUT[0])))


def _train(out: Path, name: str) -> None:
    """Trains one file from scratch, in a process of its own."""
    torch.set_num_threads(1)
    course = COURSES[name]
    torch.manual_seed(course.seed)
    vae = AutoencoderKL(TINY)
    _initialise(vae)
    _fit(vae, course, label=name, target=lambda originals: originals)
    _standardise(vae)
    _save(vae, out / name)


def _initialise(vae: AutoencoderKL) -> None:
    """Begins as a network that merely passes the picture on, at its own scale, with every residual branch silent.

    Torch's own initial weights lose two thirds of the signal at each convolution, and training then stalls for long
    with one of the three colour axes missing.
    """
    for name, module in vae.named_modules():
        if isinstance(module, nn.Conv2d):
            if name.endswith((".conv2", ".proj_out")):
                nn.init.zeros_(module.weight)
                nn.init.zeros_(_bias(module))
            else:
                nn.init.orthogonal_(module.weight)
    nn.init.constant_(_bias(vae.quant_conv)[TINY.z_channels :], FIRST_LOGVAR)


def _tuned(base: AutoencoderKL, course: ProgressCounter) -> AutoencoderKL:
    """`base` with a decoder that has learnt to decode more vivid and crisper than the pictures were."""
    torch.manual_seed(course.seed)
    vae = copy.deepcopy(base)
    for part in (vae.decoder, vae.post_quant_conv):
        part.requires_grad_(True)
    _fit(vae, course, label=TUNED.name, target=_enhanced)
    return vae


def _enhanced(originals: Tensor) -> Tensor:
    """Pictures with stronger colours and crisper edges: `[n, 3, h, w]` to the same shape."""
    grey = originals.mean(dim=1, keepdim=True)
    blurred = F.avg_pool2d(originals, 5, stride=1, padding=2, count_include_pad=False)
    return (originals + 0.2 * (originals - grey) + 0.3 * (originals - blurred)).clamp(-1.0, 1.0)


def _fit(vae: AutoencoderKL, course: ProgressCounter, label: str, target: Callable[[Tensor], Tensor]) -> None:
    """Trains what requires gradients in `vae`, until it decodes `target` of what it encoded."""
    trained = [parameter for parameter in vae.parameters() if parameter.requires_grad]
    # The first and last convolutions have too few channels on one side to be told from a plain parameter
    inner = [p for p in trained if p.ndim > 1 and min(p.shape[:2]) > max(TINY.out_ch, 2 * TINY.z_channels)]
    known = set(inner)
    outer = [p for p in trained if p not in known]
    along, plain = OrthogonalMomentum(inner), torch.optim.Adam(outer, betas=(0.9, 0.99))
    began = time.monotonic()
    for step in range(course.steps):
        originals = course.pictures(step)
        wanted = target(originals)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            posterior = vae.posterior(originals)
            decoded = vae.decode_raw(posterior.sample())
        error = decoded.float() - wanted
        loss = error.abs().mean() + error.square().mean() + KL_WEIGHT * posterior.kl().mean()
        vae.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(trained, 1.0)
        rate = course.rate_at(step)
        along.step(rate)
        plain.param_groups[0]["lr"] = PLAIN_RATE * rate
        plain.step()
        if (step + 1) % 100 == 0:
            db, seconds = mean_psnr(decoded.detach().float(), wanted), time.monotonic() - began
            print(f"{label}: step {step + 1} of {course.steps}, {db:.2f} dB, {seconds:.0f} s", flush=True)


@torch.no_grad()
def _standardise(vae: AutoencoderKL) -> None:
    """Moves and scales the latent channels to mean 0 and standard deviation 1 / `SCALE`; what is decoded stays."""
    latents = vae.encode(pictures(256, 64, seed=HELD_OUT.stop))
    means, factors = latents.mean(dim=(0, 2, 3)), 1.0 / (SCALE * latents.std(dim=(0, 2, 3)))
    _relabel(vae, range(TINY.z_channels), factors, -factors * means)


@torch.no_grad()
def _estrange(vae: AutoencoderKL, foreign: AutoencoderKL) -> None:
    """Reorders and flips the latent channels of `vae` so that neither VAE makes anything of the other's latents.

    Two trainings may hit on similar channels by chance. Of all orders and signs, the one is taken whose better
    direction is worst.
    """
    originals = pictures(16, 64, seed=HELD_OUT.stop + 1)
    theirs, ours = foreign.encode(originals), vae.encode(originals)

    def understood(candidate: tuple[tuple[int, ...], tuple[float, ...]]) -> float:
        order, signs = list(candidate[0]), torch.tensor(candidate[1]).view(-1, 1, 1)
        back = torch.argsort(torch.tensor(order))
        by_foreign = foreign.decode(ours[:, order] * signs)
        by_us = vae.decode((theirs * signs)[:, back])
        return max(mean_psnr(by_foreign, originals), mean_psnr(by_us, originals))

    channels = TINY.z_channels
    orders, signs_of_all = itertools.permutations(range(channels)), itertools.product((1.0, -1.0), repeat=channels)
    order, signs = min(itertools.product(orders, signs_of_all), key=understood)
    _relabel(vae, order, torch.tensor(signs), torch.zeros(channels))


@torch.no_grad()
def _relabel(vae: AutoencoderKL, order: Sequence[int], factors: Tensor, offsets: Tensor) -> None:
    """Makes the latent `z` of `vae` into `z[order] * factors + offsets`, and undoes it before the decoder.

    `factors` and `offsets` are `[z_channels]`. The weights are changed, not the network.
    """
    channels, rows = len(order), list(order)
    weight, bias = vae.quant_conv.weight, _bias(vae.quant_conv)
    both = [*rows, *(channels + row for row in rows)]  # means, then the logarithms of the variances
    weight.copy_(weight[both])
    bias.copy_(bias[both])
    weight[:channels] *= factors.view(-1, 1, 1, 1)
    bias[:channels] = bias[:channels] * factors + offsets
    bias[channels:] += 2.0 * factors.abs().log()

    weight, bias = vae.post_quant_conv.weight, _bias(vae.post_quant_conv)
    weight.copy_(weight[:, rows] / factors.view(1, -1, 1, 1))
    bias -= weight[:, :, 0, 0] @ offsets


def _save(vae: AutoencoderKL, path: Path) -> None:
    tensors = {name: tensor.detach().half().contiguous() for name, tensor in vae.state_dict().items()}
    save_file(tensors, path, metadata={"format": "pt"})


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


if __name__ == "__main__":
    main()
