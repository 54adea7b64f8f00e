"""Imitates modules/shared.py: one module for what everybody shares. `sd_model` loads a checkpoint when it is read."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from modules import options, shared_cmd_options, shared_items, util
from modules.paths_internal import (  # noqa: F401
    data_path,
    default_sd_model_file,
    extensions_builtin_dir,
    extensions_dir,
    models_path,
    script_path,
    sd_model_file,
)

if TYPE_CHECKING:
    import gradio as gr
    import torch

    from modules import shared_state

cmd_opts = shared_cmd_options.cmd_opts
parser = shared_cmd_options.parser

parallel_processing_allowed = True
config_filename: str = cmd_opts.ui_settings_file
hide_dirs = {"visible": not cmd_opts.hide_ui_dir_config}

demo: gr.Blocks | None = None
device: torch.device | None = None
weight_load_location: str | None = None
state: shared_state.State | None = None
options_templates: dict[str, options.OptionInfo] | None = None
opts: options.Options | None = None
restricted_opts: set[str] | None = None
settings_components: dict[str, Any] | None = None
"""Option name -> its component in the Settings tab or the quick settings; set while the page is built."""

tab_names: list[str] = []

latent_upscale_default_mode = "Latent"
latent_upscale_modes = {
    "Latent": {"mode": "bilinear", "antialias": False},
    "Latent (bicubic)": {"mode": "bicubic", "antialias": False},
    "Latent (nearest)": {"mode": "nearest", "antialias": False},
}
"""Those of the WebUI that need no antialiasing."""

sd_upscalers: list[Any] = []
"""Upscalers of pictures, filled at the start."""

options_section = options.options_section
OptionInfo = options.OptionInfo
OptionHTML = options.OptionHTML
natural_sort_key = util.natural_sort_key
list_checkpoint_tiles = shared_items.list_checkpoint_tiles
refresh_checkpoints = shared_items.refresh_checkpoints


class Shared(ModuleType):
    """This module's own class."""

    @property
    def sd_model(self) -> Any:
        from modules import sd_models

        return sd_models.model_data.get_sd_model()

    @sd_model.setter
    def sd_model(self, value: Any) -> None:
        from modules import sd_models

        sd_models.model_data.set_sd_model(value)


sys.modules[__name__].__class__ = Shared
