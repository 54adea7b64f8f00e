"""Imitates backend/diffusion_engine/sd15.py and sdxl.py: the stand-in's checkpoints of either kind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from backend import memory_management
from backend.diffusion_engine.base import ForgeDiffusionEngine, ForgeObjects
from backend.patcher.base import ModelPatcher
from backend.patcher.vae import VAE
from tests.host.network import imagine


class StableDiffusion(ForgeDiffusionEngine):
    def __init__(self, estimated_config: Any, huggingface_components: dict[str, Any]) -> None:
        super().__init__(estimated_config, huggingface_components)
        vae = VAE(model=huggingface_components["vae"])
        unet, clip = (_part(huggingface_components[name]) for name in ("unet", "text_encoder"))
        self.forge_objects = ForgeObjects(unet=unet, clip=clip, vae=vae, clipvision=None)
        self.forge_objects_original = self.forge_objects.shallow_copy()
        self.forge_objects_after_applying_lora = self.forge_objects.shallow_copy()
        self.is_sdxl = estimated_config.sdxl
        self.is_sd1 = not self.is_sdxl

    @torch.inference_mode()
    def get_learned_conditioning(self, prompt: list[str]) -> list[str]:
        """What `imagine` is asked for: the prompt, and what the text encoder makes of every one."""
        memory_management.load_model_gpu(self.forge_objects.clip.patcher)
        mood = self.forge_objects.clip.patcher.model.mood.sum().item()
        return [f"{text}|{mood}" for text in prompt]

    @torch.inference_mode()
    def encode_first_stage(self, x: torch.Tensor) -> torch.Tensor:
        sample = self.forge_objects.vae.encode(x.movedim(1, -1) * 0.5 + 0.5)
        sample = self.forge_objects.vae.first_stage_model.process_in(sample)
        return sample.to(x)

    @torch.inference_mode()
    def decode_first_stage(self, x: torch.Tensor) -> torch.Tensor:
        sample = self.forge_objects.vae.first_stage_model.process_out(x)
        sample = self.forge_objects.vae.decode(sample).movedim(-1, 1) * 2.0 - 1.0
        return sample.to(x)

    def imagine(self, read: str, seed: int, width: int, height: int) -> torch.Tensor:
        """As `tests.host.network.Model.imagine`."""
        memory_management.load_model_gpu(self.forge_objects.unet.patcher)
        return imagine(f"{read}|{self.forge_objects.unet.patcher.model.marker.item()}|{seed}", width, height)


def _part(model: torch.nn.Module) -> SimpleNamespace:
    """The UNet or the text encoder: a patcher. Nothing else of them is imitated."""
    device = memory_management.get_torch_device()
    return SimpleNamespace(patcher=ModelPatcher(model, load_device=device, offload_device=device))


class StableDiffusionXL(StableDiffusion):
    """It differs by its name and its flag."""
