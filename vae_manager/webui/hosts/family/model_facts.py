"""What can be read from the loaded model."""

from __future__ import annotations

from typing import Any

DTYPES = {"torch.float32": "fp32", "torch.float16": "fp16", "torch.bfloat16": "bf16"}


FLUX = ("Flux", "Chroma")
"""Forge's names for the models of that latent space (backend/diffusion_engine)."""


def family(model: Any) -> str | None:
    """The checkpoint's latent space, from the flags that the WebUI sets (sd_models.py:380); None for others."""
    if getattr(model, "is_sdxl", False):
        return "sdxl"
    if getattr(model, "is_sd3", False):
        return "sd3"
    if type(model).__name__ in FLUX:
        return "flux1"
    if getattr(model, "is_sd1", False) or getattr(model, "is_sd2", False):
        return "sd1"
    return None


def dtype_name(dtype: Any) -> str:
    """`fp32`, `fp16`, …: as people write it."""
    return DTYPES.get(str(dtype), str(dtype).removeprefix("torch."))
