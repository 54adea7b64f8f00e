"""The network of the tiny VAEs: the project's own, with SD 1.x's levels and latent channels, far fewer within."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from safetensors.torch import load_file

from vae_manager.compare.network import SD1, AutoencoderKL, Config, Posterior

__all__ = ["SCALE", "SD1", "TINY", "AutoencoderKL", "Config", "Posterior", "load"]

SCALE: Final = 0.18215
"""Latents times this have a standard deviation of about one: SD 1.x's factor, which the tiny VAEs are scaled to."""

TINY: Final = Config(ch=16, ch_mult=(1, 2, 3, 3), num_res_blocks=1, groups=4)
"""Of the three files beside this module."""


def load(path: Path, config: Config = TINY) -> AutoencoderKL:
    """The VAE of a safetensors file in the ldm layout, in float32, on the CPU and ready to use.

    Strict: a key too many or too few, or another shape, is an error.
    """
    vae = AutoencoderKL(config)
    vae.load_state_dict(load_file(path))
    return vae.eval().requires_grad_(False)
