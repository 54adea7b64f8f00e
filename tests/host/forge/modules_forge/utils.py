"""Imitates modules_forge/utils.py: tiling, which does nothing."""

from __future__ import annotations

from typing import Any


def apply_circular_forge(model: Any, tiling_enabled: bool = False) -> None:
    if model.tiling_enabled == tiling_enabled:
        return
    model.tiling_enabled = tiling_enabled
    print("Tiling is currently under maintenance and unavailable. Sorry for the inconvenience.")
