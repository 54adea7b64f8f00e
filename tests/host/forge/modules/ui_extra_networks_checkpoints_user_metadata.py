"""Imitates Forge's modules/ui_extra_networks_checkpoints_user_metadata.py: a card prefers modules."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules import ui_extra_networks_user_metadata
from modules.ui_components import ToolButton
from modules_forge import main_entry


class CheckpointUserMetadataEditor(ui_extra_networks_user_metadata.UserMetadataEditor):
    def __init__(self, ui: Any, tabname: str, page: Any) -> None:
        super().__init__(ui, tabname, page)
        self.select_vae: Any = None
        self.sd_version: Any = "Unknown"

    def save_user_metadata(self, name: str, desc: str, notes: str, vae: list[str], sd_version: str) -> None:  # type: ignore[override]
        metadata = self.get_user_metadata(name)
        metadata["description"] = desc
        metadata["notes"] = notes
        metadata["vae_te"] = vae
        metadata["sd_version_str"] = "SdVersion." + sd_version
        self.write_user_metadata(name, metadata)

    def put_values_into_components(self, name: str) -> Any:
        """An older card's "vae" is one of the modules."""
        metadata = self.get_user_metadata(name)
        vae = metadata.get("vae_te")
        if vae is None:
            vae = [metadata["vae"]] if isinstance(metadata.get("vae"), str) else metadata.get("vae")
        version = metadata.get("sd_version_str", "").replace("SdVersion.", "") or "Unknown"
        return [*super().put_values_into_components(name), vae, version]

    def create_editor(self) -> None:
        if not main_entry.module_list:
            main_entry.refresh_models()

        def choices() -> list[str]:
            return ["Built in", *main_entry.module_list]

        self.create_default_editor_elems()
        self.sd_version = gr.Radio(
            ["SD1", "SD2", "SDXL", "Flux", "Unknown"], value="Unknown", label="Base model", interactive=True
        )
        with gr.Row():
            self.select_vae = gr.Dropdown(
                choices=choices(),
                value=None,
                label="Preferred VAE / Text encoder(s)",
                elem_id="checpoint_edit_user_metadata_preferred_vae",
                multiselect=True,
            )
            refresh = ToolButton("\U0001f504")
            refresh.click(fn=lambda: gr.update(choices=choices()), outputs=self.select_vae, show_progress="hidden")
        self.edit_notes = gr.TextArea(label="Notes", lines=4)
        self.create_default_buttons()
        shown = [self.edit_name, self.edit_description, self.edit_notes, self.select_vae, self.sd_version]
        self.button_edit.click(fn=self.put_values_into_components, inputs=[self.edit_name_input], outputs=shown).then(
            fn=lambda: gr.update(visible=True), inputs=[], outputs=[self.box]
        )
        edited = [self.edit_description, self.edit_notes, self.select_vae, self.sd_version]
        self.setup_save_handler(self.button_save, self.save_user_metadata, edited)
