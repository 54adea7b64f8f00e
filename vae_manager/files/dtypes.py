"""Dtypes of weights, by their names in safetensors files."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

__all__ = ["TORCH_DTYPES"]

TORCH_DTYPES: Final = MappingProxyType(
    {
        "F64": "float64",
        "F32": "float32",
        "F16": "float16",
        "BF16": "bfloat16",
        "F8_E4M3": "float8_e4m3fn",
        "F8_E5M2": "float8_e5m2",
    }
)
"""Torch's names of the dtypes that weights come in."""
