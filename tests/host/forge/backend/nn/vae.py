"""Imitates backend/nn/vae.py: the VAE, which is ldm's in its names. Unlike ldm's it knows no dtype and no device."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from tests.vaes import autoencoder
from tests.vaes.autoencoder import SCALE, TINY


class IntegratedAutoencoderKL(autoencoder.AutoencoderKL):
    """Made without numbers: what no file fills in is what the memory held before, here the same noise every time."""

    def __init__(self) -> None:
        with torch.device("meta"):
            super().__init__(TINY)
        self.to_empty(device="cpu")
        noise = torch.Generator().manual_seed(0)
        for tensor in self.state_dict().values():
            tensor.copy_(torch.randn(tensor.shape, generator=noise) * 4)
        levels = ["DownEncoderBlock2D"] * len(TINY.ch_mult)
        self.config = SimpleNamespace(down_block_types=levels, latent_channels=TINY.z_channels)
        self.embed_dim = TINY.z_channels
        self.scaling_factor = SCALE
        self.shift_factor = 0.0

    def encode(self, x: torch.Tensor, regulation: Any = None) -> torch.Tensor:  # type: ignore[override]
        """Forge draws from the distribution; here it is its middle, so that a picture can be made again."""
        posterior = self.posterior(x)
        encoded: torch.Tensor = posterior.mode() if regulation is None else regulation(posterior)
        return encoded

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Not clamped."""
        decoded: torch.Tensor = self.decode_raw(z)
        return decoded

    def process_in(self, latent: torch.Tensor) -> torch.Tensor:
        return (latent - self.shift_factor) * self.scaling_factor

    def process_out(self, latent: torch.Tensor) -> torch.Tensor:
        return (latent / self.scaling_factor) + self.shift_factor
