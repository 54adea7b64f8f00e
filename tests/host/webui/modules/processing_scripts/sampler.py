"""Imitates modules/processing_scripts/sampler.py: the steps, which are a script of the WebUI itself."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules import scripts
from modules.infotext_utils import PasteField
from modules.ui_components import FormRow


class ScriptSampler(scripts.ScriptBuiltinUI):
    section = "sampler"

    def __init__(self) -> None:
        self.steps: Any = None
        self.sampler_name: Any = None
        self.scheduler: Any = None

    def title(self) -> str:
        return "Sampler"

    def ui(self, is_img2img: bool) -> Any:
        with FormRow(elem_id=f"sampler_selection_{self.tabname}"):
            self.sampler_name = gr.Dropdown(
                label="Sampling method", elem_id=f"{self.tabname}_sampling", choices=["Euler"], value="Euler"
            )
            self.scheduler = gr.Dropdown(
                label="Schedule type", elem_id=f"{self.tabname}_scheduler", choices=["Automatic"], value="Automatic"
            )
            self.steps = gr.Slider(
                minimum=1, maximum=150, step=1, elem_id=f"{self.tabname}_steps", label="Sampling steps", value=20
            )
        self.infotext_fields = [PasteField(self.steps, "Steps", api="steps")]
        return self.steps, self.sampler_name, self.scheduler

    def setup(self, p: Any, steps: int, sampler_name: str, scheduler: str) -> None:
        p.steps = steps
        p.sampler_name = sampler_name
        p.scheduler = scheduler
