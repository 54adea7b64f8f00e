"""The stand-in's model: a real AutoencoderKL, and a picture generator where Stable Diffusion has a UNet.

A picture is generated from prompt and seed, encoded by one fixed encoder, and only decoded by the model's own VAE. So
the latents do not depend on the VAE in use, and two pictures of one seed differ by nothing else.
"""

from __future__ import annotations

import functools
import hashlib
import re
from typing import Any

import torch
from torch import Tensor, nn

from tests.vaes import BASE, autoencoder
from tests.vaes.autoencoder import SCALE, TINY, Posterior, load
from tests.vaes.pictures import pictures

FACTOR = TINY.factor
CHANNELS = TINY.z_channels


class AutoencoderKL(autoencoder.AutoencoderKL):
    """The VAE with the methods that ldm's has: `encode` gives a distribution, `decode` does not clamp."""

    @property
    def dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def encode(self, x: Tensor) -> Posterior:
        return self.posterior(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decode_raw(z)


class TextModel(nn.Module):
    """The checkpoint's own text model: it knows no emphasis, so `(word:1.3)` is `word` to it."""

    def read(self, prompt: str) -> str:
        return re.sub(r"[()]|:[\d.]+", "", prompt)


class TextModelWithEmphasis(nn.Module):
    """What the hijack puts in its place: emphasis counts."""

    def __init__(self, wrapped: TextModel) -> None:
        super().__init__()
        self.wrapped = wrapped

    def read(self, prompt: str) -> str:
        return prompt


class Model(nn.Module):
    """What `shared.sd_model` is: the attributes of ldm's LatentDiffusion that the WebUI and extensions touch."""

    def __init__(self, *, sdxl: bool) -> None:
        super().__init__()
        self.first_stage_model = AutoencoderKL(TINY)
        self.cond_stage_model: TextModel | TextModelWithEmphasis = TextModel()
        self.cond_stage_key = "txt"
        self.marker = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.scale_factor = SCALE
        self.latent_channels = CHANNELS
        self.lowvram = False
        self.is_sdxl, self.is_sd1 = sdxl, not sdxl
        self.is_sd2 = self.is_sd3 = self.is_ssd = False
        self.sd_checkpoint_info: Any = None
        self.sd_model_checkpoint: str | None = None
        self.sd_model_hash: str | None = None
        self.base_vae: Any = None
        self.loaded_vae_file: str | None = None
        self.used_config = "sdxl" if sdxl else "sd1"

    @property
    def device(self) -> torch.device:
        return self.marker.device

    @torch.no_grad()
    def decode_first_stage(self, z: Tensor) -> Tensor:
        return self.first_stage_model.decode(z / self.scale_factor)

    @torch.no_grad()
    def encode_first_stage(self, x: Tensor) -> Posterior:
        return self.first_stage_model.encode(x)

    def get_first_stage_encoding(self, encoder_posterior: Posterior) -> Tensor:
        return self.scale_factor * encoder_posterior.mode()

    def get_learned_conditioning(self, prompts: list[str]) -> list[str]:
        """What `imagine` is asked for: the prompts as the text model reads them."""
        return [self.cond_stage_model.read(prompt) for prompt in prompts]

    def imagine(self, read: str, seed: int, width: int, height: int) -> Tensor:
        """The latent that denoising ends at: `[1, channels, height / 8, width / 8]`, scaled as the WebUI's are."""
        return imagine(f"{read}|{self.marker.item()}|{seed}", width, height).to(self.device)


def imagine(what: str, width: int, height: int) -> Tensor:
    """The same latent for the same words, always."""
    digest = hashlib.sha256(what.encode()).digest()
    picture = pictures(1, max(width, height), int.from_bytes(digest[:4], "big"))[:, :, :height, :width]
    with torch.no_grad():
        latent: Tensor = reference().encode(picture) * SCALE
    return latent


@functools.cache
def reference() -> autoencoder.AutoencoderKL:
    """The encoder that all latents come from, apart from the loaded model."""
    return load(BASE)
