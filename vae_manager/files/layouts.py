"""What the names and shapes of a file's tensors say about it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ..catalogue.entry import Layout
from ..sentences import Sentence, say
from .headers import TensorInfo
from .problems import Problem

__all__ = ["PREFIXES", "UNET", "Reading", "read_layout"]

Tensors = Mapping[str, TensorInfo]

UNET: Final = "model.diffusion_model."
PREFIXES: Final = ("first_stage_model.", "vae.", "model.", "module.", "autoencoder.")
"""What may stand before the names of a VAE's tensors: the first two in whole checkpoints."""

_PARTS: Final = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
"""What the tensors of a VAE are called by, in the layouts of CompVis and of diffusers."""
_IGNORED: Final = frozenset({"model_ema.decay", "model_ema.num_updates"})
"""Left out by the WebUI when it loads a VAE, as is all that begins with "loss" (modules/sd_vae.py load_vae_dict)."""

_DTYPE_WORDS: Final = {
    "F64": "fp64",
    "F32": "fp32",
    "F16": "fp16",
    "BF16": "bf16",
    "F8_E4M3": "fp8",
    "F8_E5M2": "fp8",
}


@dataclass(frozen=True)
class Reading:
    """What the tensors are."""

    layout: Layout
    prefix: str = ""
    """What stands before the names of the VAE's tensors."""
    latent_channels: int | None = None
    dtype: str | None = None
    """`fp32`, `fp16`, `bf16`, …: the kind of number that most of the VAE's bytes are."""
    parameters: int | None = None
    """Numbers in the VAE; None where there is none."""
    has_encoder: bool = False
    has_decoder: bool = False
    problems: tuple[Problem, ...] = ()
    """Why the WebUI cannot load such a file as a VAE; the first is what to say where only one can be."""
    whole: bool = False
    """It is a VAE of a kind that the WebUI knows, with both halves, whatever its tensors are called."""


def read_layout(tensors: Tensors, file: str) -> Reading:
    """Recognise the layout; `file` is the name that the problems' sentences give.

    `ldm` is read by the names of CompVis' latent-diffusion, `diffusers` by those of its AutoencoderKL, `tiny` by those
    of TAESD in any form, `video` by convolutions over time, as [out, in, time, height, width].
    """
    prefix, inner, kind = _vae_in(tensors)
    if kind is None:
        return _no_vae(tensors, file)
    vae = {name: tensor for name, tensor in inner.items() if kind == "tiny" or name.startswith(_PARTS)}
    layout: Layout = kind
    if _is_checkpoint(tensors):
        layout = "checkpoint"
    elif prefix and kind in ("ldm", "diffusers"):
        layout = "prefixed"
    encoder, decoder = _halves(vae, kind)
    problems = tuple(_problems(layout, kind, prefix, encoder, decoder, inner, file))
    whole = encoder and decoder and kind in ("ldm", "diffusers")
    return Reading(
        layout,
        prefix,
        _latent_channels(vae),
        _dtype_of(vae),
        sum(math.prod(tensor.shape) for tensor in vae.values()),
        encoder,
        decoder,
        problems,
        whole,
    )


def _vae_in(tensors: Tensors) -> tuple[str, Tensors, Layout | None]:
    """The prefix of the VAE's names, what has it (without it), and how that is laid out; None where there is no VAE."""
    for prefix in ("", *PREFIXES):
        inner = _below(tensors, prefix)
        kind = _kind(inner)
        if kind is not None:
            return prefix, inner, kind
    return "", tensors, None


def _kind(tensors: Tensors) -> Layout | None:
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
    """Whether there is an encoder, and a decoder."""
    if kind == "ldm" or kind == "diffusers":
        return "encoder.conv_in.weight" in tensors, "decoder.conv_in.weight" in tensors
    bare = kind == "tiny" and not _any(tensors, *_PARTS)
    encoder, decoder = _any(tensors, "encoder."), _any(tensors, "decoder.")
    return encoder or (bare and "1.conv.0.weight" in tensors), decoder or (bare and "3.conv.0.weight" in tensors)


def _latent_channels(tensors: Tensors) -> int | None:
    """What the decoder's first convolution takes in, axis 1 of its weight [out, in, …]; else what a tiny encoder's last
    one gives."""
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
            weight[_DTYPE_WORDS[tensor.dtype]] += tensor.end - tensor.start
    return weight.most_common(1)[0][0] if weight else None


def _problems(
    layout: Layout, kind: Layout, prefix: str, encoder: bool, decoder: bool, inner: Tensors, file: str
) -> Iterator[Problem]:
    if layout == "checkpoint":
        yield Problem("checkpoint", _whole_checkpoint(file))
    elif layout == "prefixed":
        yield Problem("prefixed", _prefixed(prefix, file))
    if kind == "diffusers" and layout == "diffusers":
        yield Problem("diffusers", say("{file} is a diffusers file. The WebUI cannot load it as it is.", file=file))
    elif kind == "tiny":
        tiny = say("{file} is a tiny autoencoder for previews. The WebUI cannot load it as a VAE.", file=file)
        yield Problem("tiny", tiny)
    elif kind == "video":
        yield Problem("video", say("{file} is a video VAE. The WebUI cannot load it.", file=file))
    if kind in ("ldm", "diffusers") and not decoder:
        yield Problem("no-decoder", say("{file} has no decoder: it is not a whole VAE.", file=file))
    if kind in ("ldm", "diffusers") and not encoder:
        yield Problem("no-encoder", say("{file} has no encoder: it is not a whole VAE.", file=file))
    if layout == "ldm":
        yield from _leftovers(inner, file)


def _leftovers(tensors: Tensors, file: str) -> Iterator[Problem]:
    """What a training leaves in a file; one such tensor keeps the WebUI from loading the others."""
    left = [name for name in tensors if name.startswith("model_ema.") and name not in _IGNORED]
    if left:
        sentence = say(
            "{file} still has {count} tensors of its training, {example} among them. The WebUI cannot load it so.",
            file=file,
            count=len(left),
            example=left[0][:100],
        )
        yield Problem("leftovers", sentence)


def _no_vae(tensors: Tensors, file: str) -> Reading:
    if _is_checkpoint(tensors):
        without = say("{file} has no VAE weights in it: it needs a VAE file beside it.", file=file)
        problems = (Problem("checkpoint", _whole_checkpoint(file)), Problem("no-vae", without))
        return Reading("checkpoint", problems=problems)
    dtype = _dtype_of(tensors)
    if any(".lora_" in name or name.startswith("lora_") for name in tensors):
        lora = Problem("lora", say("{file} is a LoRA, not a VAE.", file=file))
        return Reading("lora", dtype=dtype, problems=(lora,))
    none = Problem("no-vae", say("{file} has no VAE in it that the WebUI knows.", file=file))
    return Reading("other", dtype=dtype, problems=(none,))


def _whole_checkpoint(file: str) -> Sentence:
    return say("{file} is a whole checkpoint, not a VAE. It belongs in the checkpoint folder.", file=file)


def _prefixed(prefix: str, file: str) -> Sentence:
    return say(
        "{file} is a VAE whose tensors' names all begin with “{prefix}”. The WebUI cannot load it as it is.",
        file=file,
        prefix=prefix,
    )


def _below(tensors: Tensors, prefix: str) -> Tensors:
    if not prefix:
        return tensors
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _any(tensors: Tensors, *prefixes: str) -> bool:
    return any(name.startswith(prefixes) for name in tensors)
