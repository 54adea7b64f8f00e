"""Imitates ldm_patched/modules/sd.py: the wrapper of a VAE, through which reForge encodes and decodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ldm_patched.modules import model_management
from tests.host.network import CHANNELS, TINY, AutoencoderKL


class ModelPatcher:
    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self.loads = 0


class VAE:
    """What a file lacks is memory that nobody has written to: here, numbers that are plainly nobody's."""

    def __init__(self, sd: Mapping[str, Tensor], device: torch.device | None = None) -> None:
        weight = sd.get("decoder.conv_in.weight")
        if weight is None or weight.shape[1] != CHANNELS:
            raise NotImplementedError("the stand-in has VAEs of four channels only")
        self.first_stage_model = AutoencoderKL(TINY).eval().requires_grad_(False)
        with torch.no_grad():
            for tensor in self.first_stage_model.state_dict().values():
                tensor.fill_(0.123)
        self.first_stage_model.load_state_dict(sd, strict=False)
        self.vae_dtype = torch.float32
        self.first_stage_model.to(self.vae_dtype)
        self.device = device or torch.device("cpu")
        self.patcher = ModelPatcher(self.first_stage_model)

    def throw_exception_if_invalid(self) -> None:
        """It always is valid here."""

    def decode(self, samples_in: Tensor, vae_options: Any = {}) -> Tensor:  # noqa: B006
        """`[n, channels, h, w]` to `[n, 8 h, 8 w, 3]` of 0 … 1."""
        if vae_options:
            raise NotImplementedError("the stand-in knows no options of a VAE")
        model_management.load_model_gpu(self.patcher)
        decoded = self.first_stage_model.decode(samples_in.to(self.vae_dtype)).float()
        return torch.clamp((decoded + 1.0) / 2.0, min=0.0, max=1.0).movedim(1, -1)

    def encode(self, pixel_samples: Tensor) -> Tensor:
        """The reverse."""
        model_management.load_model_gpu(self.patcher)
        pixels = pixel_samples.movedim(-1, 1).to(self.vae_dtype) * 2 - 1
        return self.first_stage_model.encode(pixels).mode().float()
