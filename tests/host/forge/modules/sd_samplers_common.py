"""Imitates Forge's modules/sd_samplers_common.py: the model decodes as it is given, and a refiner is a reload."""

from __future__ import annotations

from typing import Any

import torch
from modules import devices, sd_models, shared
from modules_forge import main_entry

from tests.host.layers import underneath

webui = underneath(globals())

approximation_indexes: dict[str, int] = webui.approximation_indexes


def samples_to_images_tensor(sample: torch.Tensor, approximation: int | None = None, model: Any = None) -> torch.Tensor:
    """Pictures in -1 … 1. A preview is never made by the VAE."""
    opts = shared.opts
    if approximation is None or (shared.state.interrupted and opts.live_preview_fast_interrupt):
        approximation = approximation_indexes.get(opts.show_progress_type, 0) or 1
    if approximation != 0:
        rough = torch.nn.functional.interpolate(sample[:, :3], scale_factor=8, mode="nearest")
        return torch.tanh(rough)
    model = shared.sd_model if model is None else model
    decoded: torch.Tensor = model.decode_first_stage(sample)
    return decoded


def decode_first_stage(model: Any, x: torch.Tensor) -> torch.Tensor:
    return samples_to_images_tensor(x, approximation_indexes.get(shared.opts.sd_vae_decode_method, 0), model)


def images_tensor_to_samples(image: torch.Tensor, approximation: int | None = None, model: Any = None) -> torch.Tensor:
    """Pictures in 0 … 1 to latents."""
    if approximation is None:
        approximation = approximation_indexes.get(shared.opts.sd_vae_encode_method, 0)
    if approximation == approximation_indexes["TAESD"]:
        raise NotImplementedError("the stand-in encodes with the VAE only")
    model = shared.sd_model if model is None else model
    pixels = image.to(shared.device, dtype=devices.dtype_vae) * 2 - 1
    return torch.cat([model.get_first_stage_encoding(model.encode_first_stage(one)) for one in pixels.split(1)])


def apply_refiner(cfg_denoiser: Any, x: torch.Tensor) -> bool:
    """True if the sampler has to go on with the refiner; the choice of modules holds for it too."""
    opts, p = shared.opts, cfg_denoiser.p
    refiner = p.refiner_checkpoint_info
    if p.refiner_switch_at is not None and cfg_denoiser.step / cfg_denoiser.total_steps < p.refiner_switch_at:
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
    load_refiner(refiner)
    p.setup_conds()
    cfg_denoiser.update_inner_model()
    return True


def load_refiner(refiner: Any) -> None:
    before = shared.opts.sd_model_checkpoint
    with sd_models.SkipWritingToConfig():
        if main_entry.checkpoint_change(refiner.short_title, save=False, refresh=False):
            try:
                main_entry.refresh_model_loading_parameters()
                sd_models.forge_model_reload()
            finally:
                main_entry.checkpoint_change(before, save=False, refresh=True)
