"""Files that hold tensors as they should: VAEs, VAEs in other forms, and what is none."""

from __future__ import annotations

from .. import torch_files as torch
from ..samples import diffusers, encode, ldm
from ..torch_files import mapping, name, number, storage, text, weights
from .case import Case, Shapes, below, half, legacy, pickled, tensors, zipped

UNET: Shapes = {"model.diffusion_model.out.2.weight": (4, 8, 3, 3)}
WAN = {
    "encoder.conv1.weight": (8, 3, 3, 3, 3),
    "encoder.downsamples.0.residual.0.gamma": (8, 1, 1, 1),
    "decoder.conv1.weight": (8, 16, 3, 3, 3),
    "decoder.middle.0.residual.0.gamma": (8, 1, 1, 1),
    "encoder.head.2.weight": (32, 8, 3, 3, 3),
    "decoder.head.2.weight": (3, 8, 3, 3, 3),
    "conv1.weight": (32, 32, 1, 1, 1),
    "conv2.weight": (16, 16, 1, 1, 1),
}
WAN22 = {**WAN, "encoder.conv1.weight": (8, 12, 3, 3, 3), "decoder.conv1.weight": (8, 48, 3, 3, 3)}
QWEN = {
    "encoder.conv_in.weight": (8, 3, 3, 3, 3),
    "encoder.mid_block.resnets.0.conv1.weight": (8, 8, 3, 3, 3),
    "decoder.conv_in.weight": (8, 16, 3, 3, 3),
    "decoder.mid_block.resnets.0.conv1.weight": (8, 8, 3, 3, 3),
    "quant_conv.weight": (32, 32, 1, 1, 1),
}
HUNYUAN = {"encoder.conv_in.conv.weight": (8, 3, 3, 3, 3), "decoder.conv_in.conv.weight": (8, 16, 3, 3, 3)}
SVD = {**diffusers(), "decoder.mid_block.resnets.0.temporal_res_block.conv1.weight": (8, 8, 3, 1, 1)}
TINY_DECODER = {"1.weight": (64, 4, 3, 3), "3.conv.0.weight": (64, 64, 3, 3)}
TINY_ENCODER = {"0.weight": (64, 3, 3, 3), "1.conv.0.weight": (64, 64, 3, 3), "14.weight": (4, 64, 3, 3)}
TINY = {
    "encoder.layers.0.weight": (8, 3, 3, 3),
    "encoder.layers.14.weight": (4, 8, 3, 3),
    "decoder.layers.0.weight": (8, 4, 3, 3),
}
LORA = {"lora_unet_mid_block.lora_down.weight": (4, 8), "lora_unet_mid_block.alpha": ()}
EMA = {"model_ema.decay": (), "model_ema.num_updates": (), "model_ema.decoderconv_inweight": (8, 4, 3, 3)}

GOOD: list[Case] = [
    Case("ldm", tensors(ldm()), "safetensors", "ldm", 4, "fp32", "ed"),
    Case("ldm, fp16", tensors(ldm(), "F16"), "safetensors", "ldm", 4, "fp16", "ed"),
    Case("ldm, bf16", tensors(ldm(), "BF16"), "safetensors", "ldm", 4, "bf16", "ed"),
    Case("ldm, 16 channels", tensors(ldm(16)), "safetensors", "ldm", 16, "fp32", "ed"),
    Case("ldm with metadata", tensors(ldm(), title="mine"), "safetensors", "ldm", 4, "fp32", "ed"),
    Case("ldm with loss", tensors({**ldm(), "loss.logvar": ()}), "safetensors", "ldm", 4, "fp32", "ed"),
    Case(
        "ldm with what the WebUI ignores",
        tensors({**ldm(), "model_ema.decay": ()}),
        "safetensors",
        "ldm",
        4,
        "fp32",
        "ed",
    ),
    Case("zip", zipped(ldm()), "pickle", "ldm", 4, "fp32", "ed"),
    Case("zip, fp16", zipped(ldm(), "Half"), "pickle", "ldm", 4, "fp16", "ed"),
    Case("zip, bf16", zipped(ldm(), "BFloat16"), "pickle", "ldm", 4, "bf16", "ed"),
    Case("zip, below state_dict", zipped(ldm(), wrapped=True), "pickle", "ldm", 4, "fp32", "ed"),
    Case("zip with byteorder", zipped(ldm(), byteorder=b"little"), "pickle", "ldm", 4, "fp32", "ed"),
    Case("legacy", legacy(ldm()), "pickle", "ldm", 4, "fp32", "ed"),
    Case("legacy, fp16, below state_dict", legacy(ldm(), "Half", True), "pickle", "ldm", 4, "fp16", "ed"),
]

OTHER_FORMS: list[Case] = [
    Case("diffusers", tensors(diffusers()), "safetensors", "diffusers", 4, "fp32", "ed", "diffusers", True),
    Case("diffusers, 16", tensors(diffusers(16)), "safetensors", "diffusers", 16, "fp32", "ed", "diffusers", True),
    Case("diffusers, zip", zipped(diffusers()), "pickle", "diffusers", 4, "fp32", "ed", "diffusers", True),
    Case(
        "prefixed",
        tensors(ldm(prefix="first_stage_model.")),
        "safetensors",
        "prefixed",
        4,
        "fp32",
        "ed",
        "prefixed",
        True,
    ),
    Case("prefixed vae.", tensors(ldm(prefix="vae.")), "safetensors", "prefixed", 4, "fp32", "ed", "prefixed", True),
    Case(
        "diffusers, prefixed",
        tensors(below("vae.", diffusers())),
        "safetensors",
        "prefixed",
        4,
        "fp32",
        "ed",
        "prefixed",
        True,
    ),
    Case("prefixed, legacy", legacy(ldm(prefix="vae.")), "pickle", "prefixed", 4, "fp32", "ed", "prefixed", True),
    Case(
        "prefixed, no encoder",
        tensors(below("vae.", half("decoder"))),
        "safetensors",
        "prefixed",
        4,
        "fp32",
        "d",
        "no-encoder",
    ),
    Case(
        "checkpoint",
        tensors({**UNET, **ldm(prefix="first_stage_model.")}, "F16"),
        "safetensors",
        "checkpoint",
        4,
        "fp16",
        "ed",
        "checkpoint",
        True,
    ),
    Case(
        "checkpoint, zip",
        zipped({**UNET, **ldm(prefix="first_stage_model.")}, wrapped=True),
        "pickle",
        "checkpoint",
        4,
        "fp32",
        "ed",
        "checkpoint",
        True,
    ),
    Case(
        "checkpoint with vae.",
        tensors({**UNET, **ldm(16, "vae.")}),
        "safetensors",
        "checkpoint",
        16,
        "fp32",
        "ed",
        "checkpoint",
        True,
    ),
    Case("checkpoint of a UNet alone", tensors(UNET), "safetensors", "checkpoint", code="no-vae"),
    Case(
        "checkpoint with half a VAE",
        tensors({**UNET, **below("first_stage_model.", half("decoder"))}),
        "safetensors",
        "checkpoint",
        4,
        "fp32",
        "d",
        "no-encoder",
    ),
    Case(
        "checkpoint for films",
        tensors({**UNET, **below("first_stage_model.", SVD)}),
        "safetensors",
        "checkpoint",
        4,
        "fp32",
        "ed",
        "video",
    ),
    Case("EMA", tensors({**ldm(), **EMA}), "safetensors", "ldm", 4, "fp32", "ed"),
    Case(
        "zip of a newer torch",
        zipped(ldm(), "Float", False, **{".format_version": b"1"}),
        "pickle",
        "ldm",
        4,
        "fp32",
        "ed",
    ),
    Case(
        "harmless name that the WebUI refuses",
        pickled(
            mapping({**weights(ldm())[0], "device": torch.call(name("torch", "device"), text("cpu"))}),
            **weights(ldm())[1],
        ),
        "pickle",
        "ldm",
        4,
        "fp32",
        "ed",
    ),
    Case(
        "zip named safetensors",
        zipped(ldm()),
        "pickle",
        "ldm",
        4,
        "fp32",
        "ed",
        "wrong-suffix",
        True,
        "x.safetensors",
    ),
]

NO_VAE: list[Case] = [
    Case("no encoder", tensors(half("decoder")), "safetensors", "ldm", 4, "fp32", "d", "no-encoder"),
    Case("no decoder", tensors(half("encoder")), "safetensors", "ldm", None, "fp32", "e", "no-decoder"),
    Case("no encoder, zip", zipped(half("decoder")), "pickle", "ldm", 4, "fp32", "d", "no-encoder"),
    Case("tiny, diffusers", tensors(TINY), "safetensors", "tiny", 4, "fp32", "ed", "tiny"),
    Case("tiny decoder, bare", tensors(TINY_DECODER, "F16"), "safetensors", "tiny", 4, "fp16", "d", "tiny"),
    Case("tiny encoder, bare", zipped(TINY_ENCODER), "pickle", "tiny", 4, "fp32", "e", "tiny"),
    Case(
        "tiny, both halves bare",
        tensors({**below("encoder.", TINY_ENCODER), **below("decoder.", TINY_DECODER)}),
        "safetensors",
        "tiny",
        4,
        "fp32",
        "ed",
        "tiny",
    ),
    Case("Wan 2.1", tensors(WAN, "BF16"), "safetensors", "wan", 16, "bf16", "ed", "video"),
    Case("Wan 2.1, zip", zipped(WAN), "pickle", "wan", 16, "fp32", "ed", "video"),
    Case("Wan 2.2", tensors(WAN22, "BF16"), "safetensors", "wan", 48, "bf16", "ed", "video"),
    Case("Qwen-Image, diffusers", tensors(QWEN, "BF16"), "safetensors", "video", 16, "bf16", "ed", "video"),
    Case("Hunyuan", tensors(HUNYUAN), "safetensors", "video", 16, "fp32", "ed", "video"),
    Case("Stable Video Diffusion", tensors(SVD), "safetensors", "video", 4, "fp32", "ed", "video"),
    Case("LoRA", tensors(LORA, "F16"), "safetensors", "lora", None, "fp16", code="lora"),
    Case("LoRA, legacy", legacy(LORA), "pickle", "lora", None, "fp32", code="lora"),
    Case("something else", tensors({"weight": (3, 3)}), "safetensors", "other", None, "fp32", code="no-vae"),
    Case("no tensors", encode({}), "safetensors", "other", code="no-vae"),
    Case("only metadata", encode({"__metadata__": {"a": "b"}}), "safetensors", "other", code="no-vae"),
    Case("a plain object", pickled(mapping({"epoch": number(3)})), "pickle", "other", code="no-vae"),
    Case(
        "tensors too deep",
        pickled(mapping({"net": mapping(weights(ldm())[0])}), **weights(ldm())[1]),
        "pickle",
        "other",
        code="no-vae",
    ),
    Case(
        "a single tensor",
        pickled(torch.tensor(storage("Float", "0", 4), (4,)), **{"0": bytes(16)}),
        "pickle",
        code="not-a-model",
    ),
    Case("a list", pickled(b"]"), "pickle", code="not-a-model"),
    Case("state_dict is no dict", pickled(mapping({"state_dict": number(1)})), "pickle", code="not-a-model"),
]
