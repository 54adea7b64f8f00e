"""Imitates modules/ui_toprow.py: the prompts, and the buttons that start and stop a generation."""

from __future__ import annotations

import gradio as gr

from modules import shared
from modules.ui_components import ToolButton

paste_symbol = "\u2199\ufe0f"


class Toprow:
    """The upper part of a generation tab."""

    def __init__(self, is_img2img: bool, is_compact: bool = False, id_part: str | None = None) -> None:
        self.id_part = id_part or ("img2img" if is_img2img else "txt2img")
        self.is_img2img = is_img2img
        self.is_compact = is_compact
        with gr.Row(elem_id=f"{self.id_part}_toprow", variant="compact"):
            self.create_prompts()
            with gr.Column(scale=1, elem_id=f"{self.id_part}_actions_column"):
                self.create_submit_box()
                self.create_tools_row()

    def create_prompts(self) -> None:
        with gr.Column(elem_id=f"{self.id_part}_prompt_container", scale=6):
            with gr.Row(elem_id=f"{self.id_part}_prompt_row", elem_classes=["prompt-row"]):
                self.prompt = gr.Textbox(
                    value="",  # gradio 4 would have None
                    label="Prompt",
                    elem_id=f"{self.id_part}_prompt",
                    show_label=False,
                    lines=3,
                    placeholder="Prompt",
                )
            with gr.Row(elem_id=f"{self.id_part}_neg_prompt_row", elem_classes=["prompt-row"]):
                self.negative_prompt = gr.Textbox(
                    value="",
                    label="Negative prompt",
                    elem_id=f"{self.id_part}_neg_prompt",
                    show_label=False,
                    lines=3,
                    placeholder="Negative prompt",
                )

    def create_submit_box(self) -> None:
        with gr.Row(elem_id=f"{self.id_part}_generate_box", elem_classes=["generate-box"]):
            self.interrupt = gr.Button(
                "Interrupt", elem_id=f"{self.id_part}_interrupt", elem_classes="generate-box-interrupt"
            )
            self.skip = gr.Button("Skip", elem_id=f"{self.id_part}_skip", elem_classes="generate-box-skip")
            self.submit = gr.Button("Generate", elem_id=f"{self.id_part}_generate", variant="primary")
        self.skip.click(fn=shared.state.skip)
        self.interrupt.click(fn=shared.state.interrupt)

    def create_tools_row(self) -> None:
        with gr.Row(elem_id=f"{self.id_part}_tools"):
            self.paste = ToolButton(
                value=paste_symbol,
                elem_id="paste",
                tooltip="Read generation parameters from the prompt, or of the last generation if it is empty.",
            )
