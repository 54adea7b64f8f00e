"""Imitates modules/processing_scripts/seed.py, without variation seeds."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules import scripts
from modules.infotext_utils import PasteField


class ScriptSeed(scripts.ScriptBuiltinUI):
    section = "seed"
    create_group = False

    def __init__(self) -> None:
        self.seed: Any = None

    def title(self) -> str:
        return "Seed"

    def ui(self, is_img2img: bool) -> Any:
        with gr.Row(elem_id=self.elem_id("seed_row")):
            self.seed = gr.Number(label="Seed", value=-1, elem_id=self.elem_id("seed"), min_width=100, precision=0)
        self.infotext_fields = [PasteField(self.seed, "Seed", api="seed")]
        return (self.seed,)

    def setup(self, p: Any, seed: int) -> None:
        p.seed = seed
