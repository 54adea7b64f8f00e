"""The network of the tiny VAEs: the project's own, with SD 1.x's levels and latent channels, far fewer within."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, Final

from safetensors.torch import load_file

__all__ = ["SCALE", "SD1", "TINY", "AutoencoderKL", "Config", "Posterior", "load"]


def _network() -> Any:
    """The module by its file: the stand-in WebUI uses it, and must not find the extension's package by that."""
    path = Path(__file__).parents[2] / "vae_manager" / "compare" / "network.py"
    spec = importlib.util.spec_from_file_location(f"{__package__}.network", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


network = _network()
SD1, AutoencoderKL, Config, Posterior = network.SD1, network.AutoencoderKL, network.Config, network.Posterior

SCALE: Final = 0.18215
"""Latents times this have a standard deviation of about one: SD 1.x's factor, which the tiny VAEs are scaled to."""

TINY: Final = Config(ch=16, ch_mult=(1, 2, 3, 3), num_res_blocks=1, groups=4)
"""Of the three files beside this module."""


def load(path: Path, config: Any = TINY) -> Any:
    """The VAE of a safetensors file in the ldm layout, in float32, on the CPU and ready to use.

    Strict: a key too many or too few, or another shape, is an error.
    """
    vae = AutoencoderKL(config)
    vae.load_state_dict(load_file(path))
    return vae.eval().requires_grad_(False)
