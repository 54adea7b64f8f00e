"""Forge's decode (sd_samplers_common.py decode_first_stage), for comparisons. Tiling does nothing there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from backend import memory_management

from ....compare import Model
from .books import SEED


class ForgeDecoding:
    def mend(self) -> None:
        pass  # a load that failed leaves no model

    @contextmanager
    def ready(self, model: Any, tiling: bool) -> Iterator[Model]:
        def decode(latent: torch.Tensor) -> torch.Tensor:
            picture: torch.Tensor = model.decode_first_stage(latent)
            return picture

        def encode(picture: torch.Tensor) -> torch.Tensor:
            with torch.random.fork_rng():
                torch.manual_seed(SEED)
                latent: torch.Tensor = model.get_first_stage_encoding(model.encode_first_stage(picture))
            return latent

        vae = model.forge_objects.vae
        with torch.inference_mode():
            memory_management.load_model_gpu(vae.patcher)  # before: weights that are lent go where it runs
            yield Model(vae.first_stage_model, decode, encode, vae.device, casts=False)
