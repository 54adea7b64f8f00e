"""Files that cannot be used as a VAE, made from one that can."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files.corpus.vaes import WAN
from ..files.hostile import HOSTILE
from ..files.torch_files import Made, state_dict
from ..live.files import diffusers_name, read_header, write_web_page

Layout = dict[str, tuple[str, list[int]]]
"""Tensors by name: dtype and shape."""

BYTES = {"F64": 8, "I64": 8, "F32": 4, "F16": 2, "BF16": 2}
NAN = {"F32": b"\x00\x00\xc0\x7f", "F16": b"\x00\x7e", "BF16": b"\xc0\x7f"}
CUT_AT = 0.4
"""Which part of a truncated file is there."""


@dataclass(frozen=True)
class BadFile:
    """One kind of bad file."""

    name: str
    write: Callable[[Path, Path, Path], object]
    """Makes it from a good file: source, target, and the marker that a hostile one would write."""
    before_use: Callable[[Path], object] | None = None
    """What happens to it once the WebUI lists it."""
    only_named_otherwise: bool = False
    """A WebUI that loads any layout can use it."""


def layout_of(file: Path) -> Layout:
    header, _ = read_header(file)
    return {name: (one["dtype"], one["shape"]) for name, one in header.items() if name != "__metadata__"}


def write_layout(target: Path, layout: Layout) -> Path:
    """A safetensors file with these tensors, all zero; the data takes no room on the disk."""
    header, end = {}, 0
    for name, (dtype, shape) in layout.items():
        begin, end = end, end + BYTES[dtype] * _count(shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with target.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return target


def _count(shape: list[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _flux(source: Path, target: Path, _: Path) -> None:
    layout = {name: one for name, one in layout_of(source).items() if "quant_conv" not in name}
    dtype, (out, _four, *kernel) = layout["decoder.conv_in.weight"]
    layout["decoder.conv_in.weight"] = (dtype, [out, 16, *kernel])
    dtype, (_eight, into, *kernel) = layout["encoder.conv_out.weight"]
    layout["encoder.conv_out.weight"] = (dtype, [32, into, *kernel])
    layout["encoder.conv_out.bias"] = (dtype, [32])
    write_layout(target, layout)


def one_key_missing(source: Path, target: Path, _: Path) -> None:
    layout = layout_of(source)
    del layout["decoder.norm_out.weight"]
    write_layout(target, layout)


def _diffusers(source: Path, target: Path, _: Path) -> None:
    write_layout(target, {diffusers_name(name): one for name, one in layout_of(source).items()})


def _prefixed(source: Path, target: Path, _: Path) -> None:
    write_layout(target, {f"first_stage_model.{name}": one for name, one in layout_of(source).items()})


def _int64(source: Path, target: Path, _: Path) -> None:
    write_layout(target, {name: ("I64", shape) for name, (_, shape) in layout_of(source).items()})


def _wan(_source: Path, target: Path, _: Path) -> None:
    """Of another network than the checkpoint's: Neo loads it for a checkpoint of its own kind."""
    write_layout(target, {name: ("BF16", list(shape)) for name, shape in WAN.items()})


def _extra_keys(source: Path, target: Path, _: Path) -> None:
    write_layout(target, {**layout_of(source), "decoder.extra.weight": ("F32", [4, 4])})


def _all_nan(source: Path, target: Path, _: Path) -> None:
    header, begin = read_header(source)
    (dtype,) = {one["dtype"] for name, one in header.items() if name != "__metadata__"}
    block = NAN[dtype] * (1 << 20)
    with source.open("rb") as old, target.open("wb") as new:
        new.write(old.read(begin))
        left = source.stat().st_size - begin
        while left:
            left -= new.write(block[:left])


def one_nan(source: Path, target: Path, _: Path) -> None:
    header, begin = read_header(source)
    one = header["decoder.norm_out.bias"]
    copy(source, target)
    with target.open("r+b") as file:
        file.seek(begin + one["data_offsets"][0])
        file.write(NAN[one["dtype"]])


def copy(source: Path, target: Path, part: float = 1.0) -> None:
    """The first `part` of the bytes of `source`, into a file of their own."""
    left = round(source.stat().st_size * part)
    with source.open("rb") as old, target.open("wb") as new:
        while left and (block := old.read(min(left, 1 << 22))):
            left -= new.write(block)


def write_ckpt(source: Path, target: Path, **more: Any) -> Path:
    """The weights of a safetensors file as a pickle, in the form that checkpoints have."""
    import torch
    from safetensors.torch import load_file

    torch.save({"state_dict": load_file(source), **more}, target)
    return target


class Hostile:
    """Unpickled without restrictions, it runs a command that writes the marker."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.marker}'",)


def _hostile(source: Path, target: Path, marker: Path) -> None:
    write_ckpt(source, target, more=Hostile(marker))


def _hostile_old(source: Path, target: Path, marker: Path) -> None:
    """A bare pickle, as torch wrote them before it wrote zip files."""
    target.write_bytes(pickle.dumps(Hostile(marker)))


def shown_by(file: Path) -> Made:
    """Names and shapes of a good VAE, with zeros."""
    return state_dict({name: tuple(shape) for name, (_, shape) in layout_of(file).items()})


def _read_in_two_ways(kind: str) -> Callable[[Path, Path, Path], object]:
    """A file that a simple reader takes for a good VAE."""
    return lambda source, target, marker: target.write_bytes(HOSTILE[kind](shown_by(source), f"touch '{marker}'"))


def _truncated_ckpt(source: Path, target: Path, _: Path) -> None:
    write_ckpt(source, target)
    os.truncate(target, round(target.stat().st_size * CUT_AT))


READ_IN_TWO_WAYS = tuple(BadFile(f"bad-{kind.replace(' ', '-')}.pt", _read_in_two_ways(kind)) for kind in HOSTILE)
BAD = (
    BadFile("bad-flux.safetensors", _flux),
    BadFile("bad-missing-key.safetensors", one_key_missing),
    BadFile("bad-diffusers.safetensors", _diffusers),
    BadFile("bad-prefixed.safetensors", _prefixed, only_named_otherwise=True),
    BadFile("bad-extra.safetensors", _extra_keys),
    BadFile("bad-int64.safetensors", _int64),
    BadFile("bad-nan.safetensors", _all_nan),
    BadFile("bad-one-nan.safetensors", one_nan),
    BadFile("bad-page.safetensors", lambda source, target, _: write_web_page(target)),
    BadFile("bad-cut.safetensors", lambda source, target, _: copy(source, target, CUT_AT)),
    BadFile("bad-empty.safetensors", lambda source, target, _: target.touch()),
    BadFile("bad-page.ckpt", lambda source, target, _: write_web_page(target)),
    BadFile("bad-cut.ckpt", _truncated_ckpt),
    BadFile("bad-empty.ckpt", lambda source, target, _: target.touch()),
    BadFile("bad-hostile.ckpt", _hostile),
    BadFile("bad-hostile-old.ckpt", _hostile_old),
    *READ_IN_TWO_WAYS,
    BadFile("bad-gone.safetensors", lambda source, target, _: copy(source, target), lambda path: path.unlink()),
    BadFile("bad-folder.safetensors", lambda source, target, _: target.mkdir()),
    BadFile("bad-pipe.safetensors", lambda source, target, _: os.mkfifo(target)),
    BadFile("bad-pipe.ckpt", lambda source, target, _: os.mkfifo(target)),
    BadFile("bad-loop.safetensors", lambda source, target, _: target.symlink_to(target.name)),
    BadFile("bad-locked.safetensors", lambda source, target, _: copy(source, target), lambda path: path.chmod(0)),
    BadFile("bad-wan.safetensors", _wan),
)


def remove(path: Path) -> None:
    """Whatever lies there."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
