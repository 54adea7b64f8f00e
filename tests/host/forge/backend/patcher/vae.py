"""Imitates backend/patcher/vae.py: what stands between the engine and the VAE; its pictures are `[n, h, w, 3]`, 0 … 1.

Decoding in tiles is left out.
"""

from __future__ import annotations

from typing import Any

import torch

from backend import memory_management
from backend.patcher.base import ModelPatcher


class VAE:
    def __init__(
        self,
        model: Any = None,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        no_init: bool = False,
    ) -> None:
        if no_init:
            return
        size_of = memory_management.dtype_size
        self.memory_used_encode = lambda shape, dtype: (1767 * shape[2] * shape[3]) * size_of(dtype)
        self.memory_used_decode = lambda shape, dtype: (2178 * shape[2] * shape[3] * 64) * size_of(dtype)
        self.downscale_ratio = int(2 ** (len(model.config.down_block_types) - 1))
        self.latent_channels = int(model.config.latent_channels)
        self.first_stage_model = model.eval()
        self.device = memory_management.vae_device() if device is None else device
        self.vae_dtype = memory_management.vae_dtype() if dtype is None else dtype
        self.first_stage_model.to(self.vae_dtype)
        self.output_device = memory_management.intermediate_device()
        self.patcher = ModelPatcher(
            self.first_stage_model, load_device=self.device, offload_device=memory_management.vae_offload_device()
        )

    def clone(self) -> VAE:
        n = VAE(no_init=True)
        for name, value in vars(self).items():
            setattr(n, name, value)
        n.patcher = self.patcher.clone()
        return n

    def decode_inner(self, samples_in: torch.Tensor) -> torch.Tensor:
        memory_used = self.memory_used_decode(samples_in.shape, self.vae_dtype)
        memory_management.load_models_gpu([self.patcher], memory_required=memory_used)
        batch_number = max(1, int(memory_management.get_free_memory(self.device) / memory_used))
        height, width = (round(side * self.downscale_ratio) for side in samples_in.shape[2:])
        pixel_samples = torch.empty((samples_in.shape[0], 3, height, width), device=self.output_device)
        for x in range(0, samples_in.shape[0], batch_number):
            samples = samples_in[x : x + batch_number].to(self.vae_dtype).to(self.device)
            decoded = self.first_stage_model.decode(samples).to(self.output_device).float()
            pixel_samples[x : x + batch_number] = torch.clamp((decoded + 1.0) / 2.0, min=0.0, max=1.0)
        return pixel_samples.to(self.output_device).movedim(1, -1)

    def decode(self, samples_in: torch.Tensor) -> torch.Tensor:
        wrapper = self.patcher.model_options.get("model_vae_decode_wrapper", None)
        decoded: torch.Tensor = (
            self.decode_inner(samples_in) if wrapper is None else wrapper(self.decode_inner, samples_in)
        )
        return decoded

    def encode_inner(self, pixel_samples: torch.Tensor) -> torch.Tensor:
        regulation = self.patcher.model_options.get("model_vae_regulation", None)
        pixel_samples = pixel_samples.movedim(-1, 1)
        memory_used = self.memory_used_encode(pixel_samples.shape, self.vae_dtype)
        memory_management.load_models_gpu([self.patcher], memory_required=memory_used)
        batch_number = max(1, int(memory_management.get_free_memory(self.device) / memory_used))
        height, width = (round(side // self.downscale_ratio) for side in pixel_samples.shape[2:])
        shape = (pixel_samples.shape[0], self.latent_channels, height, width)
        samples = torch.empty(shape, device=self.output_device)
        for x in range(0, pixel_samples.shape[0], batch_number):
            pixels_in = (2.0 * pixel_samples[x : x + batch_number] - 1.0).to(self.vae_dtype).to(self.device)
            encoded = self.first_stage_model.encode(pixels_in, regulation)
            samples[x : x + batch_number] = encoded.to(self.output_device).float()
        return samples

    def encode(self, pixel_samples: torch.Tensor) -> torch.Tensor:
        wrapper = self.patcher.model_options.get("model_vae_encode_wrapper", None)
        encoded: torch.Tensor = (
            self.encode_inner(pixel_samples) if wrapper is None else wrapper(self.encode_inner, pixel_samples)
        )
        return encoded
