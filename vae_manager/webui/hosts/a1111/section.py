"""The section "VAE Manager" of the WebUI's settings."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules import shared
from modules.options import OptionHTML, OptionInfo, options_section

from ....sentences import say
from ...ui.accordion import settings_region
from ...words import Words
from ..acts import Act
from . import options
from .adapter import A1111

CATEGORY = "sd"
"""Where the section stands among the settings; WebUI 1.6 knows no categories and ignore it."""


def register(host: A1111, words: Words) -> None:
    """Add the section's options; the WebUI builds its components from them."""
    section: dict[str, OptionInfo] = {
        "vae_manager_offers": OptionHTML(settings_region()),
        options.ENDPOINT: _endpoint(host, words),
        options.DOWNLOAD_FOLDER: _download_folder(host, words),
    }
    for name, info in options_section(options.SECTION, section).items():
        info.category_id = CATEGORY
        shared.opts.add_option(name, info)


def _endpoint(host: A1111, words: Words) -> OptionInfo:
    label = words(say("Hub endpoint or mirror"))
    hint = words(
        say(
            "empty: the Hugging Face hub, or HF_ENDPOINT where it is set; files are checked against the published "
            "SHA-256 either way"
        )
    )
    shown = {"max_lines": 1, "visible": host.refusal(Act.CHANGE_SOURCES) is None}
    return OptionInfo("", label, gr.Textbox, shown).info(hint)


def _download_folder(host: A1111, words: Words) -> OptionInfo:
    label = words(say("Downloads go to"))
    hint = words(say("Automatic: --vae-dir where the WebUI was started with it, else models/VAE"))

    def shown() -> dict[str, Any]:
        folders = [str(folder.path) for folder in host.folders() if folder.purpose == "vae"]
        closed = shared.cmd_opts.hide_ui_dir_config or host.refusal(Act.CHANGE_SOURCES) is not None
        return {"choices": [options.AUTOMATIC_FOLDER, *folders], "visible": not closed}

    return OptionInfo(options.AUTOMATIC_FOLDER, label, gr.Dropdown, shown).info(hint)
