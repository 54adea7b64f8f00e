"""Imitates modules/sd_samplers_common.py: between latents and pictures, through the model's VAE."""

from __future__ import annotations

from typing import Any

import torch

from modules import devices, shared

approximation_indexes = {"Full": 0, "Approx NN": 1, "Approx cheap": 2, "TAESD": 3}


def samples_to_images_tensor(sample: torch.Tensor, approximation: int | None = None, model: Any = None) -> torch.Tensor:
    """Pictures in -1 … 1. Three latent channels, enlarged, stand for TAESD and the approximations."""
    if approximation is None:
        approximation = approximation_indexes[shared.opts.show_progress_type]
    if approximation != 0:
        rough = torch.nn.functional.interpolate(sample[:, :3], scale_factor=8, mode="nearest")
        return torch.tanh(rough)
    model = model or shared.sd_model
    with torch.no_grad(), devices.without_autocast():
        decoded: torch.Tensor = model.decode_first_stage(sample.to(model.first_stage_model.dtype))
    return decoded


def decode_first_stage(model: Any, x: torch.Tensor) -> torch.Tensor:
    """By the way that `sd_vae_decode_method` says."""
    way = approximation_indexes.get(shared.opts.sd_vae_decode_method, 0)
    return samples_to_images_tensor(x.to(devices.dtype_vae), way, model)


def images_tensor_to_samples(image: torch.Tensor, approximation: int | None = None, model: Any = None) -> torch.Tensor:
    """Pictures in 0 … 1 to latents; only the full way is imitated."""
    if approximation is None:
        approximation = approximation_indexes[shared.opts.sd_vae_encode_method]
    if approximation != 0:
        raise NotImplementedError("the stand-in encodes with the VAE only")
    model = model or shared.sd_model
    model.first_stage_model.to(devices.dtype_vae)
    pixels = image.to(shared.device, dtype=devices.dtype_vae) * 2 - 1
    latent: torch.Tensor = model.get_first_stage_encoding(model.encode_first_stage(pixels))
    return latent
