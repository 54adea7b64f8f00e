"""Denoising, as the stand-in does it: steps of a settable length from noise, or from a picture, to the model's idea."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import torch
from modules import sd_samplers_common, shared

from tests.host.network import CHANNELS, FACTOR

step_seconds = 0.02
"""How long one step takes at least; `--step-seconds`."""

TIMESTEPS = 1000


class Denoiser:
    """What the WebUI's CFGDenoiser is to `apply_refiner`; here a sigma is the number of its timestep."""

    def __init__(self, p: Any, total_steps: int) -> None:
        self.p = p
        self.step = 0
        self.total_steps = total_steps
        self.inner_model = SimpleNamespace(sigmas=torch.arange(float(TIMESTEPS)))
        self.update_inner_model()

    def update_inner_model(self) -> None:
        self.cond, _ = self.p.get_conds()

    def idea(self, height: int, width: int) -> torch.Tensor:
        """What the model that is loaded now makes of the conditions."""
        pairs = zip(self.cond, self.p.seeds, strict=True)
        return torch.cat([shared.sd_model.imagine(cond, seed, width, height) for cond, seed in pairs])


def sample(p: Any, noise: torch.Tensor) -> torch.Tensor:
    """From noise alone."""
    return _denoise(p, noise, None, _schedule(p.steps))


def sample_img2img(p: Any, start: torch.Tensor, noise: torch.Tensor, steps: int | None = None) -> torch.Tensor:
    """From latents of a picture; a part of the schedule, as strong as the denoising is."""
    whole, last = sd_samplers_common.setup_img2img_steps(p, steps)
    return _denoise(p, noise, start, _schedule(whole)[max(whole - last - 1, 0) :])


def noise_for(p: Any, height: int, width: int) -> torch.Tensor:
    """Latents `[n, 4, height / 8, width / 8]` for a picture of that size, from the batch's seeds."""
    return torch.cat([_noise(seed, height // FACTOR, width // FACTOR) for seed in p.seeds])


def _schedule(steps: int) -> torch.Tensor:
    return torch.linspace(TIMESTEPS - 1, 0, max(steps, 1))


def _denoise(p: Any, noise: torch.Tensor, start: torch.Tensor | None, schedule: torch.Tensor) -> torch.Tensor:
    """An interrupted generation gives what it has until then. A refiner takes over what is left to do."""
    state = shared.state
    height, width = noise.shape[2] * FACTOR, noise.shape[3] * FACTOR
    denoiser = Denoiser(p, len(schedule))
    state.sampling_steps, state.sampling_step = len(schedule), 0
    latent, target = noise, None
    for number, sigma in enumerate(schedule, 1):
        if state.interrupted or state.skipped:
            break
        if sd_samplers_common.apply_refiner(denoiser, sigma) or target is None:
            target = denoiser.idea(height, width)
            if start is not None:
                target = torch.lerp(start.to(target).expand_as(target), target, p.denoising_strength)
        time.sleep(step_seconds)
        latent = torch.lerp(noise, target, number / len(schedule))
        denoiser.step = state.sampling_step = number
        sd_samplers_common.store_latent(latent)
    return latent


def _noise(seed: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, CHANNELS, height, width, generator=generator)
