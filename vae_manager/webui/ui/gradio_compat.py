"""The gradio calls that differ between the versions that hosts bring: 3.41.2 (A1111, reForge) and 4.40.0 (Forge)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from starlette.requests import Request

from ...sentences import Sentence, say
from ..faults import FAULTS

GRADIO_4 = int(gr.__version__.split(".", 1)[0]) >= 4

# gradio 4 drops what is clicked or picked while the same event still runs, unless it is told not to.
AT_ONCE: dict[str, Any] = {
    "queue": False, "show_progress": "hidden", **({"trigger_mode": "multiple"} if GRADIO_4 else {})
}


EVENT: Sentence = say("An action of the page")


def on_click(
    button: Any,
    work: Callable[..., Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    js: str | None = None,
    js_after: str | None = None,
) -> None:
    """Run `work` on a click, at once (beside the queue of generations) and without a veil over the outputs; `js` in the
    browser before it, `js_after` once the outputs are there."""
    event = button.click(_edged(work, outputs), inputs=list(inputs), outputs=list(outputs), **_js(js), **AT_ONCE)
    if js_after is not None:
        event.then(None, inputs=[], outputs=[], **_js(js_after))


def on_message(button: Any, work: Callable[..., Any], inputs: Sequence[Any], answer: Any, place: str) -> None:
    """As `on_click`, for what the page's script has to say: it puts the message in, and is given the `answer`, in
    `place` of its `PLACES`."""
    edged = _edged(work, [answer])
    event = button.click(edged, inputs=list(inputs), outputs=[answer], **_js("vaeManager.takeMessage"), **AT_ONCE)
    event.then(None, inputs=[answer], outputs=[], **_js(f"(text) => {{ vaeManager.answered('{place}', text); }}"))


def on_input(component: Any, work: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Run `work` when a person, and not the program, changes the component."""
    component.input(_edged(work, outputs), inputs=list(inputs), outputs=list(outputs), **AT_ONCE)


def on_input_in_browser(component: Any, js: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """As `on_input`, by `js` in the browser alone: nothing is waited for."""
    component.input(None, inputs=list(inputs), outputs=list(outputs), **_js(js))


def on_change(component: Any, js: str) -> None:
    """Run `js`, in the browser alone, whenever the component's value changes."""
    component.change(None, inputs=[component], outputs=[], **_js(js))


def _edged(work: Callable[..., Any], outputs: Sequence[Any]) -> Callable[..., Any]:
    """`work`, after whose faults the outputs stay as they are; the page's status names the fault."""
    return FAULTS.edge(work, EVENT, lambda: changed() if len(outputs) == 1 else [changed() for _ in outputs])


def _js(code: str | None) -> dict[str, Any]:
    return {"js" if GRADIO_4 else "_js": code}


def changed(**values: Any) -> Any:
    """New values for a component that an event gives back."""
    return gr.update(**values)


def is_in_page(component: Any) -> bool:
    """False for the copies that gradio 4 makes of a component for each person whose page is given new values."""
    return component.parent is not None


def signed_in(app: Any, request: Request) -> bool:
    """Whether gradio would let this request in (routes.py get_current_user); True where no sign-in is asked for."""
    if getattr(app, "auth_dependency", None) is not None:  # gradio 4, inside of another app
        return app.auth_dependency(request) is not None
    if app.auth is None:
        return True
    own = f"-{app.cookie_id}" if hasattr(app, "cookie_id") else ""  # gradio 4: one browser may know several servers
    token = request.cookies.get(f"access-token{own}") or request.cookies.get(f"access-token-unsecure{own}")
    return token in app.tokens


def keep_out_of_ui_config(*components: Any) -> None:
    """ui-config.json would keep each component's first value for ever."""
    for component in components:
        component.do_not_save_to_config = True


def picture_field(label: str, elem_id: str) -> Any:
    """Takes one picture, by click, drop or paste; an event gets it as PIL's, in its own size."""
    source: dict[str, Any] = {"sources": ["upload"]} if GRADIO_4 else {"source": "upload"}
    return gr.Image(type="pil", image_mode="RGB", label=label, elem_id=elem_id, height=220, **source)
