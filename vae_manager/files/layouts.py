"""What the names and shapes of a file's tensors say about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ..catalogue.entry import Layout
from ..sentences import Sentence, say
from .headers import TensorInfo

__all__ = ["Reading", "dtype_of", "read_layout"]

Tensors = Mapping[str, TensorInfo]

CHECKPOINT_PREFIX: Final = "first_stage_model."
_PREFIXES: Final = (CHECKPOINT_PREFIX, "vae.", "model.", "module.", "autoencoder.")

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
    """`problem` says why the WebUI cannot load such a file as a VAE; None where it can."""

    layout: Layout
    latent_channels: int | None = None
    problem: Sentence | None = None


def read_layout(tensors: Tensors, file: str) -> Reading:
    """Recognise the layout; `file` is the name that the problem's sentence gives.

    `ldm` is read by the names of CompVis' latent-diffusion, `diffusers` by those of its AutoencoderKL, `tiny` by those
    of TAESD in either form.
    """
    if any(name.startswith("model.diffusion_model.") for name in tensors):
        channels = _latent_channels(_below(tensors, CHECKPOINT_PREFIX))
        return Reading(
            "checkpoint",
            channels,
            say("{file} is a whole checkpoint, not a VAE. It belongs in the checkpoint folder.", file=file),
        )
    layout = _plain_layout(tensors)
    if layout is not None:
        return Reading(layout, _latent_channels(tensors), _problem(layout, tensors, file))
    for prefix in _PREFIXES:
        inner = _below(tensors, prefix)
        if _plain_layout(inner) in ("ldm", "diffusers"):
            return Reading("prefixed", _latent_channels(inner), _prefixed(prefix, file))
    return Reading("other", None, _no_vae(tensors, file))


def dtype_of(tensors: Tensors) -> str | None:
    """`fp32`, `fp16`, `bf16`, …: the kind of number that most of the bytes are."""
    weight: Counter[str] = Counter()
    for tensor in tensors.values():
        if tensor.dtype in _DTYPE_WORDS:
            weight[_DTYPE_WORDS[tensor.dtype]] += tensor.end - tensor.start
    return weight.most_common(1)[0][0] if weight else None


def _plain_layout(tensors: Tensors) -> Layout | None:
    convolution = tensors.get("decoder.conv_in.weight") or tensors.get("encoder.conv_in.weight")
    if convolution is not None and len(convolution.shape) == 4:  # five for a video VAE
        if _any(tensors, "decoder.mid_block.", "encoder.mid_block."):
            return "diffusers"
        if _any(tensors, "decoder.mid.", "encoder.mid."):
            return "ldm"
    if _any(tensors, "decoder.layers.", "encoder.layers.") and not _any(tensors, "decoder.conv"):
        return "tiny"
    if "1.weight" in tensors and "3.conv.0.weight" in tensors:  # TAESD as a bare nn.Sequential
        return "tiny"
    return None


def _latent_channels(tensors: Tensors) -> int | None:
    """What the decoder's first convolution takes in: axis 1 of its weight [out, in, height, width]."""
    for name in ("decoder.conv_in.weight", "decoder.layers.0.weight", "1.weight"):
        tensor = tensors.get(name)
        if tensor is not None and len(tensor.shape) == 4:
            return tensor.shape[1]
    return None


def _problem(layout: Layout, tensors: Tensors, file: str) -> Sentence | None:
    if layout == "diffusers":
        return say("{file} is a diffusers file. The WebUI cannot load it as it is.", file=file)
    if layout == "tiny":
        return say("{file} is a tiny autoencoder for previews. The WebUI cannot load it as a VAE.", file=file)
    for part in ("decoder", "encoder"):
        if f"{part}.conv_in.weight" not in tensors:
            return _missing_part(part, file)
    return None


def _missing_part(part: str, file: str) -> Sentence:
    if part == "decoder":
        return say("{file} has no decoder: it is not a whole VAE.", file=file)
    return say("{file} has no encoder: it is not a whole VAE.", file=file)


def _prefixed(prefix: str, file: str) -> Sentence:
    return say(
        "{file} is a VAE whose tensors' names all begin with “{prefix}”. The WebUI cannot load it as it is.",
        file=file,
        prefix=prefix,
    )


def _no_vae(tensors: Tensors, file: str) -> Sentence:
    if any(".lora_" in name or name.startswith("lora_") for name in tensors):
        return say("{file} is a LoRA, not a VAE.", file=file)
    if any(len(tensor.shape) == 5 for tensor in tensors.values()):
        return say("{file} is a video VAE. The WebUI cannot load it.", file=file)
    return say("{file} has no VAE in it that the WebUI knows.", file=file)


def _below(tensors: Tensors, prefix: str) -> Tensors:
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _any(tensors: Tensors, *prefixes: str) -> bool:
    return any(name.startswith(prefixes) for name in tensors)
