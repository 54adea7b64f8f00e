"""One sentence in place of the accordion."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr
from modules import scripts

from ....sentences import say

NO_ADAPTER = say(
    "VAE Manager does not know this WebUI yet and does nothing here. "
    "`python -m vae_manager get` fetches VAEs from the command line all the same."
)


class VaeScript(scripts.Script):  # type: ignore[misc]  # the host's class is not typed
    def title(self) -> str:
        return "VAE"

    def show(self, is_img2img: bool) -> Any:
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        with gr.Accordion("VAE", open=False):
            gr.HTML(f"<p>{escape(str(NO_ADAPTER))}</p>")
        return []


def into_webui() -> type[VaeScript]:
    return VaeScript
