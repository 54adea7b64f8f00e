"""As modules/processing.py of reForge: no second decode after NaN, padding of its own, and torch's inference mode."""

from __future__ import annotations

from typing import Any

import torch
from modules_forge.forge_util import apply_circular_forge

from tests.host.layers import underneath

underneath(globals())

_batch_as_in_a1111 = _process_batch  # noqa: F821


def decode_latent_batch(
    model: Any, batch: torch.Tensor, target_device: torch.device | None = None, check_for_nans: bool = False
) -> Any:
    return DecodedSamples(decode_first_stage(model, batch).to(target_device))  # noqa: F821


def _process_batch(p: Any, number: int) -> Any:
    if number == 0:
        apply_circular_forge(p.sd_model, p.tiling)
    model = p.sd_model
    model.forge_objects = model.forge_objects_original.shallow_copy()
    with torch.inference_mode():
        model.forge_objects = model.forge_objects_after_applying_lora.shallow_copy()
        return _batch_as_in_a1111(p, number)
