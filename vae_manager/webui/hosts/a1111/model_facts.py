"""What can be read from the loaded model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DTYPES = {"torch.float32": "fp32", "torch.float16": "fp16", "torch.bfloat16": "bf16"}


def family(model: Any) -> str | None:
    """The checkpoint's latent space, from the flags that the WebUI sets (sd_models.py:380); None for others."""
    if getattr(model, "is_sdxl", False):
        return "sdxl"
    if getattr(model, "is_sd3", False):
        return "sd3"
    if getattr(model, "is_sd1", False) or getattr(model, "is_sd2", False):
        return "sd1"
    return None


def dtype(model: Any) -> str | None:
    vae = getattr(model, "first_stage_model", None)  # None for a moment while a model of 8-bit weights loads
    parameter = next(iter(vae.parameters()), None) if vae is not None else None
    if parameter is None:
        return None
    return dtype_name(parameter.dtype)


def dtype_name(dtype: Any) -> str:
    """`fp32`, `fp16`, …: as people write it."""
    return DTYPES.get(str(dtype), str(dtype).removeprefix("torch."))


def vae_shapes(model: Any) -> Mapping[str, tuple[int, ...]]:
    """Name and shape of each tensor that a VAE file has to bring."""
    return {name: tuple(tensor.shape) for name, tensor in model.first_stage_model.state_dict().items()}

