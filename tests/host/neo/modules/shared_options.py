"""Imitates Neo's modules/shared_options.py: what each preset remembers, and `sd_vae` as a dropdown of one line."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules import ui_components
from modules.options import OptionInfo, options_section
from modules_forge import presets

from tests.host.layers import underneath

forge = underneath(globals())

options_templates: dict[str, Any] = forge.options_templates
for _name in ("quick_setting_list", "sd_vae_overrides_per_model_preferences", "sd_checkpoints_limit"):
    del options_templates[_name]
options_templates.update(
    options_section(
        ("vae", "VAE", "sd"),
        {"sd_vae": OptionInfo("Automatic", "SD VAE", gr.Dropdown, {"choices": ["Automatic"], "interactive": False})},
    )
)
options_templates.update(
    options_section(
        ("ui", "User interface", "ui"),
        {
            "quicksettings_list": OptionInfo(
                [], "Quicksettings list", ui_components.DropdownMulti, forge.webui._option_names
            ).needs_reload_ui()
        },
    )
)
presets.register(options_templates, options_section, OptionInfo)
