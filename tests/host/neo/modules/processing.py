"""Imitates Neo's modules/processing.py: an override of `sd_vae` is a path, which is loaded into the live VAE.

What is wrong there and here: any other word than "None" is read as a file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from modules import sd_models, sd_vae, shared
from modules.sysinfo import set_config
from modules_forge import main_entry

from tests.host.layers import underneath

forge = underneath(globals())

StableDiffusionProcessingTxt2Img: Any = forge.StableDiffusionProcessingTxt2Img
_overridden_modules: list[str] | None = None


def _load_model_of_hr_pass(self: Any) -> None:
    checkpoint, modules = shared.opts.sd_model_checkpoint, shared.opts.forge_additional_modules
    reload = False
    if "Use same choices" not in self.hr_additional_modules:
        reload = main_entry.modules_change(self.hr_additional_modules, preset=None, save=False, refresh=False)
    if self.hr_checkpoint_name and self.hr_checkpoint_name != "Use same checkpoint":
        reload |= main_entry.checkpoint_change(self.hr_checkpoint_name, preset=None, save=False, refresh=False)
    if reload:
        try:
            main_entry.refresh_model_loading_parameters()
            sd_models.forge_model_reload()
        finally:
            main_entry.modules_change(modules, preset=None, save=False, refresh=False)
            main_entry.checkpoint_change(checkpoint, preset=None, save=False, refresh=False)
            main_entry.refresh_model_loading_parameters()


StableDiffusionProcessingTxt2Img.load_model_of_hr_pass = _load_model_of_hr_pass


def infotext_fields(p: Any, seed: int) -> dict[str, Any]:
    fields: dict[str, Any] = forge.webui.infotext_fields(p, seed)
    for name in ("VAE", "VAE hash"):  # Neo names modules alone
        fields.pop(name, None)
    modules = _overridden_modules or shared.opts.forge_additional_modules
    return fields | {f"Module {number}": Path(path).stem for number, path in enumerate(modules, 1)}


def process_images(p: Any) -> Any:
    global _overridden_modules  # as in Neo

    opts = shared.opts
    if p.scripts is not None:
        p.scripts.before_process(p)
    stored = {key: opts.data.get(key, opts.get_default(key)) for key in p.override_settings if key in opts.data}
    override = None
    try:
        if p.override_settings.get("sd_model_checkpoint") not in sd_models.checkpoint_aliases:
            p.override_settings.pop("sd_model_checkpoint", None)
        override = wanted = p.override_settings.pop("sd_vae", None)
        set_config(p.override_settings, is_api=True, run_callbacks=False, save_config=False)
        forge.manage_model_and_prompt_cache(p)
        if wanted is not None:
            _overridden_modules = list(opts.forge_additional_modules)
            for place, path in enumerate(_overridden_modules):
                if os.path.basename(path) in sd_vae.vae_dict:  # noqa: PTH119
                    if path == wanted:
                        wanted = None
                    else:
                        del _overridden_modules[place]
                    break
            if sd_vae.reload_vae_weights(wanted):
                _overridden_modules.append(wanted)
        return process_images_inner(p)  # noqa: F821 - Forge's
    finally:
        if p.override_settings_restore_afterwards:
            set_config(stored, save_config=False)
        if override is not None:
            sd_vae.restore_vae_weights()
            _overridden_modules = None
