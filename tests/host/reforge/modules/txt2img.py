from __future__ import annotations

from typing import Any

import gradio as gr
from modules_forge import main_thread

from tests.host.layers import underneath

underneath(globals())

txt2img_function = txt2img  # noqa: F821  # A1111's


def txt2img(id_task: str, request: gr.Request, *args: Any) -> Any:
    return main_thread.run_and_wait_result(txt2img_function, id_task, request, *args)
