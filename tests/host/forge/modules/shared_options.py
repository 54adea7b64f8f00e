"""Imitates Forge's modules/shared_options.py: checkpoint and VAE are not to be set here, other options stand beside."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules import ui_components
from modules.options import OptionInfo, options_section
from modules_forge import shared_options as forge_shared_options

from tests.host.layers import underneath

webui = underneath(globals())

options_templates: dict[str, Any] = webui.options_templates
_sd, _vae = ("sd", "Stable Diffusion", "sd"), ("vae", "VAE", "sd")
_managed = "(Managed by Forge)"
options_templates.update(
    options_section(_sd, {"sd_model_checkpoint": OptionInfo(None, _managed, gr.State, infotext="Model")})
)
options_templates.update(options_section(_vae, {"sd_vae": OptionInfo("Automatic", _managed, gr.State, infotext="VAE")}))
del options_templates["quicksettings_list"]
options_templates.update(
    options_section(
        ("ui", "User interface", "ui"),
        {
            "sd_checkpoint_dropdown_use_short": OptionInfo(False, "Checkpoint dropdown: use filenames without paths"),
            "quick_setting_list": OptionInfo(
                [], "Quicksettings list", ui_components.DropdownMulti, webui._option_names
            ).needs_reload_ui(),
        },
    )
)
forge_shared_options.register(options_templates, options_section, OptionInfo)
