"""Files of the corpus's kinds in the true SD 1.x shapes, for the verdict's promises in a running WebUI.

Each number of the common weights is one of 8 bits in both of its forms, so a file of any precision holds the same
weights, and one picture is expected of all.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save, save_file

from ..files.corpus.vaes import EMA, SVD, UNET
from ..files.corpus.variants import GONE, LEFTOVERS, MATRICES, MORE, PREFIXES, WRAPPERS
from ..files.network_names import Config, names
from ..vaes.autoencoder import SD1, AutoencoderKL

SEED = 31
NAMES = names(Config((128, 256, 512, 512), 2))
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip
OTHER_NETWORKS = {
    "16 channels": Config((128, 256, 512, 512), 2, 16), "3 channels": Config((128, 256, 512, 512), 2, 3),
    "without quant": Config((128, 256, 512, 512), 2, 4, quant=False), "deeper": Config((128, 256, 512, 512), 3),
    "narrower": Config((64, 128, 256, 256), 2), "three levels": Config((128, 256, 512), 2),
}  # fmt: skip
OTHER_SHAPES: Mapping[str, tuple[int, ...]] = {
    "encoder.conv_in.weight": (128, 4, 3, 3), "decoder.conv_out.bias": (4,), "decoder.conv_in.weight": (512, 4, 1, 1),
    "decoder.mid.attn_1.q.weight": (512, 512, 3, 3), "quant_conv.weight": (8, 8, 1),
    "decoder.norm_out.weight": (128, 1),
}  # fmt: skip

Weights = Mapping[str, torch.Tensor]


@functools.cache
def weights() -> Weights:
    """The common weights, by the WebUI's names, in 32 bits."""
    torch.manual_seed(SEED)
    model = AutoencoderKL(SD1)
    with torch.no_grad():
        model.decoder.conv_out.weight.mul_(8.0)
    found = {}
    for name, tensor in model.state_dict().items():
        coarse = tensor.detach().to(torch.float8_e4m3fn).to(torch.float8_e5m2)
        found[name] = coarse.float().contiguous()
        assert all(torch.equal(found[name].to(kind).float(), found[name]) for kind in DTYPES.values())
    return found


@dataclass(frozen=True)
class Promised:
    """One file: how it is written, and what its picture is compared with."""

    id: str
    write: Callable[[Path], None]
    suffix: str = ".safetensors"
    changed: Callable[[Weights], Weights] | None = None
    """Its weights, if they are not the common ones."""
    family: str | None = None
    """Family that a person sets before the file is used."""


def as_safetensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    save_file(dict(tensors), path, metadata={"format": "pt"})


def as_zip(tensors: Any, path: Path) -> None:
    torch.save(tensors, path)


def as_legacy(tensors: Any, path: Path) -> None:
    torch.save(tensors, path, _use_new_zipfile_serialization=False)


def ldm(dtype: str = "F16", prefix: str = "") -> dict[str, torch.Tensor]:
    return {prefix + name: tensor.to(DTYPES[dtype]) for name, tensor in weights().items()}


def diffusers(dtype: str = "F16", prefix: str = "") -> dict[str, torch.Tensor]:
    """Under the names of diffusers; its attention weights are matrices."""
    found = {}
    for ours, theirs, _ in NAMES:
        tensor = weights()[ours].to(DTYPES[dtype])
        found[prefix + theirs] = tensor.flatten(1) if ".attentions." in theirs and tensor.dim() == 4 else tensor
    return found


def some(shapes: Mapping[str, Any], dtype: torch.dtype = torch.float16) -> dict[str, torch.Tensor]:
    """Tensors of these shapes, of which no number is zero."""
    return {name: torch.full(tuple(shape), 0.25).to(dtype) for name, shape in shapes.items()}


def in_part(part: str) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in ldm().items() if name.startswith(part)}


def without(name: str) -> dict[str, torch.Tensor]:
    return {key: tensor for key, tensor in ldm().items() if key != name}


def _safetensors(id: str, tensors: Callable[[], Mapping[str, torch.Tensor]], **more: Any) -> Promised:
    return Promised(id, lambda path: as_safetensors(tensors(), path), **more)


def _zip(id: str, root: Callable[[], Any], suffix: str = ".pt", **more: Any) -> Promised:
    return Promised(id, lambda path: as_zip(root(), path), suffix, **more)


def _bytes(id: str, edit: Callable[[bytearray, int], bytes | bytearray], **more: Any) -> Promised:
    """Edit the bytes of a plain file in 32 bits; `edit` gets them, and where its data begins."""

    def write(path: Path) -> None:
        data = bytearray(save(dict(weights()), {"format": "pt"}))
        path.write_bytes(edit(data, 8 + struct.unpack("<Q", data[:8])[0]))

    return Promised(id, write, **more)


def _one_number(at_end: bool, number: bytes) -> Callable[[bytearray, int], bytearray]:
    def edit(data: bytearray, start: int) -> bytearray:
        at = len(data) - 4 if at_end else start
        data[at : at + 4] = number
        return data

    return edit


def _zeros(first: float, last: float) -> Callable[[bytearray, int], bytearray]:
    def edit(data: bytearray, start: int) -> bytearray:
        size = len(data) - start
        begin, end = start + int(size * first), start + int(size * last)
        data[begin:end] = bytes(end - begin)
        return data

    return edit


def _last_as(value: float) -> Callable[[Weights], Weights]:
    """The common weights with another last number: safetensors' writer sorts by width, then by name."""

    def change(common: Weights) -> Weights:
        name = max(common)
        tensor = common[name].clone()
        tensor.flatten()[-1] = value
        return {**common, name: tensor}

    return change


def _cut(share: int) -> Callable[[bytearray, int], bytearray]:
    """The first `share` per cent of the file."""
    return lambda data, _: data[: len(data) * share // 100]


def _beside(made: Callable[[], dict[str, torch.Tensor]], shapes: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """A VAE with tensors of these shapes beside it, or in place of its own."""
    return {**made(), **some(shapes)}


def _below(name: str) -> dict[str, Any]:
    """As a training tool writes it."""
    return {name: ldm(), "epoch": 3}


def _with_matrices(more: tuple[int, ...]) -> dict[str, torch.Tensor]:
    return {**ldm(), **{name: ldm()[name].reshape(512, 512, *more) for name in MATRICES}}


def _huge() -> dict[str, torch.Tensor]:
    found = ldm("F64")
    found["decoder.conv_out.bias"] = torch.full((3,), 1e300, dtype=torch.float64)
    return found


def _kinds() -> Iterator[Promised]:
    for dtype in DTYPES:
        yield _safetensors(f"ldm, {dtype}", partial(ldm, dtype))
        yield _safetensors(f"diffusers, {dtype}", partial(diffusers, dtype))
    yield _safetensors(
        "ldm, I64",
        lambda: {name: tensor.long() for name, tensor in weights().items()},
        changed=lambda common: {name: tensor.trunc() for name, tensor in common.items()},
    )
    for layout, made in {"ldm": ldm, "diffusers": diffusers}.items():
        yield _zip(f"{layout}, zip", made)
        yield Promised(f"{layout}, legacy", lambda path, made=made: as_legacy(made(), path), ".ckpt")  # type: ignore[misc]
        yield _zip(f"{layout}, zip named safetensors", made, ".safetensors")
        yield _safetensors(f"{layout}, named pt", made, suffix=".pt")
    for prefix in ("first_stage_model.", *PREFIXES):
        yield _safetensors(f"below {prefix}", partial(ldm, prefix=prefix))
    for prefix in ("vae.", "model."):
        yield _safetensors(f"diffusers below {prefix}", partial(diffusers, prefix=prefix))
    yield _zip("prefixed, zip", lambda: ldm(prefix="first_stage_model."))
    for name, shape in LEFTOVERS.items():
        yield _safetensors(f"with {name}", partial(_beside, ldm, {name: shape}))
    for name in ("loss.logvar", "scale_factor"):
        yield _safetensors(f"diffusers with {name}", partial(_beside, diffusers, {name: ()}))
    yield _safetensors("with integers beside", lambda: {**ldm(), "position_ids": torch.arange(77)[None]})
    yield _safetensors("with half of it in fp32", lambda: {**ldm("F32"), **in_part("decoder")})
    yield _safetensors(
        "with one tensor of integers",
        lambda: {**ldm(), "decoder.conv_out.bias": torch.zeros(3, dtype=torch.int64)},
        changed=lambda common: {**common, "decoder.conv_out.bias": torch.zeros(3)},
    )
    for name in GONE:
        yield _safetensors(f"without {name}", partial(without, name))
    for name in MORE:
        yield _safetensors(f"with unknown {name}", partial(_beside, ldm, {name: (8, 8, 1, 1)}))
    for name, shape in OTHER_SHAPES.items():
        yield _safetensors(f"{name} as {shape}", partial(_beside, ldm, {name: shape}))
    for id, more in {"matrices": (), "matrices of three axes": (1,)}.items():
        yield _safetensors(id, partial(_with_matrices, more))
    for id, config in OTHER_NETWORKS.items():
        yield _safetensors(id, partial(some, {ours: shape for ours, _, shape in names(config)}))
    for name in WRAPPERS:
        yield _zip(f"zip below {name}", partial(_below, name))
    yield _zip("zip below two state_dicts", lambda: {"state_dict": {"state_dict": ldm()}})
    yield _zip("zip below a wrapper in a state_dict", lambda: {"state_dict": {"model": ldm()}}, ".ckpt")
    yield _zip("zip below an unknown name", lambda: {"net": ldm()})
    yield from _spoilt()
    yield _safetensors("checkpoint", lambda: {**some(UNET), **ldm(prefix="first_stage_model.")})
    yield _safetensors("checkpoint with vae.", lambda: {**some(UNET), **ldm(prefix="vae.")})
    yield _zip("checkpoint, zip", lambda: {"state_dict": {**some(UNET), **ldm(prefix="first_stage_model.")}}, ".ckpt")
    yield _safetensors("EMA", lambda: {**ldm(), **some(EMA)})
    yield _safetensors("no encoder", lambda: in_part("decoder"))
    yield _safetensors("no decoder", lambda: in_part("encoder"))
    temporal = {name: shape for name, shape in SVD.items() if "temporal" in name}
    yield _safetensors("Stable Video Diffusion", lambda: {**diffusers(), **some(temporal)})
    yield _safetensors("ldm of SDXL, as a person says", ldm, family="sdxl")
    yield _safetensors("diffusers of SDXL, as a person says", diffusers, family="sdxl")


def _spoilt() -> Iterator[Promised]:
    yield _bytes("NaN as first number", _one_number(False, b"\0\0\xc0\x7f"))
    yield _bytes("NaN as last number", _one_number(True, b"\0\0\xc0\x7f"))
    yield _bytes("infinity as last number", _one_number(True, b"\0\0\x80\xff"))
    yield _safetensors("NaN beside the VAE", lambda: {**ldm(), "loss.logvar": torch.tensor([float("nan")])})
    yield _safetensors("1e300 in 64 bits", _huge)
    yield _bytes("3 as last number", _one_number(True, struct.pack("<f", 3)), changed=_last_as(3))
    yield _bytes("all zeros", _zeros(0, 1))
    yield _bytes("second half zeros", _zeros(0.5, 1))
    yield _bytes("first half zeros", _zeros(0, 0.5))
    for share in (10, 99):
        yield _bytes(f"cut at {share} %", _cut(share))
    yield _bytes("a byte too many", lambda data, _: data + b"\0")


KINDS: list[Promised] = list(_kinds())
