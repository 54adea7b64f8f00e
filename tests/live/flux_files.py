"""FLUX.1's files with random weights, as small as Forge Neo's loader takes them: each tensor of its true shape.

The network has one double and one single block. Values come from a pool of normal ones, so that 5 GB take seconds and
little memory. Norms are not neutral: emphasis divides by the mean of the text encoder's output.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

Shapes = Mapping[str, tuple[int, ...]]

WIDTH: Final = 3072
"""Of the network."""
POOL: Final = 1 << 24
"""Values in the pool."""
STEP: Final = 7_368_787
"""A prime: the offset in the pool from one tensor to the next."""
WRITE: Final = 1 << 25
"""Values that are written at once at most."""


@dataclass(frozen=True)
class Written:
    """A file and its SHA-256."""

    path: Path
    sha256: str

    @property
    def size(self) -> int:
        return self.path.stat().st_size


def write_network(path: Path, seed: int = 301) -> Written:
    """Write FLUX.1 dev's network with two blocks, in bf16, some 1.1 GB."""
    return _write(path, _network(), "BF16", seed)


def write_clip_l(path: Path, seed: int = 302) -> Written:
    """Write CLIP-L in fp16, 246 MB."""
    return _write(path, _clip_l(), "F16", seed)


def write_t5(path: Path, seed: int = 303) -> Written:
    """Write T5-XXL's encoder in fp8, 4.9 GB."""
    return _write(path, _t5(), "F8_E4M3", seed)


def write_vae(path: Path, seed: int = 304) -> Written:
    """Write a VAE of FLUX.1's shape in fp32, 335 MB; pictures have contrast."""
    return _write(path, vae_shapes(), "F32", seed)


def _linear(name: str, outputs: int, inputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _network() -> Shapes:
    width, wide, head = WIDTH, 4 * WIDTH, 128
    shapes = {
        **_linear("img_in", width, 64),
        **_linear("txt_in", width, 4096),
        **_linear("final_layer.linear", 64, width),
        **_linear("final_layer.adaLN_modulation.1", 2 * width, width),
    }
    for name, inputs in (("time_in", 256), ("vector_in", 768), ("guidance_in", 256)):
        shapes |= {**_linear(f"{name}.in_layer", width, inputs), **_linear(f"{name}.out_layer", width, width)}
    for part in ("img", "txt"):
        block = f"double_blocks.0.{part}"
        shapes |= {
            **_linear(f"{block}_mod.lin", 6 * width, width),
            **_linear(f"{block}_attn.qkv", 3 * width, width),
            f"{block}_attn.norm.query_norm.scale": (head,),
            f"{block}_attn.norm.key_norm.scale": (head,),
            **_linear(f"{block}_attn.proj", width, width),
            **_linear(f"{block}_mlp.0", wide, width),
            **_linear(f"{block}_mlp.2", width, wide),
        }
    block = "single_blocks.0"
    shapes |= {
        **_linear(f"{block}.linear1", 3 * width + wide, width),
        **_linear(f"{block}.linear2", width, width + wide),
        f"{block}.norm.query_norm.scale": (head,),
        f"{block}.norm.key_norm.scale": (head,),
        **_linear(f"{block}.modulation.lin", 3 * width, width),
    }
    return shapes


def _clip_l() -> Shapes:
    width, model = 768, "text_model"
    shapes: dict[str, tuple[int, ...]] = {
        f"{model}.embeddings.token_embedding.weight": (49408, width),
        f"{model}.embeddings.position_embedding.weight": (77, width),
        f"{model}.final_layer_norm.weight": (width,),
        f"{model}.final_layer_norm.bias": (width,),
    }
    for number in range(12):
        layer = f"{model}.encoder.layers.{number}"
        for norm in ("layer_norm1", "layer_norm2"):
            shapes |= {f"{layer}.{norm}.weight": (width,), f"{layer}.{norm}.bias": (width,)}
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= _linear(f"{layer}.self_attn.{part}", width, width)
        shapes |= {**_linear(f"{layer}.mlp.fc1", 4 * width, width), **_linear(f"{layer}.mlp.fc2", width, 4 * width)}
    return shapes


def _t5() -> Shapes:
    width, wide = 4096, 10240
    shapes: dict[str, tuple[int, ...]] = {
        "shared.weight": (32128, width),
        "encoder.final_layer_norm.weight": (width,),
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 64),
    }
    for number in range(24):
        block = f"encoder.block.{number}"
        shapes |= {f"{block}.layer.0.SelfAttention.{part}.weight": (width, width) for part in "qkvo"}
        shapes |= {f"{block}.layer.{part}.layer_norm.weight": (width,) for part in (0, 1)}
        shapes |= {f"{block}.layer.1.DenseReluDense.wi_{part}.weight": (wide, width) for part in (0, 1)}
        shapes[f"{block}.layer.1.DenseReluDense.wo.weight"] = (width, wide)
    return shapes


def _conv(name: str, outputs: int, inputs: int, side: int = 3) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, side, side), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _residual(name: str, inputs: int, outputs: int) -> Shapes:
    shapes = {
        **_norm(f"{name}.norm1", inputs),
        **_conv(f"{name}.conv1", outputs, inputs),
        **_norm(f"{name}.norm2", outputs),
        **_conv(f"{name}.conv2", outputs, outputs),
    }
    return {**shapes, **(_conv(f"{name}.nin_shortcut", outputs, inputs, 1) if inputs != outputs else {})}


def _middle(half: str) -> Shapes:
    attention = f"{half}.mid.attn_1"
    shapes = {**_residual(f"{half}.mid.block_1", 512, 512), **_residual(f"{half}.mid.block_2", 512, 512)}
    shapes |= _norm(f"{attention}.norm", 512)
    for part in ("q", "k", "v", "proj_out"):
        shapes |= _conv(f"{attention}.{part}", 512, 512, 1)
    return shapes


def vae_shapes() -> Shapes:
    """Return the tensors of FLUX.1's VAE by the names of `ae.safetensors`: 244, without quant_conv."""
    levels = (128, 256, 512, 512)
    shapes = {**_conv("encoder.conv_in", 128, 3), **_middle("encoder"), **_norm("encoder.norm_out", 512)}
    shapes |= _conv("encoder.conv_out", 32, 512)
    before = 128
    for level, width in enumerate(levels):
        for block in range(2):
            shapes |= _residual(f"encoder.down.{level}.block.{block}", before, width)
            before = width
        if level < 3:
            shapes |= _conv(f"encoder.down.{level}.downsample.conv", width, width)
    shapes |= {**_conv("decoder.conv_in", 512, 16), **_middle("decoder"), **_norm("decoder.norm_out", 128)}
    shapes |= _conv("decoder.conv_out", 3, 128)
    for level, width in reversed(list(enumerate(levels))):
        for block in range(3):
            shapes |= _residual(f"decoder.up.{level}.block.{block}", before, width)
            before = width
        if level > 0:
            shapes |= _conv(f"decoder.up.{level}.upsample.conv", width, width)
    return shapes


def _write(path: Path, shapes: Shapes, dtype: str, seed: int) -> Written:
    values = _Values(dtype, seed)
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape in shapes.items():
        end = offset + math.prod(shape) * values.bytes_each
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    digest = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for block in _blocks(struct.pack("<Q", len(text)) + text, values, shapes):
            file.write(block)
            digest.update(block)
    return Written(path, digest.hexdigest())


def _blocks(head: bytes, values: _Values, shapes: Shapes) -> Iterator[bytes | memoryview]:
    yield head
    for number, (name, shape) in enumerate(shapes.items()):
        yield from values.of(number, name, shape)


class _Values:
    """Random values in one dtype."""

    def __init__(self, dtype: str, seed: int) -> None:
        import numpy

        self._dtype = dtype
        self._pool = numpy.random.default_rng(seed).standard_normal(POOL, dtype="float32")
        self._cast: dict[tuple[float, float], Any] = {}
        self.bytes_each = {"F32": 4, "BF16": 2, "F16": 2, "F8_E4M3": 1}[dtype]

    def of(self, number: int, name: str, shape: tuple[int, ...]) -> Iterator[memoryview]:
        """Yield the bytes of a tensor."""
        pool = self._pool_of(*_distribution(name, shape))
        left, start = math.prod(shape), number * STEP % POOL
        while left:
            piece = pool[start : start + min(left, WRITE)]
            yield memoryview(piece).cast("B")
            left, start = left - len(piece), 0

    def _pool_of(self, mean: float, deviation: float) -> Any:
        """Return the pool with this mean and deviation, in the dtype; the last few are kept."""
        import numpy

        key = mean, deviation
        if key not in self._cast:
            while len(self._cast) > 4:
                self._cast.pop(next(iter(self._cast)))
            values = self._pool * numpy.float32(deviation) + numpy.float32(mean)
            self._cast[key] = self._encoded(values)
        return self._cast[key]

    def _encoded(self, values: Any) -> Any:
        if self._dtype == "F16":
            return values.astype("float16")
        if self._dtype == "BF16":
            return (values.view("uint32") >> 16).astype("uint16")
        return _as_e4m3(values) if self._dtype == "F8_E4M3" else values


def _distribution(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Return mean and standard deviation for a tensor, so that signals neither grow nor fade."""
    if "embedding" in name or name == "shared.weight":
        return 0.0, 0.5
    if name == "decoder.conv_out.weight":
        return 0.0, 0.5 / math.sqrt(math.prod(shape[1:]))
    if len(shape) > 1:
        return 0.0, 0.7 / math.sqrt(math.prod(shape[1:]))
    return (1.0, 0.1) if "norm" in name and name.endswith(("weight", "scale")) else (0.05, 0.05)


def _as_e4m3(values: Any) -> Any:
    """Return the nearest fp8 values towards zero: 4 bits of exponent (bias 7), 3 of mantissa, of |values| below 448."""
    import numpy

    steps = numpy.array([_e4m3(code) for code in range(0x7F)], dtype="float32")
    codes = (numpy.searchsorted(steps, numpy.abs(values), side="right") - 1).astype("uint8")
    return codes | (numpy.signbit(values).astype("uint8") << 7)


def _e4m3(code: int) -> float:
    exponent, mantissa = code >> 3, code & 7
    return mantissa / 8 * 2.0**-6 if exponent == 0 else (1 + mantissa / 8) * 2.0 ** (exponent - 7)
