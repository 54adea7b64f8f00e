"""Whole VAEs of any size, under the names of either layout: written out here once more, apart from what is tested.

Weights are random bytes whose numbers are all finite and small; the same seed gives the same weights.
"""

from __future__ import annotations

import functools
import json
import math
import random
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .network_names import FLUX, SD, Config, names
from .samples import encode

__all__ = ["FLUX", "SD", "Config", "Tensor", "Tensors", "below", "names", "read", "renamed", "vae", "write"]

Tensors = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class Tensor:
    dtype: str
    shape: tuple[int, ...]
    data: bytes


def vae(config: Config = SD, dtype: str = "F32", seed: int = 0) -> dict[str, Tensor]:
    """By the WebUI's names."""
    return dict(_vae(config, dtype, seed))


@functools.cache
def _vae(config: Config, dtype: str, seed: int) -> Tensors:
    chance = random.Random(seed)
    return {name: Tensor(dtype, shape, numbers(math.prod(shape), dtype, chance)) for name, _, shape in names(config)}


def numbers(count: int, dtype: str, chance: random.Random) -> bytes:
    values = [chance.gauss(0, 1) for _ in range(count)]
    if dtype == "BF16":
        return b"".join(struct.pack("<f", value)[2:] for value in values)
    letter = {"F64": "d", "F32": "f", "F16": "e"}[dtype]
    return struct.pack(f"<{count}{letter}", *values)


def renamed(tensors: Tensors, config: Config = SD, *, older: bool = False, prefix: str = "") -> dict[str, Tensor]:
    """The same VAE as diffusers calls it; `older` as it did before its version 0.15."""
    found = {}
    for ldm, theirs, _ in names(config):
        tensor = tensors[ldm]
        if ".attentions." in theirs and len(tensor.shape) == 4:
            tensor = Tensor(tensor.dtype, tensor.shape[:2], tensor.data)
        if older:
            for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
                theirs = theirs.replace(new, old)
        found[prefix + theirs] = tensor
    return found


def below(prefix: str, tensors: Tensors) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def write(path: Path, tensors: Tensors, order: Iterable[str] | None = None, **metadata: str) -> Path:
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    data = bytearray()
    for name in tensors if order is None else order:
        tensor = tensors[name]
        offsets = [len(data), len(data) + len(tensor.data)]
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": offsets}
        data += tensor.data
    path.write_bytes(encode(header, bytes(data)))
    return path


def read(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, in the order of its header."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    header.pop("__metadata__", None)
    found = {}
    for name, one in header.items():
        begin, end = (start + offset for offset in one["data_offsets"])
        found[name] = Tensor(one["dtype"], tuple(one["shape"]), raw[begin:end])
    return found
