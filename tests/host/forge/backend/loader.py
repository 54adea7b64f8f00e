"""Imitates backend/loader.py: files to a model, in the order of events that the real one has.

What is wrong there and here: whatever goes wrong while files are read and put together is "Failed to recognize model
type!"; of several VAEs the last one wins; what a file lacks is not noticed, and all NaN is as good as any other number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from backend.diffusion_engine.sd15 import StableDiffusion, StableDiffusionXL
from backend.nn.vae import IntegratedAutoencoderKL
from backend.state_dict import load_state_dict, try_filter_state_dict
from backend.utils import load_torch_file

Weights = dict[str, torch.Tensor]


@dataclass
class Guess:
    """What huggingface_guess says of the stand-in's checkpoints."""

    sdxl: bool
    vae_key_prefix = ("first_stage_model.",)

    @property
    def text_encoder_key_prefix(self) -> str:
        """Of CLIP-L."""
        return "conditioner.embedders.0.transformer." if self.sdxl else "cond_stage_model.transformer."


class Marked(torch.nn.Module):
    """The stand-in's UNet: one number."""

    def __init__(self, marker: torch.Tensor) -> None:
        super().__init__()
        self.marker = torch.nn.Parameter(marker, requires_grad=False)


class TextEncoder(torch.nn.Module):
    """768 numbers, which colour every prompt; all zero if neither checkpoint nor module says anything else."""

    def __init__(self, mood: torch.Tensor) -> None:
        super().__init__()
        self.mood = torch.nn.Parameter(mood, requires_grad=False)


CLIP_L = "text_model.encoder.layers.0.layer_norm1.bias"
WIDTH = 768


def guess_model(sd: Weights) -> Guess:
    if "marker" not in sd:
        raise ValueError("not a checkpoint of the stand-in")
    return Guess(sdxl=any(name.startswith("conditioner.") for name in sd))


def replace_state_dict(sd: Weights, asd: Weights, guess: Guess) -> Weights:
    """The module's tensors in the place of the checkpoint's, if their names say what they are; else it is nothing."""
    prefix = guess.vae_key_prefix[0]
    if "decoder.conv_in.weight" in asd:
        for name in [name for name in sd if name.startswith(prefix)]:
            del sd[name]
        for name, tensor in asd.items():
            sd[prefix + name] = tensor
    if f"{prefix}decoder.conv_in.weight" in asd and asd[f"{prefix}decoder.conv_in.weight"].shape[1] == 4:
        sd.update(asd)
    for old in ("cond_stage_model.transformer.", "conditioner.embedders.0.transformer.", ""):
        if old + CLIP_L in asd and asd[old + CLIP_L].shape[0] == WIDTH:
            for name, tensor in asd.items():
                sd[guess.text_encoder_key_prefix + name.removeprefix(old)] = tensor
    return sd


def split_state_dict(sd: str, additional_state_dicts: list[str] | None = None) -> tuple[dict[str, Weights], Guess]:
    tensors: Weights = load_torch_file(sd)
    guess = guess_model(tensors)
    if isinstance(additional_state_dicts, list):
        for path in additional_state_dicts:
            tensors = replace_state_dict(tensors, load_torch_file(path), guess)
    parts = {
        "unet": {"marker": tensors.pop("marker")},
        "vae": try_filter_state_dict(tensors, guess.vae_key_prefix),
        "text_encoder": try_filter_state_dict(tensors, [guess.text_encoder_key_prefix]),
    }
    print(f"StateDict Keys: { {name: len(part) for name, part in {**parts, 'ignore': tensors}.items()} }")
    return parts, guess


def _component(component_name: str, state_dict: Weights) -> torch.nn.Module:
    if component_name == "unet":
        return Marked(state_dict["marker"])
    if component_name == "text_encoder":
        return TextEncoder(state_dict.get(CLIP_L, torch.zeros(WIDTH)))
    assert isinstance(state_dict, dict) and len(state_dict) > 16, "You do not have VAE state dict!"
    model = IntegratedAutoencoderKL()
    if "decoder.up_blocks.0.resnets.0.norm1.weight" in state_dict:
        state_dict = convert_vae_state_dict(state_dict)
    load_state_dict(model, state_dict, ignore_start="loss.")
    return model


@torch.inference_mode()
def forge_loader(sd: str, additional_state_dicts: list[str] | None = None) -> StableDiffusion:
    """Under inference_mode, so that every parameter is an inference tensor."""
    try:
        state_dicts, estimated_config = split_state_dict(sd, additional_state_dicts=additional_state_dicts)
    except BaseException:
        raise ValueError("Failed to recognize model type!")  # noqa: B904  # as in Forge
    components = {name: _component(name, part) for name, part in state_dicts.items()}
    engine = StableDiffusionXL if estimated_config.sdxl else StableDiffusion
    return engine(estimated_config=estimated_config, huggingface_components=components)


_NAMES = [
    ("nin_shortcut", "conv_shortcut"),
    ("norm_out", "conv_norm_out"),
    ("mid.attn_1.", "mid_block.attentions.0."),
    *((f"encoder.down.{i}.block.{j}.", f"encoder.down_blocks.{i}.resnets.{j}.") for i in range(4) for j in range(2)),
    *((f"down.{i}.downsample.", f"down_blocks.{i}.downsamplers.0.") for i in range(3)),
    *((f"up.{3 - i}.upsample.", f"up_blocks.{i}.upsamplers.0.") for i in range(3)),
    *((f"decoder.up.{3 - i}.block.{j}.", f"decoder.up_blocks.{i}.resnets.{j}.") for i in range(4) for j in range(3)),
    *((f"mid.block_{i + 1}.", f"mid_block.resnets.{i}.") for i in range(2)),
]
_NAMES_OF_ATTENTION = [
    ("norm.", "group_norm."),
    ("q.", "to_q."),
    ("k.", "to_k."),
    ("v.", "to_v."),
    ("proj_out.", "to_out.0."),
]


def convert_vae_state_dict(vae_state_dict: dict[str, Any]) -> dict[str, Any]:
    """From diffusers' names to ldm's: huggingface_guess's, for networks of this depth."""
    converted = {}
    for name, tensor in vae_state_dict.items():
        new = name
        for ldm, diffusers in _NAMES + (_NAMES_OF_ATTENTION if "attentions" in name else []):
            new = new.replace(diffusers, ldm)
        linear = ".mid.attn_1." in new and new.endswith(".weight") and not new.endswith("norm.weight")
        converted[new] = tensor.reshape(*tensor.shape, 1, 1) if linear else tensor
    return converted
