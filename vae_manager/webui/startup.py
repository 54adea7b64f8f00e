"""The start in a WebUI: the adapter is chosen by the WebUI's functions, never by its folder's name."""

from __future__ import annotations

import importlib
from typing import Any

from ..messages import msg
from .faults import FAULTS
from .hosts.host_values import host_here

UNKNOWN = "unknown"
"""The adapter for a WebUI that no other one fits."""
NO_ADAPTER = msg(
    "VAE Manager does not know this WebUI yet and does nothing here. "
    "`python -m vae_manager get` fetches VAEs from the command line all the same.",
    code="use-the-command-line",
)


def script_for_this_host() -> type[Any] | None:
    """Register the extension with the running WebUI; return the class of which the WebUI makes the script.

    If the adapter fails, the one for unknown WebUIs replaces it; if that fails too, a sentence does. None if even that
    cannot be shown.
    """
    for host in dict.fromkeys([host_here(), UNKNOWN]):
        with FAULTS.suppressed(msg("The adapter for this WebUI")):
            adapter = importlib.import_module(f"{__package__}.hosts.{host}.adapter")
            extension = importlib.import_module(f"{__package__}.extension")
            script: type[Any] = extension.extension_of(adapter.the_host()).register()
            return script
    with FAULTS.suppressed(msg("The page on a WebUI that is not known")):
        return _error_page()
    return None


def _error_page() -> type[Any]:
    import gradio as gr
    from modules import scripts

    class VaeScript(scripts.Script):  # type: ignore[misc]  # the host's class is not typed
        def title(self) -> str:
            return "VAE"

        def show(self, is_img2img: bool) -> Any:
            return scripts.AlwaysVisible

        def ui(self, is_img2img: bool) -> list[Any]:
            with gr.Accordion("VAE", open=False):
                gr.Markdown(str(NO_ADAPTER))
            return []

    return VaeScript
