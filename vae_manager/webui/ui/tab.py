"""The tab "VAE": the library."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ...errors import VaeManagerError
from . import markup
from .gradio_compat import keep_out_of_ui_config, on_click
from .messages import perform
from .page import LIBRARY, Page
from .regions import region

NAME = f"vae_manager_{LIBRARY}"


def build(page: Page) -> Any:
    """The tab's own page: regions that the browser fills once the tab is seen, and one way for messages."""
    words = page.words
    with (
        gr.Blocks(analytics_enabled=False) as blocks,
        gr.Column(elem_id=f"{NAME}_page", elem_classes=["vae-manager", "vm-tab"]),
    ):
        answer = gr.HTML("", elem_id=f"{NAME}_answer", elem_classes=["vm-answer"])
        shelf = gr.HTML(
            f'<div class="vm-shelf"><section class="vm-left">{region("library-bar", live=True)}'
            f'{markup.library_frame(words)}{region("library-forms")}</section>'
            f'<section class="vm-right">{region("file")}</section></div>',
            elem_id=f"{NAME}_shelf",
        )
        message = gr.Textbox("", visible=False)
        act = gr.Button(visible=True, elem_id=f"{NAME}_act", elem_classes=["vm-hidden"])

    def acted(text: str) -> str:
        try:
            perform(page.host, page.service, text)
        except VaeManagerError as error:
            return markup.answer(error.sentence, page.words)
        return ""

    with blocks:
        on_click(act, acted, [message], [answer], js="vaeManager.takeMessage")
    keep_out_of_ui_config(answer, shelf, message, act)
    return blocks
