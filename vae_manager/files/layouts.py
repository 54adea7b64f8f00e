"""Layouts of VAE files, and the mapping of tensor names between them.

The mapping gives the tensors of a VAE in any layout the names that the WebUI uses:

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
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from ..catalogue.entry import Layout
from .architecture import UNET, architecture_of, prefixes_of, shapes_of
from .headers import DTYPE_NAMES, TensorDescription, TensorSpec, TensorTable

__all__ = [
    "NO_FACTS",
    "UNET",
    "WAN",
    "Naming",
    "Renamed",
    "Source",
    "TensorFacts",
    "canonical",
    "diffusers_name",
    "facts_of",
    "ldm_name",
    "renamed_vae",
    "up_levels",
]


Naming = Literal["ldm", "diffusers"]
Pairs = Sequence[tuple[str, str]]
"""The WebUI's name and diffusers'."""

_PARTS: Final = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.", "bn.")
"""Prefixes of a VAE's names. Other names are those of its training loss, moving averages, or an optimizer."""
_ENDS: Final = frozenset({"weight", "bias", "running_mean", "running_var", "num_batches_tracked"})

_MAX_LEVELS: Final = 16
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
"""Axes of the weights of a VAE for pictures."""

Tensors = Mapping[str, TensorSpec]

WAN: Final = "decoder.middle.0.residual.0.gamma"
"""The name by which Forge Neo recognises the VAEs of Wan and, in the same layout, of Qwen-Image."""

_VAE_PARTS: Final = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
"""Prefixes of the names of a VAE's tensors, in the layouts of CompVis and of diffusers."""

_LORA: Final = re.compile(r"^(?:lora|lycoris)_|\.(?:lora|hada|lokr|oft)_")
"""Names of the weights of a LoRA, or of one of its relatives (LoHa, LoKr, OFT), in the layouts of kohya, LyCORIS and
peft."""


@dataclass(frozen=True)
class Source:
    """The source of one tensor of the VAE."""

    name: str
    """The name in the file."""
    shape: tuple[int, ...]
    """The shape in the WebUI: the numbers and their order are the file's."""
    dtype: str
    """A key of `DTYPE_BYTES`."""


@dataclass(frozen=True)
class Renamed:
    """The VAE in a file."""

    layout: Layout
    """`ldm`, `diffusers`, `prefixed` or `checkpoint`."""
    naming: Naming
    """The naming after the prefix."""
    prefix: str
    tensors: Mapping[str, Source]
    """By the WebUI's names."""
    dropped: tuple[str, ...]
    """Names in the file that are not of the VAE."""
    unknown: tuple[str, ...] = ()
    """Unknown names in the file beside the VAE's; they are in `dropped` too."""
    is_whole: bool = False
    """Each tensor of the network is there in its shape, and no unknown one."""


def canonical(tensors: Mapping[str, TensorDescription]) -> Renamed | None:
    """Find the VAE among the tensors of a file; None if there is no VAE of which every tensor is known."""
    found = renamed_vae(tensors)
    return found if found is not None and not found.unknown else None


def renamed_vae(tensors: Mapping[str, TensorDescription]) -> Renamed | None:
    """Find the VAE among the tensors of a file, with its unknown names; None if there is no VAE.

    Of several, the first whole one is returned; if all are incomplete, the first.
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
    """Return True if each tensor of the matching network is there; levels may have more attention."""
    shapes = {name: source.shape for name, source in found.items()}
    network = architecture_of(shapes)
    return (
        network is not None
        and all(shapes.get(name) == shape for name, shape in shapes_of(network).items())
        and all(len(shape) <= MAX_AXES for shape in shapes.values())
    )


def _naming(inner: Mapping[str, str], tensors: Mapping[str, TensorDescription]) -> Naming | None:
    """Return the naming of a VAE's tensors, if there is a VAE.

    `inner` maps names without the prefix to those in the file.
    """
    first = inner.get("decoder.conv_in.weight") or inner.get("encoder.conv_in.weight")
    if first is None or len(tensors[first].shape) != 4:  # five for a video VAE
        return None
    if any(name.startswith(("decoder.mid_block.", "encoder.mid_block.")) for name in inner):
        return "diffusers"
    return "ldm" if any(name.startswith(("decoder.mid.", "encoder.mid.")) for name in inner) else None


def _names(inner: Mapping[str, str], naming: Naming) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the name in the file of each tensor of the VAE, by the WebUI's name for it, and the other names.

    The others are unknown or duplicates of a tensor that is there already.
    """
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


def _source(ldm: str, name: str, info: TensorDescription) -> Source:
    shape = info.shape
    if _ONE_PIXEL.search(ldm) and len(shape) in (2, 3):
        shape += (1,) * (4 - len(shape))
    return Source(name, shape, info.dtype)


# -- names, one at a time ------------------------------------------------------------------------------------------
def up_levels(names: Iterable[str]) -> int:
    """Return the number of levels of the decoder of these tensors, in either naming."""
    found = (re.match(r"decoder\.up(?:_blocks)?\.([0-9]{1,2})\.", name) for name in names)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def ldm_name(name: str, levels: int) -> str | None:
    """Return the WebUI's name of a tensor that diffusers calls `name`, in a VAE of `up_levels`; None for others."""
    path, _, end = name.rpartition(".")
    new = _tables(min(levels, _MAX_LEVELS))[0].get(path)
    return f"{new}.{end}" if new is not None and end in _ENDS else None


def diffusers_name(name: str, levels: int) -> str | None:
    """Return the reverse of `ldm_name`, in diffusers' newer naming; None for a name that the WebUI's VAEs lack."""
    path, _, end = name.rpartition(".")
    new = _tables(min(levels, _MAX_LEVELS))[1].get(path)
    return f"{new}.{end}" if new is not None and end in _ENDS else None


@functools.lru_cache(maxsize=8)
def _tables(levels: int) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the map of diffusers' names to the WebUI's, without their ends, and the reverse."""
    pairs = list(_pairs(levels, _ATTENTION))
    older = _pairs(levels, _OLD_ATTENTION)
    return {theirs: ldm for ldm, theirs in (*older, *pairs)}, dict(pairs)


def _pairs(levels: int, attention: Pairs) -> Iterator[tuple[str, str]]:
    """Yield the WebUI's name and diffusers' of all possible tensors of a VAE, for one naming of its attentions."""
    yield from ((name, name) for name in ("quant_conv", "post_quant_conv", "bn"))
    for part in ("encoder", "decoder"):
        yield from _inside(part, part, _OUTER)
        yield from _inside(f"{part}.mid.attn_1", f"{part}.mid_block.attentions.0", attention)
        for number in (0, 1):
            yield from _inside(f"{part}.mid.block_{number + 1}", f"{part}.mid_block.resnets.{number}", _RESNET)
    for level in range(_MAX_LEVELS):
        yield from _level(f"encoder.down.{level}", f"encoder.down_blocks.{level}", "downsample", attention)
    for level in range(levels):
        yield from _level(f"decoder.up.{level}", f"decoder.up_blocks.{levels - 1 - level}", "upsample", attention)


def _level(ldm: str, theirs: str, sampler: str, attention: Pairs) -> Iterator[tuple[str, str]]:
    yield f"{ldm}.{sampler}.conv", f"{theirs}.{sampler}rs.0.conv"
    for number in range(_MAX_LEVELS):
        yield from _inside(f"{ldm}.block.{number}", f"{theirs}.resnets.{number}", _RESNET)
        yield from _inside(f"{ldm}.attn.{number}", f"{theirs}.attentions.{number}", attention)


def _inside(ldm: str, theirs: str, pairs: Pairs) -> Iterator[tuple[str, str]]:
    return ((f"{ldm}.{one}", f"{theirs}.{other}") for one, other in pairs)


@dataclass(frozen=True)
class TensorFacts:
    """Facts of one table of tensors."""

    layout: Layout
    """`ldm` by the names of CompVis' latent-diffusion, `diffusers` by those of its AutoencoderKL, `tiny` by those of
    TAESD in any form, `wan` by those of the VAEs of Wan and Qwen-Image, `video` by convolutions over time, as [out, in,
    time, height, width], under other names."""
    kind: Layout | None = None
    """The layout of the VAE itself, without its prefix or checkpoint: `ldm`, `diffusers`, `tiny`, `wan` or `video`;
    None if there is no VAE."""
    prefix: str = ""
    """Prefix of the names of the VAE's tensors: `first_stage_model.` in most checkpoints."""
    latent_channels: int | None = None
    """4 for SD 1.x, 2.x and SDXL alike; None if the shapes do not show it."""
    dtype: str | None = None
    """`fp32`, `fp16`, `bf16`, …: the dtype of most of the VAE's bytes."""
    parameters: int | None = None
    """Numbers in the VAE; None without a VAE."""
    has_encoder: bool = False
    has_decoder: bool = False


NO_FACTS: Final = TensorFacts("unknown")
"""Facts of a file whose tensors could not be read."""


def facts_of(tensors: Mapping[str, TensorDescription]) -> TensorFacts:
    """Return the facts of a file's tensors."""
    return _facts_of(TensorTable.of(tensors))


@functools.lru_cache(maxsize=256)
def _facts_of(tensors: TensorTable) -> TensorFacts:
    prefix, inner, kind = _vae_in(tensors)
    if kind is None:
        return _without_vae(tensors)
    vae = {name: tensor for name, tensor in inner.items() if kind == "tiny" or name.startswith(_VAE_PARTS)}
    layout: Layout = kind
    if _is_checkpoint(tensors):
        layout = "checkpoint"
    elif prefix and kind in ("ldm", "diffusers"):
        layout = "prefixed"
    elif prefix and kind == "wan":
        layout = "video"  # no WebUI removes its prefix
    encoder, decoder = _halves(vae, kind)
    parameters = sum(math.prod(tensor.shape) for tensor in vae.values())
    return TensorFacts(layout, kind, prefix, _latent_channels(vae), _dtype_of(vae), parameters, encoder, decoder)


def _vae_in(tensors: Tensors) -> tuple[str, Tensors, Layout | None]:
    """Return the prefix of the VAE's names, its tensors without it, and its layout; None if there is no VAE.

    A whole VAE precedes an incomplete one of any kind.
    """
    whole = renamed_vae(tensors)
    if whole is not None and whole.is_whole:
        return whole.prefix, _below(whole.prefix, tensors), whole.naming
    for prefix in prefixes_of(tensors):
        inner = _below(prefix, tensors)
        kind = _kind(inner)
        if kind is not None:
            return prefix, inner, kind
    return "", tensors, None


def _below(prefix: str, tensors: Tensors) -> Tensors:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _kind(tensors: Tensors) -> Layout | None:
    if WAN in tensors:
        return "wan"
    if any(len(tensor.shape) == 5 and name.startswith(_VAE_PARTS) for name, tensor in tensors.items()):
        return "video"  # diffusers' one for Stable Video Diffusion has plain convolutions besides
    convolution = tensors.get("decoder.conv_in.weight") or tensors.get("encoder.conv_in.weight")
    if convolution is not None and len(convolution.shape) == 4:
        if _any(tensors, "decoder.mid_block.", "encoder.mid_block."):
            return "diffusers"
        if _any(tensors, "decoder.mid.", "encoder.mid."):
            return "ldm"
    if _any(tensors, "decoder.layers.", "encoder.layers.") and not _any(tensors, "decoder.conv"):
        return "tiny"
    if any({f"{part}1.weight", f"{part}3.conv.0.weight"} <= tensors.keys() for part in ("", "decoder.")):
        return "tiny"  # TAESD as a bare nn.Sequential, alone or below its half's name
    if any({f"{part}0.weight", f"{part}1.conv.0.weight"} <= tensors.keys() for part in ("", "encoder.")):
        return "tiny"
    return None


def _is_checkpoint(tensors: Tensors) -> bool:
    return _any(tensors, UNET)


def _halves(tensors: Tensors, kind: Layout) -> tuple[bool, bool]:
    """Return if there is an encoder, and a decoder."""
    if kind == "ldm" or kind == "diffusers":
        return "encoder.conv_in.weight" in tensors, "decoder.conv_in.weight" in tensors
    bare = kind == "tiny" and not _any(tensors, *_VAE_PARTS)
    encoder, decoder = _any(tensors, "encoder."), _any(tensors, "decoder.")
    return encoder or (bare and "1.conv.0.weight" in tensors), decoder or (bare and "3.conv.0.weight" in tensors)


def _latent_channels(tensors: Tensors) -> int | None:
    """Return the number of latent channels; None if it cannot be derived.

    It is axis 1 of the weight of the decoder's first convolution, [out, in, …]; else axis 0 of a tiny encoder's last.
    """
    first = ("conv_in.weight", "conv_in.conv.weight", "conv1.weight", "layers.0.weight", "1.weight")
    for name in (*(f"decoder.{end}" for end in first), "1.weight"):
        tensor = tensors.get(name)
        if tensor is not None and len(tensor.shape) in (4, 5):
            return tensor.shape[1]
    for name in ("encoder.layers.14.weight", "encoder.14.weight", "14.weight"):
        tensor = tensors.get(name)
        if tensor is not None and len(tensor.shape) == 4:
            return tensor.shape[0]
    return None


def _dtype_of(tensors: Tensors) -> str | None:
    weight: Counter[str] = Counter()
    for tensor in tensors.values():
        if tensor.dtype in DTYPE_NAMES:
            weight[DTYPE_NAMES[tensor.dtype]] += tensor.length
    return weight.most_common(1)[0][0] if weight else None


def _without_vae(tensors: Tensors) -> TensorFacts:
    if _is_checkpoint(tensors):
        return TensorFacts("checkpoint")
    if any(_LORA.search(name) for name in tensors):
        return TensorFacts("lora", dtype=_dtype_of(tensors))
    return TensorFacts("other", dtype=_dtype_of(tensors))


def _any(tensors: Mapping[str, object], *beginnings: str) -> bool:
    return any(name.startswith(beginnings) for name in tensors)
