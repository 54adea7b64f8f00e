"""Whole VAEs of any size, under the names of either layout: written out here once more, apart from what is tested.

Weights are random bytes whose numbers are all finite and small; the same seed gives the same weights.
"""

from __future__ import annotations

import functools
import json
import math
import random
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .samples import encode

Tensors = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class Tensor:
    dtype: str
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True)
class Config:
    """The size of a VAE; the widths of SD's are 128, 256, 512, 512."""

    widths: tuple[int, ...] = (4, 8, 8, 8)
    blocks: int = 2
    """Of each level of the encoder; the decoder has one more."""
    latent: int = 4
    quant: bool = True
    """SD3's and FLUX.1's have no `quant_conv`."""


SD = Config()
FLUX = Config(latent=16, quant=False)


def vae(config: Config = SD, dtype: str = "F32", seed: int = 0) -> dict[str, Tensor]:
    """By the WebUI's names."""
    return dict(_vae(config, dtype, seed))


@functools.cache
def _vae(config: Config, dtype: str, seed: int) -> Tensors:
    chance = random.Random(seed)
    return {
        name: Tensor(dtype, shape, numbers(math.prod(shape), dtype, chance)) for name, _, shape in names(config)
    }


def numbers(count: int, dtype: str, chance: random.Random) -> bytes:
    values = [chance.gauss(0, 1) for _ in range(count)]
    if dtype == "BF16":
        return b"".join(struct.pack("<f", value)[2:] for value in values)
    letter = {"F64": "d", "F32": "f", "F16": "e"}[dtype]
    return struct.pack(f"<{count}{letter}", *values)


def renamed(
    tensors: Tensors, config: Config = SD, *, older: bool = False, prefix: str = ""
) -> dict[str, Tensor]:
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


# -- names -----------------------------------------------------------------------------------------------------------
Name = tuple[str, str, tuple[int, ...]]
"""The WebUI's, diffusers', and the shape that the WebUI's has."""


def names(config: Config) -> list[Name]:
    """In the order in which the network has them, as `state_dict` gives them."""
    z, widths, last = config.latent, config.widths, len(config.widths) - 1
    found: list[Name] = [*_conv("encoder.conv_in", "encoder.conv_in", 3, widths[0], 3)]
    before = widths[0]
    for level, width in enumerate(widths):
        for block in range(config.blocks):
            ours, theirs = f"encoder.down.{level}.block.{block}", f"encoder.down_blocks.{level}.resnets.{block}"
            found += _resnet(ours, theirs, before, width)
            before = width
        if level < last:
            theirs = f"encoder.down_blocks.{level}.downsamplers.0.conv"
            found += _conv(f"encoder.down.{level}.downsample.conv", theirs, width, width, 3)
    found += _middle("encoder", before)
    found += _norm("encoder.norm_out", "encoder.conv_norm_out", before)
    found += _conv("encoder.conv_out", "encoder.conv_out", before, 2 * z, 3)
    found += _conv("decoder.conv_in", "decoder.conv_in", z, before, 3)
    found += _middle("decoder", before)
    for level in range(last, -1, -1):
        width = widths[level]
        for block in range(config.blocks + 1):
            ours, theirs = f"decoder.up.{level}.block.{block}", f"decoder.up_blocks.{last - level}.resnets.{block}"
            found += _resnet(ours, theirs, before, width)
            before = width
        if level > 0:
            theirs = f"decoder.up_blocks.{last - level}.upsamplers.0.conv"
            found += _conv(f"decoder.up.{level}.upsample.conv", theirs, width, width, 3)
    found += _norm("decoder.norm_out", "decoder.conv_norm_out", before)
    found += _conv("decoder.conv_out", "decoder.conv_out", before, 3, 3)
    if config.quant:
        found += _conv("quant_conv", "quant_conv", 2 * z, 2 * z, 1)
        found += _conv("post_quant_conv", "post_quant_conv", z, z, 1)
    return found


def _middle(part: str, width: int) -> Iterator[Name]:
    yield from _resnet(f"{part}.mid.block_1", f"{part}.mid_block.resnets.0", width, width)
    ours, theirs = f"{part}.mid.attn_1", f"{part}.mid_block.attentions.0"
    yield from _norm(f"{ours}.norm", f"{theirs}.group_norm", width)
    for one, other in (("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("proj_out", "to_out.0")):
        yield from _conv(f"{ours}.{one}", f"{theirs}.{other}", width, width, 1)
    yield from _resnet(f"{part}.mid.block_2", f"{part}.mid_block.resnets.1", width, width)


def _resnet(ours: str, theirs: str, before: int, after: int) -> Iterator[Name]:
    yield from _norm(f"{ours}.norm1", f"{theirs}.norm1", before)
    yield from _conv(f"{ours}.conv1", f"{theirs}.conv1", before, after, 3)
    yield from _norm(f"{ours}.norm2", f"{theirs}.norm2", after)
    yield from _conv(f"{ours}.conv2", f"{theirs}.conv2", after, after, 3)
    if before != after:
        yield from _conv(f"{ours}.nin_shortcut", f"{theirs}.conv_shortcut", before, after, 1)


def _norm(ours: str, theirs: str, width: int) -> Iterator[Name]:
    for end in ("weight", "bias"):
        yield f"{ours}.{end}", f"{theirs}.{end}", (width,)


def _conv(ours: str, theirs: str, before: int, after: int, kernel: Literal[1, 3]) -> Iterator[Name]:
    yield f"{ours}.weight", f"{theirs}.weight", (after, before, kernel, kernel)
    yield f"{ours}.bias", f"{theirs}.bias", (after,)
