"""Imitates a Neo newer than 2.26: its row shows paths below the folders unless an option says otherwise."""

from __future__ import annotations

from typing import Any

from modules.options import OptionInfo, options_section

from tests.host.layers import underneath

neo = underneath(globals())

options_templates: dict[str, Any] = neo.options_templates
options_templates.update(
    options_section(
        ("ui", "User interface", "ui"),
        {"sd_modules_dropdown_use_short": OptionInfo(False, "Modules dropdown: use filenames without paths")},
    )
)
