"""Denoising, as the stand-in does it: steps of a settable length from noise, or from a picture, to the model's idea."""

from __future__ import annotations

import time
from typing import Any

import torch
from modules import shared

from tests.host.network import CHANNELS, FACTOR

step_seconds = 0.02
"""How long one step takes at least; `--step-seconds`."""


def denoise(p: Any, start: torch.Tensor | None, strength: float) -> torch.Tensor:
    """Latents `[n, 4, height / 8, width / 8]`; an interrupted generation gives what it has until then."""
    state = shared.state
    noise = torch.cat([_noise(seed, p.height // FACTOR, p.width // FACTOR) for seed in p.seeds])
    target = torch.cat(
        [p.sd_model.imagine(prompt, seed, p.width, p.height) for prompt, seed in zip(p.prompts, p.seeds, strict=True)]
    )
    if start is not None:
        target = torch.lerp(start.to(target).expand_as(target), target, strength)
    latent = noise
    state.sampling_steps = p.steps
    for step in range(1, p.steps + 1):
        if state.interrupted or state.skipped:
            break
        time.sleep(step_seconds)
        latent = torch.lerp(noise, target, step / p.steps)
        state.sampling_step = step
        state.current_latent = latent
    return latent


def _noise(seed: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, CHANNELS, height, width, generator=generator)
