"""Files as they are published, by the tables of `tables.json`: each with what it is, or with nothing for a look-alike.

`sparse` writes one as a safetensors file without data on the disk, for a WebUI's own loader.
"""

from __future__ import annotations

import functools
import json
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vae_manager.files.headers import DTYPE_BYTES, TensorSpec

Table = dict[str, TensorSpec]

UNET = "model.diffusion_model."
FIRST = "input_blocks.0.0.weight"


@dataclass(frozen=True)
class Case:
    """A checkpoint's file."""

    name: str
    tensors: Mapping[str, TensorSpec]
    engine: str | None
    """None for a look-alike, which has to be unknown."""
    families: tuple[str, ...] = ()
    variant: str | None = None
    carries: tuple[str, ...] = ()
    """Text encoders in the file."""
    has_vae: bool = False
    dtype: str | None = None
    guess: str | None = field(default=None, compare=False)
    """The class that Neo's detector takes it for; None if it refuses the file, "" if that is not compared."""


@functools.cache
def _tables() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((Path(__file__).parent / "tables.json").read_text(encoding="utf-8"))
    return read


@functools.cache
def table(name: str) -> Mapping[str, TensorSpec]:
    """The tensors of one network, without a prefix."""
    folded = _tables()[name]
    return {
        pattern.replace("#", number): TensorSpec(folded["dtype"], tuple(shape))
        for pattern, shapes in folded["tensors"].items()
        for numbers, shape in shapes.items()
        for number in _numbers(numbers)
    }


def _numbers(text: str) -> list[str]:
    found = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += [first] if not last else [str(number) for number in range(int(first), int(last) + 1)]
    return found


def below(prefix: str, tensors: Mapping[str, TensorSpec]) -> Table:
    return {prefix + name: spec for name, spec in tensors.items()}


def reshaped(tensors: Mapping[str, TensorSpec], **shapes: tuple[int, ...]) -> Table:
    """With other shapes; the keys have `__` in place of dots."""
    changed = {name.replace("__", "."): shape for name, shape in shapes.items()}
    assert changed.keys() <= tensors.keys()
    return {name: spec._replace(shape=changed.get(name, spec.shape)) for name, spec in tensors.items()}


def with_inputs(tensors: Mapping[str, TensorSpec], channels: int) -> Table:
    first = tensors[FIRST]
    return {**tensors, FIRST: first._replace(shape=(first.shape[0], channels, 3, 3))}


def of_sd2() -> Table:
    """SD 1.x' network with the wider texts and the linear projections of SD 2.x."""
    changed = {}
    for name, spec in table("unet-sd1").items():
        shape = spec.shape
        if re.search(r"\.attn2\.to_[kv]\.weight$", name):
            shape = (shape[0], 1024)
        elif re.search(r"\.proj_(in|out)\.weight$", name):
            shape = shape[:2]
        changed[name] = spec._replace(shape=shape)
    return changed


def open_clip(width: int, layers: int, dtype: str = "F16") -> Table:
    """The texts' part of an OpenCLIP model, as SD 2.x and SDXL have it."""
    shapes: dict[str, tuple[int, ...]] = {
        "positional_embedding": (77, width),
        "token_embedding.weight": (49408, width),
        "ln_final.weight": (width,),
        "ln_final.bias": (width,),
        "text_projection": (width, width),
        "logit_scale": (),
    }
    for number in range(layers):
        block = f"transformer.resblocks.{number}."
        for part, sides in (
            ("ln_1", (width,)),
            ("ln_2", (width,)),
            ("mlp.c_fc", (4 * width, width)),
            ("mlp.c_proj", (width, 4 * width)),
            ("attn.out_proj", (width, width)),
        ):
            shapes[f"{block}{part}.weight"] = sides
            shapes[f"{block}{part}.bias"] = sides[:1]
        shapes[f"{block}attn.in_proj_weight"] = (3 * width, width)
        shapes[f"{block}attn.in_proj_bias"] = (3 * width,)
    return {name: TensorSpec(dtype, shape) for name, shape in shapes.items()}


# -- quantised forms ---------------------------------------------------------------------------------------------------
def cast(tensors: Mapping[str, TensorSpec], dtype: str) -> Table:
    return {name: spec._replace(dtype=dtype) for name, spec in tensors.items()}


def scaled_fp8(tensors: Mapping[str, TensorSpec], prefix: str = "") -> Table:
    """ComfyUI's fp8 with a scale for each matrix."""
    found: Table = {f"{prefix}scaled_fp8": TensorSpec("F8_E4M3", (2,))}
    for name, spec in tensors.items():
        is_matrix = len(spec.shape) == 2 and name.endswith(".weight")
        found[name] = spec._replace(dtype="F8_E4M3") if is_matrix else spec
        if is_matrix:
            found[f"{name.removesuffix('weight')}scale_weight"] = TensorSpec("F32", (1,))
    return found


def nf4(tensors: Mapping[str, TensorSpec]) -> Table:
    """Matrices packed as bitsandbytes does."""
    found: Table = {}
    for name, spec in tensors.items():
        if len(spec.shape) != 2 or not name.endswith(".weight"):
            found[name] = spec
            continue
        count = math.prod(spec.shape)
        found[name] = TensorSpec("U8", (-(-count // 2), 1))
        found[f"{name}.absmax"] = TensorSpec("F32", (-(-count // 64),))
        found[f"{name}.quant_map"] = TensorSpec("F32", (16,))
        found[f"{name}.quant_state.bitsandbytes__nf4"] = TensorSpec("U8", (88,))
    return found


def svdq_flux() -> Table:
    """Nunchaku's FLUX.1: the names of diffusers, with packed matrices in the blocks."""
    outer = {name: spec for name, spec in table("diffusers-flux1-dev").items() if "transformer_blocks." not in name}
    packed = {
        f"{block}.{number}.{part}.qweight": TensorSpec("I8", (3072, 1536))
        for block, count in (("transformer_blocks", 19), ("single_transformer_blocks", 38))
        for number in range(count)
        for part in ("qkv_proj", "out_proj", "mlp_fc1", "mlp_fc2")
    }
    return {**outer, **packed}


# -- files -------------------------------------------------------------------------------------------------------------
def checkpoints() -> list[Case]:
    """Files of known engines."""
    sd_vae = below("first_stage_model.", table("vae-sd"))
    clip_l = below("cond_stage_model.transformer.", table("clip-l"))
    clips_xl = {
        **below("conditioner.embedders.0.transformer.", table("clip-l")),
        **below("conditioner.embedders.1.model.", open_clip(1280, 32)),
    }
    sd1, sdxl, flux = table("unet-sd1"), table("unet-sdxl"), table("flux1-dev")
    schnell = {name: spec for name, spec in flux.items() if not name.startswith("guidance_in.")}
    guided = "time_text_embed.guidance_embedder."
    flux_of_diffusers = table("diffusers-flux1-dev")
    schnell_of_diffusers = {name: spec for name, spec in flux_of_diffusers.items() if not name.startswith(guided)}
    mugen = reshaped(with_inputs(sdxl, 32), out__2__weight=(32, 320, 3, 3), out__2__bias=(32,))
    sd1_all = {**below(UNET, sd1), **clip_l, **sd_vae}
    sdxl_all = {**below(UNET, sdxl), **clips_xl, **sd_vae}
    refiner_all = {
        **below(UNET, table("unet-refiner")),
        **below("conditioner.embedders.0.model.", open_clip(1280, 32)),
        **sd_vae,
    }
    both = ("clip-l", "clip-g")
    fp16, bf16 = "fp16", "bf16"
    text_encoders = {
        **below("text_encoders.clip_l.transformer.", table("clip-l")),
        **below("text_encoders.t5xxl.transformer.", cast(table("t5xxl"), "F8_E4M3")),
    }
    flux_all = {**below(UNET, cast(flux, "F8_E4M3")), **text_encoders, **below("vae.", table("vae-flux1"))}
    sd3_all = {
        **below(UNET, table("sd3-medium")),
        **below("text_encoders.clip_l.transformer.", table("clip-l")),
        **below("text_encoders.clip_g.transformer.", table("clip-g")),
        **below("first_stage_model.", table("vae-flux1")),
    }
    lumina_all = {
        **below(UNET, table("lumina2")),
        **below("text_encoders.gemma2_2b.transformer.", table("gemma2-2b")),
        **below("vae.", table("vae-flux1")),
    }
    wide_pid, narrow_pid = (
        reshaped(table("pid-16"), lq_proj__latent_proj__0__weight=(512, channels, 3, 3)) for channels in (128, 4)
    )
    return [
        Case("SD 1.x", sd1_all, "sd1", ("sd1",), None, ("clip-l",), True, fp16, "SD15"),
        Case("SD 1.x, network alone", sd1, "sd1", ("sd1",), None, (), False, fp16, "SD15"),
        Case("SD 1.x inpainting", {**below(UNET, with_inputs(sd1, 9)), **clip_l, **sd_vae}, "sd1", ("sd1",),
             "inpainting", ("clip-l",), True, fp16, "SD15"),
        Case("SD 1.x InstructPix2Pix", {**below(UNET, with_inputs(sd1, 8)), **clip_l, **sd_vae}, "sd1", ("sd1",),
             "edit", ("clip-l",), True, fp16, "SD15"),
        Case("SD 2.x", {**below(UNET, of_sd2()), **below("cond_stage_model.model.", open_clip(1024, 24)), **sd_vae},
             "sd2", ("sd1",), None, ("clip-h",), True, fp16),
        Case("SD 2.x depth", below(UNET, with_inputs(of_sd2(), 5)), "sd2", ("sd1",), "depth", (), False, fp16),
        Case("SDXL", sdxl_all, "sdxl", ("sdxl",), None, both, True, fp16, "SDXL"),
        Case("SDXL without VAE", {**below(UNET, sdxl), **clips_xl}, "sdxl", ("sdxl",), None, both, False, fp16, "SDXL"),
        Case("SDXL, network alone", below(UNET, sdxl), "sdxl", ("sdxl",), None, (), False, fp16, "SDXL"),
        Case("SDXL inpainting", below(UNET, with_inputs(sdxl, 9)), "sdxl", ("sdxl",), "inpainting", (), False, fp16,
             "SDXL"),
        Case("SDXL refiner", refiner_all, "sdxl-refiner", ("sdxl",), None, ("clip-g",), True, fp16, "SDXLRefiner"),
        Case("SSD-1B", below(UNET, table("unet-ssd1b")), "ssd-1b", ("sdxl",), None, (), False, fp16),
        Case("Segmind-Vega", below(UNET, table("unet-vega")), "sdxl-small", ("sdxl",), None, (), False, fp16),
        Case("Mugen", {**below(UNET, mugen), **clips_xl, **below("vae.", table("vae-flux2"))}, "mugen", ("flux2",),
             None, both, True, fp16, "Mugen"),
        Case("SD 3", sd3_all, "sd3", ("sd3",), None, both, True, fp16),
        Case("SD 3.5 medium", below(UNET, table("sd35-medium")), "sd35", ("sd3",), None, (), False, fp16),
        Case("SD 3.5 large", table("sd35-large"), "sd35", ("sd3",), None, (), False, fp16),
        Case("FLUX.1 dev", flux, "flux1-dev", ("flux1",), None, (), False, bf16, "Flux"),
        Case("FLUX.1 dev, whole, fp8", flux_all, "flux1-dev", ("flux1",), None, ("clip-l", "t5xxl"), True, "fp8 e4m3",
             "Flux"),
        Case("FLUX.1 dev, scaled fp8", scaled_fp8(flux), "flux1-dev", ("flux1",), None, (), False, "fp8 e4m3 scaled",
             "Flux"),
        Case("FLUX.1 dev, nf4", below(UNET, nf4(flux)), "flux1-dev", ("flux1",), None, (), False, "nf4", "Flux"),
        Case("FLUX.1 dev, Nunchaku", svdq_flux(), "flux1-dev", ("flux1",), None, (), False, "int4", "Flux"),
        Case("FLUX.1 dev, diffusers", flux_of_diffusers, "flux1-dev", ("flux1",), None, (), False, bf16, "Flux"),
        Case("FLUX.1 schnell, diffusers", schnell_of_diffusers, "flux1-schnell", ("flux1",), None, (), False, bf16,
             "FluxSchnell"),
        Case("FLUX.1 schnell", schnell, "flux1-schnell", ("flux1",), None, (), False, bf16, "FluxSchnell"),
        Case("FLUX.1 Fill", reshaped(flux, img_in__weight=(3072, 384)), "flux1-dev", ("flux1",), "fill", (), False,
             bf16, "Flux"),
        Case("FLUX.1 Canny", reshaped(flux, img_in__weight=(3072, 128)), "flux1-dev", ("flux1",), "control", (), False,
             bf16, "Flux"),
        Case("Chroma", table("chroma"), "chroma", ("flux1",), None, (), False, bf16, "Chroma"),
        Case("FLUX.2 dev", table("flux2-dev"), "flux2-dev", ("flux2",), None, (), False, bf16),
        Case("FLUX.2 klein 4B", table("flux2-klein-4b"), "flux2-klein-4b", ("flux2",), None, (), False, bf16,
             "Flux2K4B"),
        Case("FLUX.2 klein 9B", below(UNET, table("flux2-klein-9b")), "flux2-klein-9b", ("flux2",), None, (), False,
             bf16, "Flux2K9B"),
        Case("Lumina 2", lumina_all, "lumina2", ("flux1",), None, ("gemma2-2b",), True, bf16, "Lumina2"),
        Case("Z-Image", table("z-image"), "z-image", ("flux1",), None, (), False, bf16, "ZImage"),
        Case("Z-Image, diffusers", table("diffusers-z-image"), "z-image", ("flux1",), None, (), False, bf16, "ZImage"),
        Case("Qwen-Image", below(UNET, table("qwen-image")), "qwen-image", ("qwen",), None, (), False, bf16,
             "QwenImage"),
        Case("Krea 2", table("krea2"), "krea2", ("qwen",), None, (), False, bf16, "Krea2"),
        Case("Anima", below("net.", table("anima")), "anima", ("qwen",), None, (), False, bf16, "Anima"),
        Case("ERNIE-Image", table("ernie-image"), "ernie-image", ("flux2",), None, (), False, bf16, "ErnieImage"),
        Case("Wan 2.1 14B", table("wan-t2v-14b"), "wan21", ("wan21",), None, (), False, fp16, "WAN21_T2V"),
        Case("Wan 2.1 1.3B", table("wan-t2v-1.3b"), "wan21", ("wan21",), None, (), False, fp16, "WAN21_T2V"),
        Case("Wan 2.1 from a picture", table("wan21-i2v-14b"), "wan21", ("wan21",), "image", (), False, fp16,
             "WAN21_I2V"),
        Case("Wan 2.2 from a picture",
             reshaped(table("wan-t2v-14b"), patch_embedding__weight=(5120, 36, 1, 2, 2)), "wan21", ("wan21",), "image",
             (), False, fp16, "WAN21_T2V"),
        # Neo's detector does not look at the channels, and its loader then takes Wan 2.1's VAE.
        Case("Wan 2.2 5B", table("wan22-5b"), "wan22-5b", ("wan22",), None, (), False, fp16, ""),
        Case("PiD for SDXL", narrow_pid, "pid", ("sdxl",), None, (), False, bf16, "PiD"),
        Case("PiD for FLUX.1 or Qwen-Image", table("pid-16"), "pid", ("flux1", "qwen"), None, (), False, bf16, "PiD"),
        Case("PiD for FLUX.2", below("net.", wide_pid), "pid", ("flux2",), None, (), False, bf16, "PiD"),
    ]  # fmt: skip


def lookalikes() -> list[Case]:
    """Files that no engine of the table runs, many of them near to one that is in it."""
    sd1, sdxl, flux, wan = table("unet-sd1"), table("unet-sdxl"), table("flux1-dev"), table("wan-t2v-14b")
    bf16 = functools.partial(TensorSpec, "BF16")
    encoder_of_unet = {name: spec for name, spec in sd1.items() if not name.startswith(("output_blocks.", "out."))}
    controlnet = {
        **encoder_of_unet,
        "zero_convs.0.0.weight": bf16((320, 320, 1, 1)),
        "input_hint_block.0.weight": bf16((16, 3, 3, 3)),
    }
    lora = {
        f"lora_unet_double_blocks_{number}_img_attn_proj.lora_{end}.weight": bf16(shape)
        for number in range(19)
        for end, shape in (("down", (16, 3072)), ("up", (3072, 16)))
    }
    peft = {
        f"diffusion_model.{name.removesuffix('weight')}lora_{end}.weight": bf16((16, spec.shape[-1]))
        for name, spec in wan.items()
        if len(spec.shape) == 2 and name.endswith(".weight")
        for end in ("A", "B")
    }
    added_lora = {
        **below(UNET, {f"{name}.lora_A.weight": bf16((16, 3072)) for name in flux}),
        **below(UNET, flux),
    }
    radiance = {
        **{name: spec for name, spec in table("chroma").items() if not name.startswith(("img_in.", "final_layer."))},
        "img_in_patch.weight": bf16((3072, 3, 16, 16)),
        "nerf_image_embedder.embedder.0.weight": bf16((64, 67)),
        "nerf_final_layer_conv.conv.weight": bf16((3, 64, 3, 3)),
    }
    hunyuan = {
        **{f"double_blocks.{number}.img_attn.norm.key_norm.weight": bf16((128,)) for number in range(20)},
        "img_in.proj.weight": bf16((3072, 16, 1, 2, 2)),
        "img_in.proj.bias": bf16((3072,)),
        "txt_in.individual_token_refiner.blocks.0.norm1.weight": bf16((3072,)),
        "vector_in.in_layer.weight": bf16((3072, 768)),
        "guidance_in.mlp.0.weight": bf16((3072, 256)),
        "final_layer.linear.weight": bf16((64, 3072)),
    }
    hunyuan_own = {
        name.replace("img_attn.norm.key_norm.weight", "img_attn_k_norm.weight"): spec for name, spec in hunyuan.items()
    }
    cosmos = {name: spec for name, spec in table("anima").items() if not name.startswith("llm_adapter.")}
    esrgan = {f"model.1.sub.{n}.RDB1.conv1.0.weight": TensorSpec("F32", (32, 64, 3, 3)) for n in range(23)}
    video = {
        **below(UNET, with_inputs(of_sd2(), 8)),
        f"{UNET}label_emb.0.0.weight": TensorSpec("F16", (1280, 768)),
        f"{UNET}input_blocks.1.1.time_stack.0.attn1.to_q.weight": TensorSpec("F16", (320, 320)),
    }
    layered = {**table("qwen-image"), "time_text_embed.addition_t_embedding.weight": bf16((2, 3072))}
    kolors = reshaped(sdxl, label_emb__0__0__weight=(1280, 5632))
    upscaler = {**below(UNET, with_inputs(of_sd2(), 7))}
    zero123 = {
        **below(UNET, with_inputs(sd1, 8)),
        "cc_projection.weight": TensorSpec("F16", (768, 772)),
        "cc_projection.bias": TensorSpec("F16", (768,)),
    }
    named = {
        "a LoRA": lora,
        "a LoRA of Wan, peft": peft,
        "a LoRA beside a network": added_lora,
        "a ControlNet": below("control_model.", controlnet),
        "a ControlNet without prefix": controlnet,
        "a ControlNet below the network's prefix": below(UNET, controlnet),
        "the encoder's half of a UNet": below(UNET, encoder_of_unet),
        "an upscaler": esrgan,
        "Kolors": below(UNET, kolors),
        "Stable Video Diffusion": video,
        "SD x4 upscaler": upscaler,
        "Zero123": zero123,
        "Mugen's outputs on SDXL's inputs": below(UNET, reshaped(sdxl, out__2__weight=(32, 320, 3, 3))),
        "Ovis-Image": table("ovis"),
        "Chroma Radiance": radiance,
        "NewBie": table("newbie"),
        "HunyuanVideo": hunyuan_own,
        "HunyuanVideo, converted": hunyuan,
        "Cosmos Predict2": below("net.", cosmos),
        "Wan VACE": {**wan, "vace_patch_embedding.weight": TensorSpec("F16", (5120, 96, 1, 2, 2))},
        "Wan Fun-Control": reshaped(wan, patch_embedding__weight=(5120, 48, 1, 2, 2)),
        "Qwen-Image-Layered": layered,
        "FLUX.1 of another width": reshaped(flux, img_in__bias=(2048,), img_in__weight=(2048, 64)),
        "FLUX.2 of another width": reshaped(table("flux2-klein-4b"), img_in__weight=(2048, 128)),
        "a whole VAE": dict(table("vae-flux1")),
        "Wan's VAE": dict(table("vae-wan")),
        "a text encoder": dict(table("qwen3-4b")),
        "nothing": {},
    }
    of_diffusers = (
        "flux2-klein-4b",
        "chroma",
        "flux-controlnet",
        "hunyuanvideo",
        "hidream",
        "auraflow",
        "sd3",
        "controlnet-sd1",
        "wan",
        "cosmos",
        "qwen-controlnet",
        "pixart",
    )
    return [
        *(Case(name, tensors, None) for name, tensors in named.items()),
        *(Case(f"{name}, diffusers", table(f"diffusers-{name}"), None) for name in of_diffusers),
    ]


ENCODER_TABLES = (
    "clip-l",
    "clip-g",
    "t5xxl",
    "umt5-xxl",
    "gemma2-2b",
    "qwen3-0.6b",
    "qwen3-4b",
    "qwen3-8b",
    "qwen3-vl-4b",
    "qwen2.5-vl-7b",
    "ministral3-3b",
)
"""Kinds of text encoders with a table of their name."""


def sparse(path: Path, tensors: Mapping[str, TensorSpec]) -> Path:
    """Write a safetensors file of these tensors, whose bytes are a hole."""
    header: dict[str, Any] = {}
    at = 0
    for name, spec in tensors.items():
        end = at + math.prod(spec.shape) * DTYPE_BYTES[spec.dtype]
        header[name] = {"dtype": spec.dtype, "shape": list(spec.shape), "data_offsets": [at, end]}
        at = end
    raw = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        file.truncate(8 + len(raw) + at)
    return path
