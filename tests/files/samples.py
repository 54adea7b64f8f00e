"""Files as they come: safetensors written by hand, so that they can be wrong in any way."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8}


def header_of(shapes: Mapping[str, tuple[int, ...]], dtype: str = "F32") -> tuple[dict[str, object], int]:
    """The header's JSON object, and the bytes of data that it describes."""
    header: dict[str, object] = {}
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
    path.write_bytes(encode(header, bytes(size)))
    return path


def ldm(channels: int = 4, prefix: str = "") -> dict[str, tuple[int, ...]]:
    """The names by which a VAE of the WebUI's layout is known, with tiny shapes."""
    shapes: dict[str, tuple[int, ...]] = {
        "encoder.conv_in.weight": (8, 3, 3, 3),
        "encoder.mid.block_1.conv1.weight": (8, 8, 3, 3),
        "encoder.conv_out.weight": (2 * channels, 8, 3, 3),
        "decoder.conv_in.weight": (8, channels, 3, 3),
        "decoder.mid.block_1.conv1.weight": (8, 8, 3, 3),
        "decoder.up.0.block.0.conv1.weight": (8, 8, 3, 3),
        "quant_conv.weight": (2 * channels, 2 * channels, 1, 1),
        "post_quant_conv.weight": (channels, channels, 1, 1),
    }
    return {prefix + name: shape for name, shape in shapes.items()}


def diffusers(channels: int = 4) -> dict[str, tuple[int, ...]]:
    return {
        "encoder.conv_in.weight": (8, 3, 3, 3),
        "encoder.down_blocks.0.resnets.0.conv1.weight": (8, 8, 3, 3),
        "encoder.mid_block.resnets.0.conv1.weight": (8, 8, 3, 3),
        "decoder.conv_in.weight": (8, channels, 3, 3),
        "decoder.mid_block.resnets.0.conv1.weight": (8, 8, 3, 3),
        "decoder.up_blocks.0.resnets.0.conv1.weight": (8, 8, 3, 3),
    }
