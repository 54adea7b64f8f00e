"""Imitates Forge's modules/ui_settings.py: its own choices come first in the row above the tabs."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules import shared
from modules_forge import main_entry

from tests.host.layers import underneath

webui = underneath(globals())

QUICKSETTINGS = "quick_setting_list"
MANAGED = ("sd_model_checkpoint", "CLIP_stop_at_last_layers", "sd_vae")


def create_setting_component(key: str, is_quicksettings: bool = False) -> Any:
    info = shared.opts.data_labels[key]
    if info.component is gr.State:
        return gr.State(shared.opts.data.get(key, info.default))
    return webui.create_setting_component(key, is_quicksettings)


class UiSettings(webui.UiSettings):  # type: ignore[misc]
    def add_quicksettings(self) -> None:
        order = getattr(shared.opts, QUICKSETTINGS)
        with gr.Row(elem_id="quicksettings", variant="compact"):
            main_entry.make_checkpoint_manager_ui()
            for key in sorted(self.quicksettings_list, key=order.index):
                self.component_dict[key] = create_setting_component(key, is_quicksettings=True)

    def add_functionality(self, demo: gr.Blocks) -> None:
        """And what Forge does at the very end of its page."""
        super().add_functionality(demo)
        main_entry.forge_main_entry()
