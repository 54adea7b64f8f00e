"""Imitates modules/ui_common.py: the panel with the pictures, and the button that refreshes a dropdown."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Callable
from typing import Any

import gradio as gr

from modules import shared
from modules.ui_components import ToolButton

refresh_symbol = "\U0001f504"


def plaintext_to_html(text: str, classname: str | None = None) -> str:
    lines = "<br>\n".join(html.escape(line) for line in text.split("\n"))
    return f"<p class='{classname}'>{lines}</p>" if classname else f"<p>{lines}</p>"


@dataclasses.dataclass
class OutputPanel:
    gallery: Any = None
    generation_info: Any = None
    infotext: Any = None
    html_log: Any = None


def create_output_panel(tabname: str, outdir: str, toprow: Any = None) -> OutputPanel:
    with gr.Column(elem_id=f"{tabname}_results"), gr.Column(variant="panel", elem_id=f"{tabname}_results_panel"):
        with gr.Group(elem_id=f"{tabname}_gallery_container"):
            gallery = gr.Gallery(
                label="Output",
                show_label=False,
                elem_id=f"{tabname}_gallery",
                columns=4,
                preview=True,
                height=shared.opts.gallery_height or None,
            )
        with gr.Row(elem_id=f"image_buttons_{tabname}", elem_classes="image-buttons"):
            ToolButton(value="\U0001f4c2", elem_id=f"{tabname}_open_folder")
        with gr.Group():
            infotext = gr.HTML(elem_id=f"html_info_{tabname}", elem_classes="infotext")
            html_log = gr.HTML(elem_id=f"html_log_{tabname}", elem_classes="html-log")
            generation_info = gr.Textbox(visible=False, elem_id=f"generation_info_{tabname}")
    return OutputPanel(gallery, generation_info, infotext, html_log)


def create_refresh_button(
    refresh_component: Any, refresh_method: Callable[[], Any], refreshed_args: Any, elem_id: str
) -> ToolButton:
    """Calls the method and gives the component, or each of several, its new keywords."""
    components = refresh_component if isinstance(refresh_component, list) else [refresh_component]

    def refresh() -> Any:
        refresh_method()
        args = refreshed_args() if callable(refreshed_args) else refreshed_args
        for component in components:
            for key, value in args.items():
                setattr(component, key, value)
        updates = [gr.update(**args) for _ in components]
        return updates if len(updates) > 1 else updates[0]

    label = next((component.label for component in components if component.label), None)
    tooltip = f"{label}: refresh" if label else "Refresh"
    button = ToolButton(value=refresh_symbol, elem_id=elem_id, tooltip=tooltip)
    button.click(fn=refresh, inputs=[], outputs=components)
    return button
