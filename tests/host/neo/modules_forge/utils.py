"""Imitates Neo's modules_forge/utils.py: tiling makes the padding of the VAE's convolutions circular."""

from __future__ import annotations

from typing import Any

import torch


def apply_circular_forge(model: Any, tiling_enabled: bool = False) -> None:
    if not model.is_webui_legacy_model() or model.tiling_enabled == tiling_enabled:
        return
    model.tiling_enabled = tiling_enabled
    vae = model.forge_objects.vae.first_stage_model
    for layer in vae.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.padding_mode = "circular" if tiling_enabled else "zeros"
    print(f"Tiling: {tiling_enabled}")
