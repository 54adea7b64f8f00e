"""Imitates modules/ui_extra_networks_checkpoints_user_metadata.py: a checkpoint's card with its "Preferred VAE".

What is wrong there and here: saving is two events of one click, the file and the swap, in no order; and the swap does
not take the queue lock, so it may happen in the middle of a generation.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from modules import sd_vae, shared, ui_extra_networks_user_metadata
from modules.ui_common import create_refresh_button


def _choices() -> dict[str, list[str]]:
    return {"choices": ["Automatic", "None", *sd_vae.vae_dict]}


class CheckpointUserMetadataEditor(ui_extra_networks_user_metadata.UserMetadataEditor):
    def __init__(self, ui: Any, tabname: str, page: Any) -> None:
        super().__init__(ui, tabname, page)
        self.select_vae: Any = None

    def save_user_metadata(self, name: str, desc: str, notes: str, vae: str) -> None:  # type: ignore[override]
        metadata = self.get_user_metadata(name)
        metadata["description"] = desc
        metadata["notes"] = notes
        metadata["vae"] = vae
        self.write_user_metadata(name, metadata)

    def update_vae(self, name: str) -> None:
        """Makes the loaded model's VAE the one that is resolved now, if it is this checkpoint."""
        if name == shared.sd_model.sd_checkpoint_info.name_for_extra:
            sd_vae.reload_vae_weights()

    def put_values_into_components(self, name: str) -> Any:
        values = super().put_values_into_components(name)
        return [*values, self.get_user_metadata(name).get("vae", "")]

    def create_editor(self) -> None:
        self.create_default_editor_elems()
        with gr.Row():
            self.select_vae = gr.Dropdown(
                **_choices(),
                value="None",
                label="Preferred VAE",
                elem_id="checpoint_edit_user_metadata_preferred_vae",
            )
            refresh = "checpoint_edit_user_metadata_refresh_preferred_vae"
            create_refresh_button(self.select_vae, sd_vae.refresh_vae_list, _choices, refresh)
        self.edit_notes = gr.TextArea(label="Notes", lines=4)
        self.create_default_buttons()
        shown = [self.edit_name, self.edit_description, self.edit_notes, self.select_vae]
        self.button_edit.click(fn=self.put_values_into_components, inputs=[self.edit_name_input], outputs=shown).then(
            fn=lambda: gr.update(visible=True), inputs=[], outputs=[self.box]
        )
        edited = [self.edit_description, self.edit_notes, self.select_vae]
        self.setup_save_handler(self.button_save, self.save_user_metadata, edited)
        self.button_save.click(fn=self.update_vae, inputs=[self.edit_name_input])
