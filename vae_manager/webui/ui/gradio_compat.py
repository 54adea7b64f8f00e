"""The gradio calls that differ between the versions that hosts bring. Written for 3.41.2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from starlette.requests import Request


def on_click(
    button: Any, work: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any], js: str | None = None
) -> None:
    """Run `work` on a click, at once (beside the queue of generations) and without a veil over the outputs."""
    button.click(work, inputs=list(inputs), outputs=list(outputs), _js=js, queue=False, show_progress="hidden")


def on_input(component: Any, work: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Run `work` when a person, and not the program, changes the component."""
    component.input(work, inputs=list(inputs), outputs=list(outputs), queue=False, show_progress="hidden")


def on_change(component: Any, js: str) -> None:
    """Run `js`, in the browser alone, whenever the component's value changes."""
    component.change(None, inputs=[component], outputs=[], _js=js)


def changed(**values: Any) -> Any:
    """New values for a component that an event gives back."""
    return gr.update(**values)


def signed_in(app: Any, request: Request) -> bool:
    """Whether gradio would let this request in (routes.py get_current_user); True where no sign-in is asked for."""
    if app.auth is None:
        return True
    token = request.cookies.get("access-token") or request.cookies.get("access-token-unsecure")
    return token in app.tokens


def keep_out_of_ui_config(*components: Any) -> None:
    """ui-config.json would keep each component's first value for ever."""
    for component in components:
        component.do_not_save_to_config = True


def picture_field(label: str, elem_id: str) -> Any:
    """Takes one picture, by click, drop or paste; an event gets it as PIL's, in its own size."""
    return gr.Image(type="pil", image_mode="RGB", source="upload", label=label, elem_id=elem_id, height=220)
