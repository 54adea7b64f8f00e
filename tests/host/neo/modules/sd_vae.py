"""Imitates Neo's modules/sd_vae.py: an override's file goes into the live VAE, and comes out from a deep copy.

As in Neo, the file is loaded as far as its names fit, unchecked.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from backend import utils
from modules import shared

from tests.host.layers import underneath

forge = underneath(globals())
del forge.load_torch_file, load_torch_file  # noqa: F821 - Neo's checkpoint merger takes no VAE
for _name in ("load_vae", "load_vae_dict", "clear_loaded_vae", "resolve_vae", "VaeResolution"):
    globals().pop(_name, None)

base_vae: dict[str, torch.Tensor] | None = None


@torch.inference_mode()
def _load_vae_dict(model: Any, vae_sd: dict[str, torch.Tensor]) -> None:
    tensors = {name: tensor for name, tensor in vae_sd.items() if not name.startswith("loss")}
    module = model.first_stage_model or model.forge_objects.vae.first_stage_model
    module.load_state_dict(tensors, strict=False)


def store_base_vae(model: Any) -> None:
    global base_vae

    base_vae = deepcopy(model.forge_objects.vae.first_stage_model.state_dict())


def restore_base_vae(model: Any) -> None:
    global base_vae

    if base_vae is not None:
        _load_vae_dict(model, base_vae)
        base_vae = None


def reload_vae_weights(vae: str | None) -> bool:
    if vae in (None, "None"):
        return False
    store_base_vae(shared.sd_model)
    _load_vae_dict(shared.sd_model, utils.load_torch_file(vae))
    return True


def restore_vae_weights() -> None:
    restore_base_vae(shared.sd_model)
