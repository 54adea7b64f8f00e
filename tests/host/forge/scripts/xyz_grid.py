"""Imitates Forge's scripts/xyz_grid.py: one axis more. The one for VAEs sets an option that nobody reads."""

from __future__ import annotations

from typing import Any

from modules import sd_models, shared

from tests.host.layers import underneath

webui = underneath(globals())

_place = webui.LABELS.index(("CFG Scale", "both")) + 1
LABELS = (*webui.LABELS[:_place], ("Distilled CFG Scale", "both"), *webui.LABELS[_place:])


def apply_checkpoint(p: Any, x: str, xs: Any) -> None:
    """The model is chosen at once; the override is for what is said of it."""
    info = sd_models.get_closet_checkpoint_match(x)
    if info is None:
        raise RuntimeError(f"Unknown checkpoint: {x}")
    if info.name == p.override_settings.get("sd_model_checkpoint"):
        return
    before = shared.opts.sd_model_checkpoint
    p.override_settings["sd_model_checkpoint"] = info.name
    shared.opts.set("sd_model_checkpoint", info.name)
    sd_models.model_data.forge_loading_parameters = {
        "checkpoint_info": sd_models.select_checkpoint(),
        "additional_modules": shared.opts.forge_additional_modules,
        "unet_storage_dtype": sd_models.model_data.forge_loading_parameters.get("unet_storage_dtype"),
    }
    shared.opts.set("sd_model_checkpoint", before)


webui.APPLIED["Checkpoint name"] = webui.APPLIED["Checkpoint name"]._replace(apply=apply_checkpoint)
