"""Files as they come: safetensors written by hand, so that they can be wrong in any way."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vae_manager.files.headers import TensorSpec, TensorTable
from vae_manager.records.verdict import VaeSignature

from .filling import filling
from .network_names import Config, names

LAST = "post_quant_conv.weight"

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8}


def header_of(shapes: Mapping[str, tuple[int, ...]], dtype: str = "F32") -> tuple[dict[str, Any], int]:
    """The header's JSON object, and the bytes of data that it describes."""
    header: dict[str, Any] = {}
    at = 0
    for name, shape in shapes.items():
        count = SIZES[dtype]
        for size in shape:
            count *= size
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + count]}
        at += count
    return header, at


def encode(header: object, data: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def safetensors(path: Path, shapes: Mapping[str, tuple[int, ...]], dtype: str = "F32", **metadata: str) -> Path:
    header, size = header_of(shapes, dtype)
    if metadata:
        header["__metadata__"] = metadata
    path.write_bytes(encode(header, filling(size)))
    return path


def ldm(channels: int = 4, prefix: str = "") -> dict[str, tuple[int, ...]]:
    """A whole VAE of the WebUI's layout, very narrow. `post_quant_conv.weight` is its last tensor."""
    shapes = {ours: shape for ours, _, shape in names(Config((8, 8), 1, channels))}
    shapes[LAST] = shapes.pop(LAST)
    return {prefix + name: shape for name, shape in shapes.items()}


def some_vae(count: int) -> bytes:
    """A safetensors file of so many bytes, with a very narrow VAE in it."""
    rest = count - len(encode(*_vae_beside(0))) - 100
    header, data = _vae_beside(rest // 4)
    header["__metadata__"] = {"filling": ""}
    header["__metadata__"] = {"filling": "x" * (count - len(encode(header, data)))}
    return encode(header, data)


def _vae_beside(numbers: int) -> tuple[dict[str, Any], bytes]:
    header, size = header_of({**ldm(), "beside": (numbers,)})
    return header, filling(size)


def diffusers(channels: int = 4) -> dict[str, tuple[int, ...]]:
    """The same VAE as diffusers calls it."""
    return {
        theirs: shape[:2] if ".attentions." in theirs and len(shape) == 4 else shape
        for _, theirs, shape in names(Config((8, 8), 1, channels))
    }


def checkpoint(channels: int = 4, family: str | None = None) -> VaeSignature:
    """Return a checkpoint whose VAE is `ldm(channels)`."""
    specs = {name: TensorSpec("F32", shape) for name, shape in ldm(channels).items()}
    return VaeSignature(TensorTable.of(specs), family)
