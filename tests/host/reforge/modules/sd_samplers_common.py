"""As modules/sd_samplers_common.py of reForge: nothing is converted on its way to the VAE, whose wrapper does that."""

from __future__ import annotations

from typing import Any

import torch

from tests.host.layers import underneath

a1111 = underneath(globals())


def samples_to_images_tensor(sample: torch.Tensor, approximation: int | None = None, model: Any = None) -> torch.Tensor:
    """A full preview is a rough one (sd_samplers_common.py:58)."""
    if approximation is None or (shared.state.interrupted and shared.opts.live_preview_fast_interrupt):  # noqa: F821
        approximation = approximation_indexes.get(shared.opts.show_progress_type, 0) or 1  # noqa: F821
    if approximation != 0:
        rough = torch.nn.functional.interpolate(sample[:, :3], scale_factor=8, mode="nearest")
        return torch.tanh(rough)
    decoded: torch.Tensor = (model or shared.sd_model).decode_first_stage(sample)  # noqa: F821
    return decoded


def decode_first_stage(model: Any, x: torch.Tensor) -> torch.Tensor:
    way = approximation_indexes.get(shared.opts.sd_vae_decode_method, 0)  # noqa: F821
    return samples_to_images_tensor(x, way, model)


def images_tensor_to_samples(image: torch.Tensor, approximation: int | None = None, model: Any = None) -> torch.Tensor:
    if (approximation or shared.opts.sd_vae_encode_method) in (3, "TAESD"):  # noqa: F821
        raise NotImplementedError("the stand-in encodes with the VAE only")
    model = model or shared.sd_model  # noqa: F821
    pixels = image.to(shared.device, dtype=devices.dtype_vae) * 2 - 1  # noqa: F821
    return torch.cat([model.get_first_stage_encoding(model.encode_first_stage(one)) for one in pixels.split(1)])


def apply_refiner(cfg_denoiser: Any, x: torch.Tensor, sigma: torch.Tensor | None = None) -> bool:
    """The stand-in's sampler gives the sigma alone, in the place of `x`, at which nobody looks."""
    return bool(a1111.apply_refiner(cfg_denoiser, x if sigma is None else sigma))
