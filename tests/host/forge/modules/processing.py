"""Imitates Forge's modules/processing.py: a generation loads the model that was chosen, and may find none.

What is wrong there and here: an override reloads the whole model, there and for the next picture back; one on an option
that config.json lacks sticks; and the infotext names the modules of the options, whatever has decoded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from backend import memory_management
from modules import scripts, sd_models, shared
from modules.sd_models import forge_model_reload
from modules.sd_samplers_common import decode_first_stage
from modules.sysinfo import set_config
from modules_forge import main_entry
from modules_forge.utils import apply_circular_forge
from PIL import Image

from tests.host.layers import underneath

webui = underneath(globals())

StableDiffusionProcessing: Any = webui.StableDiffusionProcessing
need_global_unload = False


def clear_prompt_cache(self: Any) -> None:
    """Here conditions are worked out for every picture."""


StableDiffusionProcessing.clear_prompt_cache = clear_prompt_cache


@dataclass(repr=False)
class StableDiffusionProcessingTxt2Img(webui.StableDiffusionProcessingTxt2Img):  # type: ignore[misc]
    """The second pass may have modules of its own. Without any word of them, as in a request, hires fix fails."""

    hr_additional_modules: Any = field(default=None)

    def init(self, all_prompts: list[str], all_seeds: list[int], all_subseeds: list[int]) -> None:
        if self.enable_hr and isinstance(self.hr_additional_modules, list):
            told = self.hr_additional_modules or ["Built-in"]
            if "Use same choices" in told:
                told = ["Use same choices"]
            for number, module in enumerate(told, 1):
                self.extra_generation_params[f"Hires Module {number}"] = Path(module).stem
        super().init(all_prompts, all_seeds, all_subseeds)

    def load_model_of_hr_pass(self) -> None:
        checkpoint, modules = shared.opts.sd_model_checkpoint, shared.opts.forge_additional_modules
        reload = False
        if "Use same choices" not in self.hr_additional_modules:
            reload = main_entry.modules_change(self.hr_additional_modules, save=False, refresh=False)
        if self.hr_checkpoint_name and self.hr_checkpoint_name != "Use same checkpoint":
            reload |= main_entry.checkpoint_change(self.hr_checkpoint_name, save=False, refresh=False)
        if reload:
            try:
                main_entry.refresh_model_loading_parameters()
                sd_models.forge_model_reload()
            finally:
                main_entry.modules_change(modules, save=False, refresh=False)
                main_entry.checkpoint_change(checkpoint, save=False, refresh=False)
                main_entry.refresh_model_loading_parameters()


def decode_latent_batch(
    model: Any, batch: torch.Tensor, target_device: torch.device | None = None, check_for_nans: bool = False
) -> Any:
    """The whole batch at once."""
    return webui.DecodedSamples(decode_first_stage(model, batch).to(target_device))


def infotext_fields(p: Any, seed: int) -> dict[str, Any]:
    fields: dict[str, Any] = webui.infotext_fields(p, seed)
    if shared.opts.forge_unet_storage_dtype != "Automatic":
        fields["Diffusion in Low Bits"] = shared.opts.forge_unet_storage_dtype
    modules = shared.opts.forge_additional_modules
    if isinstance(modules, list):
        fields |= {f"Module {number}": Path(path).stem for number, path in enumerate(modules, 1)}
    return fields


def manage_model_and_prompt_cache(p: Any) -> None:
    global need_global_unload  # as in Forge

    p.sd_model, just_reloaded = forge_model_reload()
    if need_global_unload and not just_reloaded:
        memory_management.unload_all_models()
    if need_global_unload:
        p.clear_prompt_cache()
    need_global_unload = False


def process_images(p: Any) -> Any:
    """With its override_settings, which are taken back afterwards, and the model of both."""
    opts = shared.opts
    if p.scripts is not None:
        p.scripts.before_process(p)
    stored = {key: opts.data[key] for key in p.override_settings if key in opts.data}
    try:
        if p.override_settings.get("sd_model_checkpoint") not in sd_models.checkpoint_aliases:
            p.override_settings.pop("sd_model_checkpoint", None)
        set_config(p.override_settings, is_api=True, run_callbacks=False, save_config=False)
        manage_model_and_prompt_cache(p)
        return process_images_inner(p)
    finally:
        if p.override_settings_restore_afterwards:
            set_config(stored, save_config=False)


def process_images_inner(p: Any) -> Any:
    if p.tiling is None:
        p.tiling = shared.opts.tiling
    apply_circular_forge(p.sd_model, p.tiling)
    p.sd_model.comments = []
    p.sd_model.extra_generation_params = {}
    return webui.process_images_inner(p)


def _all_batches(p: Any) -> tuple[list[Image.Image], list[str]]:
    """Scripts' `process` and `postprocess` are outside of it, all others within."""
    with torch.inference_mode():
        made: tuple[list[Image.Image], list[str]] = webui._all_batches(p)
    return made


def _prepare_model(p: Any) -> None:
    sd_models.forge_model_reload()
    p.sd_model.forge_objects = p.sd_model.forge_objects_original.shallow_copy()
    p.sd_model.forge_objects = p.sd_model.forge_objects_after_applying_lora.shallow_copy()


def _image_args(p: Any, image: Image.Image, place: int) -> scripts.PostprocessImageArgs:
    return scripts.PostprocessImageArgs(image, place + p.iteration * p.batch_size)
