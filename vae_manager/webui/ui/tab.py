"""The tab "VAE": the library, the comparison, and the downloads."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from ...sentences import say
from . import markup
from .actions import acting, comparing
from .gradio_compat import keep_out_of_ui_config, on_change, on_message, picture_field
from .markup.picture_viewer import frame
from .page import COMPARISON, DOWNLOADS, LIBRARY, Page
from .regions import answers_home, region

NAME = f"vae_manager_{LIBRARY}"
SECOND = f"vae_manager_{COMPARISON}"
THIRD = f"vae_manager_{DOWNLOADS}"


def build(page: Page) -> Any:
    """The tab's own pages: regions that the browser fills once they are seen, and one way for messages."""
    words = page.words
    with (
        gr.Blocks(analytics_enabled=False) as blocks,
        gr.Column(elem_id=f"{NAME}_page", elem_classes=["vae-manager", "vm-tab"]),
    ):
        home = gr.HTML(answers_home())
        with gr.Tabs(elem_id=f"{NAME}_pages") as pages:
            with gr.TabItem(words(say("Library")), id=LIBRARY):
                shelf = gr.HTML(
                    f'<div class="vm-shelf"><section class="vm-left">{region("library-bar", live=True)}'
                    f"{markup.library_frame(words)}{region('library-forms')}{region('trash')}</section>"
                    f'<section class="vm-right">{region("file")}</section></div>',
                    elem_id=f"{NAME}_shelf",
                )
            with gr.TabItem(words(say("Comparison")), id=COMPARISON, elem_id=f"{SECOND}_page"):
                which = gr.HTML(_which(page) + answers_home())
                with gr.Row(elem_classes=["vm-compare"]):
                    setup = gr.HTML(region("compare-setup"), elem_id=f"{SECOND}_setup")
                    own = picture_field(words(say("Your own image")), f"{SECOND}_own")
                results = gr.HTML(
                    f"{region('compare-kept')}{region('compare-progress', live=True)}{frame(words)}"
                    f"{region('compare-cards')}",
                    elem_id=f"{SECOND}_results",
                )
            with gr.TabItem(words(say("Downloads")), id=DOWNLOADS, elem_id=f"{THIRD}_page"):
                fetched = gr.HTML(
                    f'{answers_home()}<div class="vm-fetch"><section>{region("catalogue")}</section>'
                    f"<section>{region('forms')}{region('downloads')}</section></div>"
                )
        message = gr.Textbox("", visible=False)
        refusal = gr.HTML("", elem_classes=["vm-hidden"])
        act, compare = (
            gr.Button(visible=True, elem_id=f"{NAME}_{name}", elem_classes=["vm-hidden"]) for name in ("act", "compare")
        )

    with blocks:
        on_message(act, acting(page), [message], refusal, LIBRARY)
        on_message(compare, comparing(page), [message, own], refusal, LIBRARY)
        on_change(own, "(picture) => { vaeComparison.pictureCame(picture !== null); }")
    keep_out_of_ui_config(pages, home, refusal, shelf, which, setup, own, results, fetched, message, act, compare)
    return blocks


def _which(page: Page) -> str:
    """Folded by the browser alone, so that it stays as the person left it."""
    summary = escape(page.words(say("Which VAE?")))
    return f'<details class="vm-more vm-which"><summary>{summary}</summary>{region("which")}</details>'
