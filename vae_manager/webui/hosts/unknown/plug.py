"""Plugs the extension into a WebUI that it does not know; one sentence takes its place if even that cannot be."""

from __future__ import annotations

import functools
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr
from modules import scripts

from ....sentences import say
from ...faults import FAULTS

if TYPE_CHECKING:
    from ..family.plug import Plug

NO_ADAPTER = say(
    "VAE Manager does not know this WebUI yet and does nothing here. "
    "`python -m vae_manager get` fetches VAEs from the command line all the same."
)


def into_webui() -> type[Any]:
    with FAULTS.caught(say("The page on a WebUI that is not known")):
        return _plug().into_webui()
    return _sentence_alone()


@functools.cache
def _plug() -> Plug:
    """One for the process, however often the UI is built."""
    from ..family.plug import Plug
    from .adapter import UnknownWebUI

    return Plug(UnknownWebUI())


def _sentence_alone() -> type[Any]:
    class VaeScript(scripts.Script):  # type: ignore[misc]  # the host's class is not typed
        def title(self) -> str:
            return "VAE"

        def show(self, is_img2img: bool) -> Any:
            return scripts.AlwaysVisible

        def ui(self, is_img2img: bool) -> list[Any]:
            with gr.Accordion("VAE", open=False):
                gr.HTML(f"<p>{escape(str(NO_ADAPTER))}</p>")
            return []

    return VaeScript
