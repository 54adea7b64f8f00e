"""Imitates modules/ui_extra_networks_user_metadata.py: the hidden form in which a card is edited."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import gradio as gr


class UserMetadataEditor:
    """One for each kind of card and tab."""

    def __init__(self, ui: Any, tabname: str, page: Any) -> None:
        self.ui = ui
        self.tabname = tabname
        self.page = page
        self.id_part = f"{tabname}_{page.extra_networks_tabname}_edit_user_metadata"
        self.box: Any = None
        self.edit_name_input: Any = None
        self.button_edit: Any = None
        self.button_save: Any = None
        self.edit_name: Any = None
        self.edit_description: Any = None
        self.edit_notes: Any = None

    def get_user_metadata(self, name: str) -> dict[str, Any]:
        """What the page knows of the card, which is what is written back; a file changed meanwhile is not read."""
        item = self.page.items.get(name, {})
        if not item.get("user_metadata"):
            item["user_metadata"] = {"description": item.get("description", "")}
        metadata: dict[str, Any] = item["user_metadata"]
        return metadata

    def create_default_editor_elems(self) -> None:
        self.edit_name = gr.HTML(elem_classes="extra-network-name")
        self.edit_description = gr.Textbox(label="Description", lines=4)

    def create_default_buttons(self) -> None:
        self.button_save = gr.Button("Save", variant="primary")

    def put_values_into_components(self, name: str) -> tuple[str, str, str]:
        metadata = self.get_user_metadata(name)
        return html.escape(name), metadata.get("description", ""), metadata.get("notes", "")

    def write_user_metadata(self, name: str, metadata: dict[str, Any]) -> None:
        """Into the JSON file beside the checkpoint. A name that the page does not know is a TypeError."""
        filename = self.page.items.get(name, {}).get("filename", None)
        card = Path(filename).with_suffix(".json")
        card.write_text(json.dumps(metadata, indent=4, ensure_ascii=False), encoding="utf-8")
        self.page.lister.update_file_entry(str(card))

    def save_user_metadata(self, name: str, desc: str, notes: str) -> None:
        metadata = self.get_user_metadata(name)
        metadata["description"] = desc
        metadata["notes"] = notes
        self.write_user_metadata(name, metadata)

    def setup_save_handler(self, button: Any, func: Any, components: list[Any]) -> None:
        button.click(fn=func, inputs=[self.edit_name_input, *components], outputs=[])

    def create_editor(self) -> None:
        raise NotImplementedError("the stand-in edits cards of checkpoints only")

    def create_ui(self) -> None:
        with gr.Group(visible=False, elem_id=self.id_part, elem_classes="edit-user-metadata") as self.box:
            self.edit_name_input = gr.Textbox(
                "Edit user metadata card id", visible=False, elem_id=f"{self.id_part}_name"
            )
            self.button_edit = gr.Button("Edit user metadata", visible=False, elem_id=f"{self.id_part}_button")
            self.create_editor()
