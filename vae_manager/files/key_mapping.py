"""The tensors of a VAE under the names that the WebUI gives them, whatever layout they come in.

    the WebUI's (ldm)                    diffusers
    encoder.conv_in                      encoder.conv_in
    encoder.down.1.block.0.nin_shortcut  encoder.down_blocks.1.resnets.0.conv_shortcut
    encoder.down.1.downsample.conv       encoder.down_blocks.1.downsamplers.0.conv
    encoder.mid.block_1                  encoder.mid_block.resnets.0
    encoder.mid.attn_1.q                 encoder.mid_block.attentions.0.to_q      (older: query)
    encoder.norm_out                     encoder.conv_norm_out
    decoder.up.3.block.0                 decoder.up_blocks.0.resnets.0            counted from the other end
    quant_conv, post_quant_conv, bn      the same

The weights of an attention are convolutions [C, C, 1, 1] in the one and matrices [C, C] in the other. Some files have
matrices for other convolutions of one pixel too. Some VAEs have no `quant_conv` (SD3, FLUX.1); FLUX.2's has a `bn`, and
its publisher keeps `quant_conv` below `encoder`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from ..catalogue.entry import Layout
from .architecture import architecture_of, shapes_of
from .prefixes import UNET, prefixes_of
from .tensor_table import Described, TensorTable

__all__ = ["Naming", "Renamed", "Source", "canonical", "diffusers_name", "ldm_name", "renamed_vae", "up_levels"]

Naming = Literal["ldm", "diffusers"]
Pairs = Sequence[tuple[str, str]]
"""The WebUI's word and diffusers'."""

_PARTS: Final = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.", "bn.")
"""Names that begin otherwise are not the VAE's: the loss it was trained with, moving averages, an optimizer's."""
_ENDS: Final = frozenset({"weight", "bias", "running_mean", "running_var", "num_batches_tracked"})

_MOST: Final = 16
"""Levels of an encoder or decoder, and blocks of a level; published VAEs have four or five, and two or three."""
_OUTER: Final = (("conv_in", "conv_in"), ("norm_out", "conv_norm_out"), ("conv_out", "conv_out"))
_RESNET: Final = (*((same, same) for same in ("norm1", "conv1", "norm2", "conv2")), ("nin_shortcut", "conv_shortcut"))
_ATTENTION: Final = (("norm", "group_norm"), ("q", "to_q"), ("k", "to_k"), ("v", "to_v"), ("proj_out", "to_out.0"))
_OLD_ATTENTION: Final = (("q", "query"), ("k", "key"), ("v", "value"), ("proj_out", "proj_attn"))
_ONE_PIXEL: Final = re.compile(
    r"(?:\.attn[._][0-9]+\.(?:q|k|v|proj_out)|\.nin_shortcut|^quant_conv|^post_quant_conv)\.weight$"
)
"""The WebUI's names of weights of convolutions of one pixel, which are the same numbers as a matrix."""
MAX_AXES: Final = 4
"""Of the weights of a VAE for pictures."""


@dataclass(frozen=True)
class Source:
    """Where a tensor of the VAE is found."""

    name: str
    """In the file."""
    shape: tuple[int, ...]
    """As the WebUI has it: the numbers and their order are the file's."""
    dtype: str
    """A key of `DTYPE_BYTES`."""


@dataclass(frozen=True)
class Renamed:
    """The VAE in a file."""

    layout: Layout
    """`ldm`, `diffusers`, `prefixed` or `checkpoint`."""
    naming: Naming
    """What the names are, once the prefix is gone."""
    prefix: str
    tensors: Mapping[str, Source]
    """By the WebUI's names."""
    dropped: tuple[str, ...]
    """Names in the file that are not of the VAE."""
    unknown: tuple[str, ...] = ()
    """Names in the file that lie among the VAE's, and are none of those that a VAE has; they are in `dropped` too."""
    is_whole: bool = False
    """Each tensor of the network is there in its shape, and no unknown one."""


def canonical(tensors: Mapping[str, Described]) -> Renamed | None:
    """Find the VAE among the tensors of a file; None if there is none of which every tensor is known."""
    found = renamed_vae(tensors)
    return found if found is not None and not found.unknown else None


def renamed_vae(tensors: Mapping[str, Described]) -> Renamed | None:
    """Find the VAE among the tensors of a file, with the names in it that no VAE has; None if there is no VAE.

    Of several, the first whole one; if none is whole, the first.
    """
    return _renamed_vae(TensorTable.of(tensors))


@functools.lru_cache(maxsize=256)
def _renamed_vae(tensors: TensorTable) -> Renamed | None:
    first = None
    for found in _candidates(tensors):
        if found.is_whole:
            return found
        first = first or found
    return first


def _candidates(tensors: TensorTable) -> Iterator[Renamed]:
    is_checkpoint = any(name.startswith(UNET) for name in tensors)
    for prefix in prefixes_of(tensors):
        inner = {name[len(prefix) :]: name for name in tensors if name.startswith(prefix)}
        naming = _naming(inner, tensors)
        if naming is None:
            continue
        names, unknown = _names(inner, naming)
        layout: Layout = "checkpoint" if is_checkpoint else "prefixed" if prefix else naming
        found = {ldm: _source(ldm, name, tensors[name]) for ldm, name in names.items()}
        used = set(names.values())
        dropped = tuple(name for name in tensors if name not in used)
        is_whole = not unknown and _is_whole(found)
        yield Renamed(layout, naming, prefix, MappingProxyType(found), dropped, unknown, is_whole)


def _is_whole(found: Mapping[str, Source]) -> bool:
    """Return True if each tensor is there of a network such as these are of; attention of the levels may be more."""
    shapes = {name: source.shape for name, source in found.items()}
    network = architecture_of(shapes)
    return (
        network is not None
        and all(shapes.get(name) == shape for name, shape in shapes_of(network).items())
        and all(len(shape) <= MAX_AXES for shape in shapes.values())
    )


def _naming(inner: Mapping[str, str], tensors: Mapping[str, Described]) -> Naming | None:
    """How a VAE's tensors are named there, if there is one. `inner`: names without the prefix, and in the file."""
    first = inner.get("decoder.conv_in.weight") or inner.get("encoder.conv_in.weight")
    if first is None or len(tensors[first].shape) != 4:  # five for a video VAE
        return None
    if any(name.startswith(("decoder.mid_block.", "encoder.mid_block.")) for name in inner):
        return "diffusers"
    return "ldm" if any(name.startswith(("decoder.mid.", "encoder.mid.")) for name in inner) else None


def _names(inner: Mapping[str, str], naming: Naming) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the name in the file of each tensor of the VAE, by the WebUI's name for it, and the names in the file that
    are unknown or stand for a tensor that is there already."""
    levels = up_levels(inner)
    names: dict[str, str] = {}
    unknown: list[str] = []
    for name, in_file in inner.items():
        if not name.startswith(_PARTS):
            continue
        ldm = ldm_name(name, levels) if naming == "diffusers" else _known_ldm_name(name, levels)
        if ldm is None or ldm in names:
            unknown.append(in_file)
        else:
            names[ldm] = in_file
    return names, tuple(unknown)


def _known_ldm_name(name: str, levels: int) -> str | None:
    for part, inside in (("encoder.", "quant_conv."), ("decoder.", "post_quant_conv.")):
        if name.startswith(part + inside):
            name = name.removeprefix(part)
    return name if diffusers_name(name, levels) is not None else None


def _source(ldm: str, name: str, info: Described) -> Source:
    shape = info.shape
    if _ONE_PIXEL.search(ldm) and len(shape) in (2, 3):
        shape += (1,) * (4 - len(shape))
    return Source(name, shape, info.dtype)


# -- names, one at a time ------------------------------------------------------------------------------------------
def up_levels(names: Iterable[str]) -> int:
    """How many levels the decoder of these tensors has, in either naming."""
    found = (re.match(r"decoder\.up(?:_blocks)?\.([0-9]{1,2})\.", name) for name in names)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def ldm_name(name: str, levels: int) -> str | None:
    """The WebUI's name of a tensor that diffusers calls `name`, in a VAE of `up_levels`; None for one it has not."""
    path, _, end = name.rpartition(".")
    new = _tables(min(levels, _MOST))[0].get(path)
    return f"{new}.{end}" if new is not None and end in _ENDS else None


def diffusers_name(name: str, levels: int) -> str | None:
    """The reverse of `ldm_name`, in diffusers' newer naming; None for a name that the WebUI's VAEs have not."""
    path, _, end = name.rpartition(".")
    new = _tables(min(levels, _MOST))[1].get(path)
    return f"{new}.{end}" if new is not None and end in _ENDS else None


@functools.lru_cache(maxsize=8)
def _tables(levels: int) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """diffusers' names to the WebUI's, without their ends, and the reverse."""
    pairs = list(_pairs(levels, _ATTENTION))
    older = _pairs(levels, _OLD_ATTENTION)
    return {theirs: ldm for ldm, theirs in (*older, *pairs)}, dict(pairs)


def _pairs(levels: int, attention: Pairs) -> Iterator[tuple[str, str]]:
    """The WebUI's name and diffusers' of all that a VAE can have, for one naming of its attentions."""
    yield from ((name, name) for name in ("quant_conv", "post_quant_conv", "bn"))
    for part in ("encoder", "decoder"):
        yield from _inside(part, part, _OUTER)
        yield from _inside(f"{part}.mid.attn_1", f"{part}.mid_block.attentions.0", attention)
        for number in (0, 1):
            yield from _inside(f"{part}.mid.block_{number + 1}", f"{part}.mid_block.resnets.{number}", _RESNET)
    for level in range(_MOST):
        yield from _level(f"encoder.down.{level}", f"encoder.down_blocks.{level}", "downsample", attention)
    for level in range(levels):
        yield from _level(f"decoder.up.{level}", f"decoder.up_blocks.{levels - 1 - level}", "upsample", attention)


def _level(ldm: str, theirs: str, sampler: str, attention: Pairs) -> Iterator[tuple[str, str]]:
    yield f"{ldm}.{sampler}.conv", f"{theirs}.{sampler}rs.0.conv"
    for number in range(_MOST):
        yield from _inside(f"{ldm}.block.{number}", f"{theirs}.resnets.{number}", _RESNET)
        yield from _inside(f"{ldm}.attn.{number}", f"{theirs}.attentions.{number}", attention)


def _inside(ldm: str, theirs: str, pairs: Pairs) -> Iterator[tuple[str, str]]:
    return ((f"{ldm}.{one}", f"{theirs}.{other}") for one, other in pairs)
