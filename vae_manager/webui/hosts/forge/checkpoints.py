"""What a checkpoint is, while it is not loaded: by the tensors that Forge itself goes by (backend/loader.py)."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final

from ....errors import VaeManagerError
from ....files import Identity, TensorTable, identity_of, inspect
from ....files.key_mapping import canonical
from ....records.capability import VaeSignature

UNET: Final = "model.diffusion_model."
CROSS_ATTENTION: Final = f"{UNET}input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"
FAMILIES: Final = {768: "sd1", 1024: "sd1", 2048: "sdxl", 1280: "sdxl"}
"""By the width of what the text encoder gives: SD 1.x, 2.x, SDXL, its refiner."""
OTHERS: Final = {
    f"{UNET}double_blocks.0.img_attn.norm.key_norm.scale": "flux1",
    "double_blocks.0.img_attn.norm.key_norm.scale": "flux1",
    f"{UNET}final_layer.adaLN_modulation.1.bias": "sd3",
}
"""FLUX.1 has SD3's final layer too, so it comes first."""


def family_of(checkpoint: Path) -> str | None:
    """The family that its latents are of; None where that cannot be told."""
    identity = identity_of(checkpoint)
    return _family_of(identity) if identity is not None else None


@functools.lru_cache(maxsize=256)
def _family_of(identity: Identity) -> str | None:
    try:
        return _family_by(inspect(Path(identity.path)).tensors)
    except VaeManagerError:
        return None


def signature_of(checkpoint: Path) -> VaeSignature:
    """Return the VAE that the checkpoint's file holds, and its family."""
    identity = identity_of(checkpoint)
    return _signature_of(identity) if identity is not None else VaeSignature(None)


@functools.lru_cache(maxsize=16)
def _signature_of(identity: Identity) -> VaeSignature:
    try:
        tensors = inspect(Path(identity.path)).tensors
    except VaeManagerError:
        return VaeSignature(None)
    found = canonical(tensors)
    return VaeSignature(TensorTable.of(found.tensors) if found is not None else None, _family_by(tensors))


def _family_by(tensors: TensorTable) -> str | None:
    attention = tensors.get(CROSS_ATTENTION)
    if attention is not None and len(attention.shape) > 1:
        return FAMILIES.get(attention.shape[1])
    return next((family for name, family in OTHERS.items() if name in tensors), None)
