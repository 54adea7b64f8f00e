"""Imitates Forge's modules/lowvram.py, which does nothing."""

from __future__ import annotations

from typing import Any

import torch

module_in_gpu = None
cpu = torch.device("cpu")


def send_everything_to_cpu() -> None:
    pass


def is_needed(sd_model: Any) -> bool:
    return False


def apply(sd_model: Any) -> None:
    pass


def setup_for_low_vram(sd_model: Any, use_medvram: bool) -> None:
    pass


def is_enabled(sd_model: Any) -> bool:
    return False
