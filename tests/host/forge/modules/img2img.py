"""Imitates Forge's modules/img2img.py: the same in the main thread."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules_forge import main_thread

from tests.host.layers import underneath

webui = underneath(globals())


def img2img(id_task: str, request: gr.Request, *args: Any) -> Any:
    return main_thread.run_and_wait_result(webui.img2img, id_task, request, *args)
