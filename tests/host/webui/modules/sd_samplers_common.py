"""Imitates modules/sd_samplers_common.py: between latents and pictures, and the change of models while sampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image

from modules import devices, images, sd_models, shared

approximation_indexes = {"Full": 0, "Approx NN": 1, "Approx cheap": 2, "TAESD": 3}


def setup_img2img_steps(p: Any, steps: int | None = None) -> tuple[int, int]:
    """The whole schedule's steps, and how many of them but one are made."""
    if shared.opts.img2img_fix_steps or steps is not None:
        requested = steps or p.steps
        whole = int(requested / min(p.denoising_strength, 0.999)) if p.denoising_strength > 0 else 0
        return whole, requested - 1
    return p.steps, int(min(p.denoising_strength, 0.999) * p.steps)


def samples_to_images_tensor(sample: torch.Tensor, approximation: int | None = None, model: Any = None) -> torch.Tensor:
    """Pictures in -1 … 1. Three latent channels, enlarged, stand for TAESD and the approximations.

    A NaN anywhere spreads over the whole picture, as it does in TAESD's layers.
    """
    opts = shared.opts
    if approximation is None or (shared.state.interrupted and opts.live_preview_fast_interrupt):
        from modules import lowvram

        approximation = approximation_indexes.get(opts.show_progress_type, 0)
        if approximation == 0 and lowvram.is_enabled(shared.sd_model) and not opts.live_preview_allow_lowvram_full:
            approximation = 1
    if approximation != 0:
        rough = torch.nn.functional.interpolate(sample[:, :3], scale_factor=8, mode="nearest")
        return torch.tanh(rough + 0 * sample.sum())
    model = model or shared.sd_model
    with torch.no_grad(), devices.without_autocast():
        decoded: torch.Tensor = model.decode_first_stage(sample.to(model.first_stage_model.dtype))
    return decoded


def single_sample_to_image(sample: torch.Tensor, approximation: int | None = None) -> Image.Image:
    tensor = samples_to_images_tensor(sample.unsqueeze(0), approximation)[0] * 0.5 + 0.5
    pixels = 255.0 * torch.clamp(tensor, min=0.0, max=1.0).permute(1, 2, 0).float().cpu().numpy()
    return Image.fromarray(pixels.astype(np.uint8))


def decode_first_stage(model: Any, x: torch.Tensor) -> torch.Tensor:
    """By the way that `sd_vae_decode_method` says."""
    way = approximation_indexes.get(shared.opts.sd_vae_decode_method, 0)
    return samples_to_images_tensor(x.to(devices.dtype_vae), way, model)


def sample_to_image(samples: torch.Tensor, index: int = 0, approximation: int | None = None) -> Image.Image:
    return single_sample_to_image(samples[index], approximation)


def samples_to_image_grid(samples: torch.Tensor, approximation: int | None = None) -> Image.Image:
    return images.image_grid([single_sample_to_image(sample, approximation) for sample in samples])


def images_tensor_to_samples(image: torch.Tensor, approximation: int | None = None, model: Any = None) -> torch.Tensor:
    """Pictures in 0 … 1 to latents, one after the other; only the full way is imitated."""
    if approximation is None:
        approximation = approximation_indexes.get(shared.opts.sd_vae_encode_method, 0)
    if approximation == approximation_indexes["TAESD"]:
        raise NotImplementedError("the stand-in encodes with the VAE only")
    model = model or shared.sd_model
    model.first_stage_model.to(devices.dtype_vae)
    pixels = image.to(shared.device, dtype=devices.dtype_vae) * 2 - 1
    return torch.cat([model.get_first_stage_encoding(model.encode_first_stage(one)) for one in pixels.split(1)])


def store_latent(decoded: torch.Tensor) -> None:
    """For the previews, which are made by whoever asks for progress, or at once where that would be too much."""
    state, period = shared.state, shared.opts.show_progress_every_n_steps
    state.current_latent = decoded
    due = shared.opts.live_previews_enable and period > 0 and state.sampling_step % period == 0
    if due and not shared.parallel_processing_allowed:
        state.assign_current_image(sample_to_image(decoded))


def apply_refiner(cfg_denoiser: Any, sigma: torch.Tensor | None = None) -> bool:
    """True if the sampler has to go on with the refiner, which from now on is the loaded model, its VAE included."""
    opts, p = shared.opts, cfg_denoiser.p
    if opts.refiner_switch_by_sample_steps or sigma is None:
        done = cfg_denoiser.step / cfg_denoiser.total_steps
        p.extra_generation_params["Refiner switch by sampling steps"] = True
    else:
        timestep = torch.argmin(torch.abs(cfg_denoiser.inner_model.sigmas - torch.max(sigma)))
        done = float(999 - timestep) / 1000
    refiner = p.refiner_checkpoint_info
    if p.refiner_switch_at is not None and done < p.refiner_switch_at:
        return False
    if refiner is None or shared.sd_model.sd_checkpoint_info == refiner:
        return False
    if getattr(p, "enable_hr", False):
        if opts.hires_fix_refiner_pass == ("first pass" if p.is_hr_pass else "second pass"):
            return False
        if opts.hires_fix_refiner_pass != "second pass":
            p.extra_generation_params["Hires refiner"] = opts.hires_fix_refiner_pass
    p.extra_generation_params["Refiner"] = refiner.short_title
    p.extra_generation_params["Refiner switch at"] = p.refiner_switch_at
    with sd_models.SkipWritingToConfig():
        sd_models.reload_model_weights(info=refiner)
    devices.torch_gc()
    p.setup_conds()
    cfg_denoiser.update_inner_model()
    return True
