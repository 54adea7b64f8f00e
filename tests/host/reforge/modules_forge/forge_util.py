"""Imitates modules_forge/forge_util.py, as far as tiling goes."""

from __future__ import annotations

from typing import Any

import torch


def apply_circular_forge(model: Any, tiling_enabled: bool = False) -> None:
    if model.tiling_enabled == tiling_enabled:
        return
    model.tiling_enabled = tiling_enabled
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.padding_mode = "circular" if tiling_enabled else "zeros"
