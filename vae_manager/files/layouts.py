"""Facts that the names, shapes and dtypes of a file's tensors tell. Pure, and cached by table."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..catalogue.entry import Layout
from .key_mapping import renamed_vae
from .prefixes import UNET, prefixes_of
from .tensor_table import Described, TensorSpec, TensorTable

__all__ = ["NO_FACTS", "UNET", "WAN", "TensorFacts", "facts_of"]

Tensors = Mapping[str, TensorSpec]


WAN: Final = "decoder.middle.0.residual.0.gamma"
"""By this name Forge Neo recognises the VAEs of Wan and, in the same layout, of Qwen-Image."""

_PARTS: Final = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
"""What the tensors of a VAE are called by, in the layouts of CompVis and of diffusers."""

_DTYPE_WORDS: Final = {
    "F64": "fp64",
    "F32": "fp32",
    "F16": "fp16",
    "BF16": "bf16",
    "F8_E4M3": "fp8",
    "F8_E5M2": "fp8",
}


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
    """Text before the names of the VAE's tensors: `first_stage_model.` in most checkpoints."""
    latent_channels: int | None = None
    """4 for SD 1.x, 2.x and SDXL alike; None if the shapes do not tell."""
    dtype: str | None = None
    """`fp32`, `fp16`, `bf16`, …: the dtype of most of the VAE's bytes."""
    parameters: int | None = None
    """Numbers in the VAE; None if there is none."""
    has_encoder: bool = False
    has_decoder: bool = False


NO_FACTS: Final = TensorFacts("unknown")
"""For a file whose tensors could not be read."""


def facts_of(tensors: Mapping[str, Described]) -> TensorFacts:
    """Return the facts of a file's tensors."""
    return _facts_of(TensorTable.of(tensors))


@functools.lru_cache(maxsize=256)
def _facts_of(tensors: TensorTable) -> TensorFacts:
    prefix, inner, kind = _vae_in(tensors)
    if kind is None:
        return _without_vae(tensors)
    vae = {name: tensor for name, tensor in inner.items() if kind == "tiny" or name.startswith(_PARTS)}
    layout: Layout = kind
    if _is_checkpoint(tensors):
        layout = "checkpoint"
    elif prefix and kind in ("ldm", "diffusers"):
        layout = "prefixed"
    elif prefix and kind == "wan":
        layout = "video"  # no WebUI takes its prefix away
    encoder, decoder = _halves(vae, kind)
    parameters = sum(math.prod(tensor.shape) for tensor in vae.values())
    return TensorFacts(layout, kind, prefix, _latent_channels(vae), _dtype_of(vae), parameters, encoder, decoder)


def _vae_in(tensors: Tensors) -> tuple[str, Tensors, Layout | None]:
    """The prefix of the VAE's names, what has it (without it), and how that is laid out; None if there is no VAE.

    A whole VAE goes before what is left of another one, of whatever kind.
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
    if any(len(tensor.shape) == 5 and name.startswith(_PARTS) for name, tensor in tensors.items()):
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
    bare = kind == "tiny" and not _any(tensors, *_PARTS)
    encoder, decoder = _any(tensors, "encoder."), _any(tensors, "decoder.")
    return encoder or (bare and "1.conv.0.weight" in tensors), decoder or (bare and "3.conv.0.weight" in tensors)


def _latent_channels(tensors: Tensors) -> int | None:
    """Axis 1 of the weight of the decoder's first convolution, [out, in, …]; else axis 0 of a tiny encoder's last."""
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
        if tensor.dtype in _DTYPE_WORDS:
            weight[_DTYPE_WORDS[tensor.dtype]] += tensor.length
    return weight.most_common(1)[0][0] if weight else None


_LORA: Final = re.compile(r"^(?:lora|lycoris)_|\.(?:lora|hada|lokr|oft)_")
"""Names of the weights of a LoRA, or of one of its relatives (LoHa, LoKr, OFT), in the layouts of kohya, of LyCORIS
and of peft."""


def _without_vae(tensors: Tensors) -> TensorFacts:
    if _is_checkpoint(tensors):
        return TensorFacts("checkpoint")
    if any(_LORA.search(name) for name in tensors):
        return TensorFacts("lora", dtype=_dtype_of(tensors))
    return TensorFacts("other", dtype=_dtype_of(tensors))


def _any(tensors: Mapping[str, object], *beginnings: str) -> bool:
    return any(name.startswith(beginnings) for name in tensors)
