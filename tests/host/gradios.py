"""What the two generations of gradio that hosts bring call differently: 3.41.2 (A1111, reForge) and 4.40.0 (Forge).

Nothing here makes gradio 4 look like 3, as Forge does for its extensions: ours has to do without that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr

IS_4 = int(gr.__version__.split(".", 1)[0]) >= 4

Component: Any = gr.components.Component if IS_4 else gr.components.IOComponent
"""What all components derive from that have a value."""


def js(code: str) -> dict[str, Any]:
    """The keyword of an event for what runs in the browser first."""
    return {"js" if IS_4 else "_js": code}


def in_event() -> bool:
    """Whether a component is being made as the answer of an event: gradio 4 makes half of one then."""
    if not IS_4:
        return False
    from gradio.context import LocalContext

    return bool(LocalContext.in_event_listener.get())


def write_no_interfaces() -> None:
    """gradio 4 would write a .pyi file beside each module that derives from a component."""
    if IS_4:
        gr.component_meta.create_or_modify_pyi = lambda *_: None


def with_signature_of(component: Any) -> Callable[[Any], Any]:
    """For the `__init__` of what derives from it: gradio 4 sends to the browser what that signature names."""
    return wraps(component.__init__) if IS_4 else lambda init: init
