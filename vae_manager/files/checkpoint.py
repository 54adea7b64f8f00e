"""The engine of a checkpoint, and the kind of a text encoder, by names, shapes and dtypes of the tensors alone.

A file is named only if the tensors that tell its architecture from all known relatives are there in their shapes. Any
other file is unknown (None): a LoRA, a ControlNet, an adapter, a model of an architecture that is not in `ENGINES`.

Quantised weights are packed, so their shapes are not those of the network (`_shape`); biases, norms and the shapes of
GGUF are. Two kinds of files have the same header and cannot be told apart: FLUX.1 dev and Kontext, Wan 2.1 and 2.2 14B,
Qwen-Image and Qwen-Image-Edit.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from ..catalogue.engines import ENCODERS, ENGINES, Engine
from .headers import BLOCK_DTYPES, DTYPE_NAMES, TensorDescription, TensorSpec, TensorTable, bytes_of
from .layouts import canonical, facts_of

__all__ = [
    "Carried",
    "EncoderFacts",
    "EngineFacts",
    "Variant",
    "carried",
    "encoder_of",
    "engine_of",
    "is_encoder",
    "weight_dtype",
]

Variant = Literal["inpainting", "edit", "depth", "control", "fill", "image", "unclip"]
"""A version of an engine with further inputs, by its first layer: `edit` is InstructPix2Pix, `control` FLUX.1 Canny and
Depth, `image` Wan from a picture, `unclip` SD 2.x unCLIP."""

Tensors = Mapping[str, TensorSpec]
Shape = tuple[int, ...]

_PREFIXES: Final = ("model.diffusion_model.", "net.")
"""Prefixes of a network's names that Forge Neo removes (huggingface_guess/detection.py unet_prefix_from_state_dict);
other names are taken as they are."""
_MIN_NAMES: Final = 6
"""Names below a prefix that make it the network's, as in Neo."""


@dataclass(frozen=True)
class EngineFacts:
    """The engine of a checkpoint's file."""

    engine: Engine
    families: tuple[str, ...]
    """Keys of `FAMILIES` whose latents it works on: one, or several between which the header does not decide."""
    variant: Variant | None = None
    dtype: str | None = None
    """As `weight_dtype`, of the network alone."""
    prefix: str = ""
    """Prefix of the names of the network's tensors."""
    is_diffusers: bool = False
    """The names are those of diffusers' transformer, which Neo converts for FLUX.1 and Z-Image alone."""

    @property
    def family(self) -> str | None:
        """The family of its latents; None if the header does not decide."""
        return self.families[0] if len(self.families) == 1 else None


@dataclass(frozen=True)
class EncoderFacts:
    """A text encoder."""

    kind: str
    """A key of `ENCODERS`."""
    dtype: str | None = None
    """As `weight_dtype`."""
    prefix: str = ""
    """Prefix of its names in a file that holds more."""


@dataclass(frozen=True)
class Carried:
    """The components that a checkpoint's file holds beside its network."""

    has_vae: bool
    vae: TensorTable | None = None
    """The VAE's tensors by the WebUI's names; None for a VAE over time, an incomplete one, or none."""
    encoders: tuple[EncoderFacts, ...] = ()
    """In the order of `ENCODERS`."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the text encoders, keys of `ENCODERS`."""
        return tuple(encoder.kind for encoder in self.encoders)


def engine_of(tensors: Mapping[str, TensorDescription]) -> EngineFacts | None:
    """Return the engine of a checkpoint with these tensors; None if it is unknown or no checkpoint."""
    return _engine_of(TensorTable.of(tensors))


def encoder_of(tensors: Mapping[str, TensorDescription], architecture: str | None = None) -> EncoderFacts | None:
    """Return the kind of a text encoder's file; None if it is unknown, no text encoder, or a checkpoint.

    `architecture` is the value `general.architecture` in the metadata of a GGUF file: it distinguishes models whose
    tensors are alike, such as the texts' part of Qwen3-VL 4B from Qwen3 4B.
    """
    table = TensorTable.of(tensors)
    kind = _kind(table, architecture)
    if kind is not None:
        return EncoderFacts(kind, weight_dtype(table))
    below = carried(table)
    return below.encoders[0] if len(below.encoders) == 1 and not below.has_vae and engine_of(table) is None else None


def carried(tensors: Mapping[str, TensorDescription]) -> Carried:
    """Return the components in a checkpoint's file: its VAE, and the text encoders of known kinds."""
    return _carried(TensorTable.of(tensors))


def is_encoder(names: Collection[str]) -> bool:
    """Return True for the names of a text encoder of any kind, without those of a VAE.

    Forge and Neo decide by the same names (backend/loader.py replace_state_dict), and would load both.
    """
    return not _ENCODER_MARKS.isdisjoint(names) and _VAE_MARKS.isdisjoint(names)


@functools.lru_cache(maxsize=64)
def _engine_of(tensors: TensorTable) -> EngineFacts | None:
    prefix = next((one for one in _PREFIXES if _has_many(tensors, one)), "")
    network = _below(prefix, tensors) if prefix else tensors
    if not prefix and any(name.startswith(_PREFIXES) for name in tensors):
        return None
    if any(name.startswith(_FOREIGN) or ".lora_" in name for name in network):
        return None
    for detect in _DETECTORS:
        found = detect(network)
        if found is not None and not _STRANGE.get(found.id, frozenset()).isdisjoint(tensors):
            return None
        if found is not None:
            engine = ENGINES[found.id]
            dtype = weight_dtype(network)
            return EngineFacts(engine, found.families or engine.families, found.variant, dtype, prefix, found.diffusers)
    return None


@functools.lru_cache(maxsize=64)
def _carried(tensors: TensorTable) -> Carried:
    vae = canonical(tensors)
    facts = facts_of(tensors)
    table = TensorTable.of(vae.tensors) if vae is not None and vae.is_whole else None
    order = tuple(ENCODERS)
    encoders = sorted(_encoders(tensors), key=lambda encoder: order.index(encoder.kind))
    # An incomplete VAE for pictures is none; of one over time the whole is not known here.
    has_vae = table is not None or (facts.kind in ("wan", "video") and facts.has_decoder)
    return Carried(has_vae, table, tuple(encoders))


def _encoders(tensors: Tensors) -> Iterator[EncoderFacts]:
    known = set[str]()
    for prefix in _encoder_prefixes(tensors):
        inner = _below(prefix, tensors)
        kind = _kind(inner, None)
        if kind is not None and kind not in known:
            known.add(kind)
            yield EncoderFacts(kind, weight_dtype(inner), prefix)


_ENCODER_PREFIX: Final = re.compile(
    r"(?:text_encoders\.[^.]{1,40}\.|cond_stage_model\.|conditioner\.embedders\.[0-9]\.)(?:t5xxl\.)?(?:transformer\.|model\.)?"
)
MAX_ENCODERS: Final = 32
"""Prefixes of text encoders in one file that are looked at."""


def _encoder_prefixes(tensors: Tensors) -> list[str]:
    """Return the prefixes below which a text encoder may be: the longest first, then each with its last part."""
    found = dict.fromkeys(match[0] for match in map(_ENCODER_PREFIX.match, tensors) if match is not None)
    shorter = (re.sub(r"(?:transformer|model)\.$", "", prefix) for prefix in found)
    return list(dict.fromkeys([*found, *shorter]))[:MAX_ENCODERS]


# -- tensors -----------------------------------------------------------------------------------------------------------
_FLOATS: Final = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})


def _shape(tensors: Tensors, name: str) -> Shape:
    """Return the shape of a tensor of the network; empty if it is missing or packed."""
    spec = tensors.get(name)
    return spec.shape if spec is not None and (spec.dtype in _FLOATS or spec.dtype in BLOCK_DTYPES) else ()


def _side(tensors: Tensors, name: str, axis: int) -> int | None:
    """Return one side of a tensor; None if it is missing or packed."""
    shape = _shape(tensors, name)
    return shape[axis] if len(shape) > axis else None


def _fits(tensors: Tensors, name: str, *shape: int | None) -> bool:
    """Return True for a tensor of this shape, in which None is any side, or a packed one."""
    if name not in tensors:
        return False
    found = _shape(tensors, name)
    return not found or (
        len(found) == len(shape) and all(side in (None, has) for side, has in zip(shape, found, strict=True))
    )


def _count(tensors: Tensors, name: str) -> int:
    """Return the number of blocks: `name` has `{}` in place of a block's number."""
    number = 0
    while name.format(number) in tensors:
        number += 1
    return number


def _below(prefix: str, tensors: Tensors) -> dict[str, TensorSpec]:
    return {name[len(prefix) :]: spec for name, spec in tensors.items() if name.startswith(prefix)}


def _has_many(tensors: Tensors, prefix: str) -> bool:
    return sum(1 for name in tensors if name.startswith(prefix)) >= _MIN_NAMES


# -- dtypes ------------------------------------------------------------------------------------------------------------
_EIGHT_BITS: Final = {"F8_E4M3": "fp8 e4m3", "F8_E5M2": "fp8 e5m2"}
_SCALES: Final = (".scale_weight", ".weight_scale", "scaled_fp8")


def weight_dtype(tensors: Mapping[str, TensorSpec]) -> str | None:
    """Return the usual name of the dtype of most bytes: `fp16`, `fp8 e4m3`, `fp8 e4m3 scaled`, `nf4`, `Q4_K`, ….

    `nf4` and `fp4` are bitsandbytes' formats, `int4` is Nunchaku's; `nvfp4` and `int8` are known by their scales. None
    without numbers.
    """
    quantised = next((name for mark, name in _QUANTISED if any(mark in tensor for tensor in tensors)), None)
    if quantised is not None:
        return quantised
    weight: Counter[str] = Counter()
    for spec in tensors.values():
        weight[spec.dtype] += bytes_of(spec.dtype, spec.shape)
    dtype = max(weight, key=lambda one: weight[one], default="")
    scaled = any(name.endswith(_SCALES) for name in tensors)
    if dtype in ("I8", "U8"):
        return ("int8" if dtype == "I8" else "nvfp4") if scaled else None
    if dtype in _EIGHT_BITS:
        return f"{_EIGHT_BITS[dtype]} scaled" if scaled else _EIGHT_BITS[dtype]
    return DTYPE_NAMES.get(dtype, dtype) if dtype in _FLOATS or dtype in BLOCK_DTYPES else None


_QUANTISED: Final = (
    (".quant_state.bitsandbytes__nf4", "nf4"),
    (".quant_state.bitsandbytes__fp4", "fp4"),
    (".qweight", "int4"),
)


# -- engines -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Found:
    id: str
    variant: Variant | None = None
    families: tuple[str, ...] = ()
    """Fewer than the engine's."""
    diffusers: bool = False


_FOREIGN: Final = (
    "controlnet_",
    "control_",
    "input_hint_block.",
    "zero_convs.",
    "lora_",
    "lycoris_",
    "adapter.",
    "ip_adapter.",
)
"""Beginnings of the names in a network's file that is no checkpoint: a ControlNet, an adapter, a LoRA."""
_STRANGE: Final[Mapping[str, frozenset[str]]] = {"sd1": frozenset({"cc_projection.weight"})}
"""Tensors anywhere in a file that make it another engine: Zero123 has SD 1.x's network."""

_UNET_VARIANTS: Final[Mapping[int, Variant | None]] = {4: None, 5: "depth", 8: "edit", 9: "inpainting"}
"""By the channels of the first convolution."""
_SDXL: Final[Mapping[Shape, str]] = {
    (0, 0, 2, 2, 10, 10): "sdxl",
    (0, 0, 2, 2, 4, 4): "ssd-1b",
    (0, 0, 1, 1, 2, 2): "sdxl-small",
    (0, 2, 5): "sdxl-small",
    (0, 2, 6): "sdxl-small",
}
"""By the number of attention blocks in each block of the encoder."""
_REFINER: Final = (0, 0, 4, 4, 4, 4, 0, 0)
_MUGEN_CHANNELS: Final = 32


def _unet(t: Tensors) -> _Found | None:
    first, last = _shape(t, "input_blocks.0.0.weight"), _shape(t, "out.2.weight")
    if len(first) != 4 or len(last) != 4 or "middle_block.0.in_layers.0.weight" not in t:
        return None
    if any(".time_stack." in name or ".time_mix" in name or "motion_modules" in name for name in t):
        return None
    context, is_linear, depths = _attention(t)
    labels = _side(t, "label_emb.0.0.weight", 1) if "label_emb.0.0.weight" in t else None
    key = (first[0], context, labels, is_linear)
    if key == (320, 2048, 2816, True) and last[0] == _MUGEN_CHANNELS and first[1] == _MUGEN_CHANNELS:
        return _Found("mugen") if _SDXL.get(depths) == "sdxl" else None
    if last[0] != 4 or first[1] not in _UNET_VARIANTS:
        return None
    variant = _UNET_VARIANTS[first[1]]
    if key == (320, 768, None, False):
        return _Found("sd1", variant)
    if key[:2] == (320, 1024) and is_linear and labels in (None, 1536, 2048):
        return _Found("sd2", variant if labels is None else "unclip")
    if key == (320, 2048, 2816, True) and depths in _SDXL:
        return _Found(_SDXL[depths], variant)
    if key == (384, 1280, 2560, True) and depths == _REFINER and variant is None:
        return _Found("sdxl-refiner")
    return None


def _attention(t: Tensors) -> tuple[int | None, bool, Shape]:
    """Return the width of the texts, the form of the projections, and the depth in each block of a UNet's encoder."""
    context, is_linear, depths = None, False, []
    for block in range(1, 32):
        if f"input_blocks.{block}.0.in_layers.0.weight" not in t:
            continue
        inner = f"input_blocks.{block}.1."
        depths.append(_count(t, inner + "transformer_blocks.{}.attn2.to_k.weight"))
        if context is None and depths[-1]:
            context = _side(t, f"{inner}transformer_blocks.0.attn2.to_k.weight", 1)
            is_linear = len(_shape(t, f"{inner}proj_in.weight")) == 2
    return context, is_linear, tuple(depths)


def _mmdit(t: Tensors) -> _Found | None:
    """Detect SD 3: SD 3.5 normalises queries and keys."""
    if not _fits(t, "x_embedder.proj.weight", None, 16, 2, 2) or "final_layer.linear.weight" not in t:
        return None
    if "joint_blocks.0.context_block.attn.qkv.weight" not in t or not _fits(t, "context_embedder.weight", None, 4096):
        return None
    return _Found("sd35" if "joint_blocks.0.x_block.attn.ln_q.weight" in t else "sd3")


_FLUX_VARIANTS: Final[Mapping[int | None, Variant | None]] = {None: None, 64: None, 128: "control", 384: "fill"}
"""By the width of the first layer: four pixels of a latent, and as many of a second one, and of a mask."""
_FLUX2: Final[Mapping[int, str]] = {6144: "flux2-dev", 4096: "flux2-klein-9b", 3072: "flux2-klein-4b"}
_FLUX2_DEPTHS: Final[Mapping[Shape, str]] = {(8, 48): "flux2-dev", (8, 24): "flux2-klein-9b", (5, 20): "flux2-klein-4b"}
"""Blocks of both kinds, for a file whose widths are packed."""


def _flux(t: Tensors) -> _Found | None:
    norm = "double_blocks.0.img_attn.norm.key_norm."
    if not any(_fits(t, f"{norm}{end}", 128) for end in ("scale", "weight")) or "img_in.weight" not in t:
        return None
    if "final_layer.linear.weight" not in t or "single_blocks.0.linear1.weight" not in t:
        return None
    if "double_stream_modulation_img.lin.weight" in t:
        return _flux2(t)
    if not _fits(t, "img_in.bias", 3072) or not _fits(t, "txt_in.weight", None, 4096):
        return None
    if any(name.startswith("distilled_guidance_layer.") for name in t):
        return _Found("chroma") if _fits(t, "img_in.weight", 3072, 64) else None
    width = _side(t, "img_in.weight", 1)
    if "vector_in.in_layer.weight" not in t or width not in _FLUX_VARIANTS:
        return None
    return _Found("flux1-dev" if "guidance_in.in_layer.weight" in t else "flux1-schnell", _FLUX_VARIANTS[width])


def _flux2(t: Tensors) -> _Found | None:
    width = _side(t, "img_in.weight", 0)
    if not _fits(t, "img_in.weight", None, 128):
        return None
    depths = (
        _count(t, "double_blocks.{}.img_attn.qkv.weight"),
        _count(t, "single_blocks.{}.linear1.weight"),
    )
    found = _FLUX2.get(width) if width is not None else _FLUX2_DEPTHS.get(depths)
    return _Found(found) if found is not None else None


def _flux_of_diffusers(t: Tensors) -> _Found | None:
    names = ("context_embedder.weight", "transformer_blocks.0.attn.add_q_proj.weight", "proj_out.weight")
    is_svdq = "single_transformer_blocks.0.mlp_fc1.qweight" in t and "transformer_blocks.0.qkv_proj.qweight" in t
    if not is_svdq and not all(name in t for name in (*names, "single_transformer_blocks.0.proj_mlp.weight")):
        return None
    if not _fits(t, "x_embedder.bias", 3072) or "time_text_embed.text_embedder.linear_1.weight" not in t:
        return None
    if any(name.startswith("distilled_guidance_layer.") for name in t):
        return None
    width = _side(t, "x_embedder.weight", 1)
    if width not in _FLUX_VARIANTS or not _fits(t, "context_embedder.weight", 3072, 4096):
        return None
    is_dev = "time_text_embed.guidance_embedder.linear_1.weight" in t
    return _Found("flux1-dev" if is_dev else "flux1-schnell", _FLUX_VARIANTS[width], diffusers=not is_svdq)


_LUMINA: Final[Mapping[Shape, str]] = {(2304, 2304): "lumina2", (3840, 2560): "z-image"}
"""By the widths of the network and of the texts."""


def _lumina(t: Tensors) -> _Found | None:
    keys = {
        "noise_refiner.0.attention.k_norm.weight": ("x_embedder.weight", "final_layer.linear.weight"),
        "noise_refiner.0.attention.norm_k.weight": ("all_x_embedder.2-1.weight", "all_final_layer.2-1.linear.weight"),
    }
    if "layers.0.attention.to_out.0.qweight" in t:  # Nunchaku's, whose norms have other names
        sizes = (_side(t, "cap_embedder.1.bias", 0), _side(t, "cap_embedder.0.weight", 0))
        return _Found("z-image") if sizes == (3840, 2560) else None
    for norm, others in keys.items():
        if norm in t and all(name in t for name in others) and "clip_text_pooled_proj.0.weight" not in t:
            width, texts = _side(t, "cap_embedder.1.bias", 0), _side(t, "cap_embedder.0.weight", 0)
            found = _LUMINA.get((width or 0, texts or 0))
            is_diffusers = norm.endswith("norm_k.weight")
            if found is None or (is_diffusers and found != "z-image"):
                return None
            return _Found(found, diffusers=is_diffusers)
    return None


_WAN_OTHERS: Final = (
    "vace_",
    "control_adapter.",
    "casual_audio_encoder.",
    "audio_",
    "face_",
    "motion_encoder.",
    "pose_patch_embedding.",
    "ref_conv.",
    "trainable_cond_mask.",
)
"""Beginnings of the names of Wan's relatives: VACE, Fun-Control, S2V, HuMo, Animate."""
_WAN: Final[Mapping[Shape, tuple[str, Variant | None]]] = {
    (16, 16): ("wan21", None),
    (36, 16): ("wan21", "image"),
    (48, 48): ("wan22-5b", None),
}
"""By the channels of the first and last layer."""


def _wan(t: Tensors) -> _Found | None:
    width = _side(t, "head.modulation", 2)
    if width is None or not _fits(t, "head.modulation", 1, 2, None) or "blocks.0.cross_attn.k.weight" not in t:
        return None
    if not _fits(t, "text_embedding.0.weight", width, 4096) or any(name.startswith(_WAN_OTHERS) for name in t):
        return None
    inputs, outputs = _side(t, "patch_embedding.weight", 1), _side(t, "head.head.bias", 0)
    found = _WAN.get((inputs or 0, (outputs or 0) // 4))
    if found is None or not _fits(t, "patch_embedding.weight", width, None, 1, 2, 2):
        return None
    return _Found(*found)


def _qwen_image(t: Tensors) -> _Found | None:
    names = ("transformer_blocks.0.attn.norm_added_k.weight", "norm_out.linear.weight", "proj_out.weight")
    if not all(name in t for name in names) or not _fits(t, "txt_norm.weight", 3584):
        return None
    # Qwen-Image-Layered has pictures with transparency, and a VAE for them.
    if "time_text_embed.addition_t_embedding.weight" in t or not _fits(t, "img_in.weight", 3072, 64):
        return None
    return _Found("qwen-image") if _fits(t, "img_in.bias", 3072) else None


def _krea2(t: Tensors) -> _Found | None:
    if "txtfusion.projector.weight" not in t or "blocks.0.attn.wq.weight" not in t or "last.linear.weight" not in t:
        return None
    return _Found("krea2") if _fits(t, "first.weight", 6144, 64) and _fits(t, "txtmlp.0.scale", 2560) else None


def _anima(t: Tensors) -> _Found | None:
    """Detect Anima: Cosmos Predict2, of which it was made, has no adapter of a language model."""
    if "blocks.0.mlp.layer1.weight" not in t or "llm_adapter.blocks.0.cross_attn.q_proj.weight" not in t:
        return None
    return _Found("anima") if _fits(t, "x_embedder.proj.1.weight", 2048, 68) else None


def _ernie(t: Tensors) -> _Found | None:
    if "layers.0.mlp.linear_fc2.weight" not in t or "layers.0.self_attention.norm_q.weight" not in t:
        return None
    is_whole = _fits(t, "final_linear.bias", 128) and _fits(t, "x_embedder.proj.bias", 4096)
    return _Found("ernie-image") if is_whole and _fits(t, "text_proj.weight", 4096, 3072) else None


_PID: Final[Mapping[int, tuple[str, ...]]] = {4: ("sdxl",), 16: ("flux1", "qwen"), 128: ("flux2",)}
"""By the channels of the latents that it reads; Neo takes the VAE that it is given (loader.py, PiDAutoVAE)."""


def _pid(t: Tensors) -> _Found | None:
    families = _PID.get(_side(t, "lq_proj.latent_proj.0.weight", 1) or 0)
    for inner in ("", "core.", "net."):
        names = ("pixel_embedder.proj.weight", "patch_blocks.0.attn.qkv_x.weight", "y_embedder.proj.weight")
        if families is not None and all(inner + name in t for name in names):
            return _Found("pid", families=families) if _fits(t, f"{inner}y_embedder.proj.weight", 1536, 2304) else None
    return None


_DETECTORS: Final = (
    _unet,
    _mmdit,
    _flux,
    _flux_of_diffusers,
    _lumina,
    _wan,
    _qwen_image,
    _krea2,
    _anima,
    _ernie,
    _pid,
)


# -- text encoders -----------------------------------------------------------------------------------------------------
_CLIP_LAYER: Final = "text_model.encoder.layers.0.layer_norm1.bias"
_OPEN_CLIP_LAYER: Final = "transformer.resblocks.0.ln_1.bias"
_T5_KEYS: Final = (
    "encoder.block.0.layer.0.SelfAttention.k.weight",
    "encoder.block.0.layer.0.SelfAttention.k.qweight",
    "enc.blk.0.attn_k.weight",
)
_ENCODER_MARKS: Final = frozenset(
    {
        _CLIP_LAYER,
        f"cond_stage_model.transformer.{_CLIP_LAYER}",
        f"conditioner.embedders.0.transformer.{_CLIP_LAYER}",
        f"text_encoders.clip_l.transformer.{_CLIP_LAYER}",
        f"text_encoders.clip_g.transformer.{_CLIP_LAYER}",
        _OPEN_CLIP_LAYER,
        f"conditioner.embedders.0.model.{_OPEN_CLIP_LAYER}",
        f"conditioner.embedders.1.model.{_OPEN_CLIP_LAYER}",
        f"cond_stage_model.model.{_OPEN_CLIP_LAYER}",
        "cond_stage_model.model.ln_final.weight",
        *_T5_KEYS,
        "model.layers.0.post_attention_layernorm.weight",  # Llama, Mistral, Qwen, Gemma
        "model.layers.0.post_feedforward_layernorm.weight",
        "model.layers.0.self_attn.k_proj.bias",
        "model.visual.deepstack_merger_list.0.norm.weight",
        "visual.blocks.0.attn.proj.weight",
        "blk.0.attn_norm.weight",  # the same in GGUF
        "v.blk.0.attn_out.weight",
    }
)
_VAE_MARKS: Final = frozenset(
    {
        "decoder.conv_in.weight",
        "decoder.conv_in.conv.weight",
        "decoder.middle.0.residual.0.gamma",
        "first_stage_model.decoder.conv_in.weight",
        "vae.decoder.conv_in.weight",
        "decoder.up_blocks.0.resnets.0.norm1.weight",
    }
)
"""Keys of tensors that Forge loads into the model's VAE too, unchecked."""


def _kind(tensors: Tensors, architecture: str | None) -> str | None:
    """Return the kind of the text encoder whose names have no prefix; None if it is unknown or there is none."""
    return _clip(tensors) or _t5(tensors) or _language_model(tensors, architecture) or _vision(tensors)


_CLIPS: Final[Mapping[Shape, str]] = {
    (768, 12): "clip-l",
    (1280, 32): "clip-g",
    (1024, 24): "clip-h",
    (1024, 23): "clip-h",  # diffusers leaves out the last layer, which SD 2.x does not use
}
"""By the width and the number of layers."""
_CLIP_TOKENS: Final = (49408, 77)
"""The vocabulary and the tokens of a text; other encoders of this layout (SigLIP, Long-CLIP) have others."""


def _clip(t: Tensors) -> str | None:
    for inner in ("text_model.", ""):
        width = _side(t, f"{inner}encoder.layers.0.layer_norm1.bias", 0)
        if width is not None:
            layers = _count(t, inner + "encoder.layers.{}.layer_norm1.bias")
            tokens, positions = (
                f"{inner}embeddings.token_embedding.weight",
                f"{inner}embeddings.position_embedding.weight",
            )
            return _clip_of(t, width, layers, tokens, positions)
    width = _side(t, _OPEN_CLIP_LAYER, 0)
    if width is None:
        return None
    layers = _count(t, "transformer.resblocks.{}.ln_1.bias")
    return _clip_of(t, width, layers, "token_embedding.weight", "positional_embedding")


def _clip_of(t: Tensors, width: int, layers: int, tokens: str, positions: str) -> str | None:
    vocabulary, length = _CLIP_TOKENS
    fits = _fits(t, tokens, vocabulary, width) and _fits(t, positions, length, width)
    return _CLIPS.get((width, layers)) if fits else None


_T5_VOCABULARIES: Final[Mapping[int | None, str]] = {32128: "t5xxl", 256384: "umt5-xxl"}


def _t5(t: Tensors) -> str | None:
    """Detect the two of XXL's width and depth; mT5 has another vocabulary."""
    if not any(name in t for name in _T5_KEYS):
        return None
    width = _side(t, "encoder.final_layer_norm.weight", 0) or _side(t, "enc.output_norm.weight", 0)
    layers = max(_count(t, "encoder.block.{}.layer.0.layer_norm.weight"), _count(t, "enc.blk.{}.attn_norm.weight"))
    if (width, layers) != (4096, 24):
        return None
    embeddings = ("shared.weight", "encoder.embed_tokens.weight", "token_embd.weight")
    return next((_T5_VOCABULARIES.get(_side(t, name, 0)) for name in embeddings if name in t), None)


@dataclass(frozen=True)
class _LanguageModel:
    width: int
    layers: tuple[int, ...]
    vocabulary: int
    normalises_queries: bool = False
    has_key_bias: bool = False
    normalises_results: bool = False
    """Gemma's norm behind each layer's network."""
    architectures: tuple[str, ...] = ()
    """`general.architecture` of its GGUF files."""


_LANGUAGE_MODELS: Final[Mapping[str, _LanguageModel]] = {
    "gemma2-2b": _LanguageModel(2304, (26,), 256000, normalises_results=True, architectures=("gemma2",)),
    "qwen3-0.6b": _LanguageModel(1024, (28,), 151936, normalises_queries=True, architectures=("qwen3",)),
    "qwen3-4b": _LanguageModel(2560, (36,), 151936, normalises_queries=True, architectures=("qwen3",)),
    "qwen3-8b": _LanguageModel(4096, (36,), 151936, normalises_queries=True, architectures=("qwen3",)),
    "qwen3-vl-4b": _LanguageModel(2560, (36,), 151936, normalises_queries=True, architectures=("qwen3vl",)),
    "qwen2.5-vl-7b": _LanguageModel(3584, (28,), 152064, has_key_bias=True, architectures=("qwen2vl",)),
    "ministral3-3b": _LanguageModel(3072, (26,), 131072, architectures=("mistral3", "llama")),
    # Some files lack the last ten layers, which FLUX.2 does not use.
    "mistral3-24b": _LanguageModel(5120, (40, 30), 131072, architectures=("mistral3", "llama")),
    "llama3.1-8b": _LanguageModel(4096, (32,), 128256, architectures=("llama",)),
}

_HF_LAYER: Final = ("model.layers.", "model.language_model.layers.", "model.language_model.model.layers.")


def _language_model(t: Tensors, architecture: str | None) -> str | None:
    """Detect a decoder of texts by its sizes.

    The text part of Qwen2.5-VL 7B has the tensors of Qwen2.5 7B, which Neo takes for it too.
    """
    found = _sizes(t)
    if found is None:
        return None
    is_vision = any(name.startswith(("model.visual.", "visual.")) for name in t)
    for kind, model in _LANGUAGE_MODELS.items():
        if architecture is not None and architecture not in model.architectures:
            continue
        if architecture is None and (kind == "qwen3-vl-4b") != (is_vision and kind != "qwen2.5-vl-7b"):
            continue
        if (model.width, model.vocabulary) == (found.width, found.vocabulary) and found.layers[0] in model.layers:
            same = (model.normalises_queries, model.has_key_bias, model.normalises_results)
            if same == (found.normalises_queries, found.has_key_bias, found.normalises_results):
                return kind
    return None


def _sizes(t: Tensors) -> _LanguageModel | None:
    """Return the sizes of a decoder of texts, in the names of transformers or of GGUF."""
    width = _side(t, "blk.0.attn_norm.weight", 0)
    if width is not None:
        return _LanguageModel(
            width,
            (_count(t, "blk.{}.attn_norm.weight"),),
            _side(t, "token_embd.weight", 0) or 0,
            "blk.0.attn_q_norm.weight" in t,
            "blk.0.attn_k.bias" in t,
            "blk.0.post_ffw_norm.weight" in t,
        )
    for inner in _HF_LAYER:
        width = _side(t, f"{inner}0.input_layernorm.weight", 0)
        if width is not None:
            return _LanguageModel(
                width,
                (_count(t, inner + "{}.input_layernorm.weight"),),
                _side(t, f"{inner.removesuffix('layers.')}embed_tokens.weight", 0) or 0,
                f"{inner}0.self_attn.q_norm.weight" in t,
                f"{inner}0.self_attn.k_proj.bias" in t,
                f"{inner}0.post_feedforward_layernorm.weight" in t,
            )
    return None


def _vision(t: Tensors) -> str | None:
    """Detect the vision part of Qwen2.5-VL 7B: its last layer has the width of the texts."""
    last = ("visual.merger.mlp.2.weight", "mm.2.weight")
    marks = ("visual.blocks.0.attn.proj.weight", "v.blk.0.attn_out.weight")
    fits = any(name in t and _side(t, name, 0) == 3584 for name in last)
    return "qwen2.5-vl-7b-vision" if fits and any(name in t for name in marks) else None
