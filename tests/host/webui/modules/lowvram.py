"""Imitates modules/lowvram.py on the CPU: flags and hooks on the VAE are there, the memory is one and the same."""

from __future__ import annotations

from typing import Any

import torch

from modules import devices, shared

module_in_gpu: torch.nn.Module | None = None
cpu = torch.device("cpu")


def send_everything_to_cpu() -> None:
    global module_in_gpu  # as in the WebUI

    if module_in_gpu is not None:
        module_in_gpu.to(cpu)
    module_in_gpu = None


def is_needed(sd_model: Any) -> bool:
    flags = shared.cmd_opts
    return bool(flags.lowvram or flags.medvram or (flags.medvram_sdxl and hasattr(sd_model, "conditioner")))


def apply(sd_model: Any) -> None:
    enable = is_needed(sd_model)
    shared.parallel_processing_allowed = not enable
    if enable:
        setup_for_low_vram(sd_model, not shared.cmd_opts.lowvram)
    else:
        sd_model.lowvram = False


def setup_for_low_vram(sd_model: Any, use_medvram: bool) -> None:
    """`encode` and `decode` of the VAE become attributes of the object that bring it to the device first."""
    if sd_model.lowvram:
        return
    sd_model.lowvram = True
    vae = sd_model.first_stage_model
    encode, decode = vae.encode, vae.decode

    def bring(module: torch.nn.Module) -> None:
        global module_in_gpu  # as in the WebUI

        if module_in_gpu is module:
            return
        send_everything_to_cpu()
        module_in_gpu = module.to(devices.device)

    def first_stage_model_encode_wrap(x: torch.Tensor) -> Any:
        bring(vae)
        return encode(x)

    def first_stage_model_decode_wrap(z: torch.Tensor) -> torch.Tensor:
        bring(vae)
        decoded: torch.Tensor = decode(z)
        return decoded

    vae.encode, vae.decode = first_stage_model_encode_wrap, first_stage_model_decode_wrap


def is_enabled(sd_model: Any) -> bool:
    enabled: bool = sd_model.lowvram
    return enabled
