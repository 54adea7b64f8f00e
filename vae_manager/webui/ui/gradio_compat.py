"""Compatibility with the gradio versions of the hosts."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr
from starlette.requests import Request

from ...errors import NotAdmittedError, UsageError
from ...messages import Message, msg
from ..admission import not_direct, visitor_of
from ..faults import FAULTS

if TYPE_CHECKING:
    from ..hosts.host import Host


GRADIO_4 = int(gr.__version__.split(".", 1)[0]) >= 4

# gradio 4 drops what is clicked or picked while the same event still runs, unless it is told not to.
AT_ONCE: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    **({"trigger_mode": "multiple"} if GRADIO_4 else {}),
}


EVENT: Message = msg("An action of the page")


class Work(NamedTuple):
    """The work of an event, for requests that the host admits."""

    host: Host
    do: Callable[..., Any]
    """Gets the visitor, then the inputs."""
    refused: Callable[[Message], Any]
    """The outputs that show a refusal at the click."""


def _event(work: Work, outputs: Sequence[Any]) -> Callable[..., Any]:
    """The function for gradio, which hands it the request by the annotation.

    After a fault of ours the outputs stay as they are, and the page's status names the fault.
    """

    def event(request: gr.Request, *inputs: Any) -> Any:
        try:
            visitor = visitor_of(work.host, _behind(request))
        except NotAdmittedError as error:
            return work.refused(error.message)
        return work.do(visitor, *inputs)

    return FAULTS.wrap(event, EVENT, lambda: changed() if len(outputs) == 1 else [changed() for _ in outputs])


def _behind(event: Any) -> Request:
    """The HTTP request of an event.

    gradio 3 makes its own of the body's field `request`, which its queue fills, and any sender can: only the real one
    counts. Events of ours go past the queue (`AT_ONCE`).
    """
    request = getattr(event, "request", None)
    if not isinstance(request, Request):
        raise not_direct()
    return request


def on_click(
    button: Any,
    work: Work,
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    js: str | None = None,
    js_after: str | None = None,
) -> None:
    """Run `work` on a click, at once (beside the queue of generations) and without a veil over the outputs; `js` in the
    browser before it, `js_after` once the outputs are there."""
    event = button.click(_event(work, outputs), inputs=list(inputs), outputs=list(outputs), **_js(js), **AT_ONCE)
    if js_after is not None:
        event.then(None, inputs=[], outputs=[], **_js(js_after))


def on_sync(button: Any, work: Work, inputs: Sequence[Any], outputs: Sequence[Any], js_after: str = "") -> None:
    """As `on_click`, for the hidden button by which the page's script gives components their values of now. The script
    clicks it again only when all answers have come."""
    ask = f"(...values) => vaeManager.syncAsked(...values.slice(0, {len(inputs)}))"
    on_click(button, work, inputs, outputs, js=ask, js_after=f"() => {{ vaeManager.syncAnswered(); {js_after} }}")


def on_message(button: Any, work: Work, inputs: Sequence[Any], answer: Any, place: str) -> None:
    """As `on_click`, for what the page's script has to say: it puts the message in, and is given the `answer`, in
    `place` of its `PLACES`."""
    take = _js("vaeManager.takeMessage")
    event = button.click(_event(work, [answer]), inputs=list(inputs), outputs=[answer], **take, **AT_ONCE)
    event.then(None, inputs=[answer], outputs=[], **_js(f"(text) => {{ vaeManager.answered('{place}', text); }}"))


def on_pick(button: Any, work: Work, inputs: Sequence[Any], outputs: Sequence[Any], own: Any, tab: str) -> None:
    """As `on_click`, for what a person picks in `tab`: the page's script puts it in. It gives `own`, the tab's own
    choice, the value that follows from the first output, unless a newer pick was made meanwhile."""
    event = button.click(
        _event(work, outputs), inputs=list(inputs), outputs=list(outputs), **_js("vaeManager.takePick"), **AT_ONCE
    )
    answered = f"(outcome, own) => vaeManager.pickAnswered('{tab}', outcome, own)"
    event.then(None, inputs=[outputs[0], own], outputs=[own], **_js(answered))


def on_input_in_browser(component: Any, js: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Run `js`, in the browser alone, when a person, and not the program, changes the component."""
    component.input(None, inputs=list(inputs), outputs=list(outputs), **_js(js))


def heed_people_alone(component: Any) -> None:
    """Let what is registered for changes of the component from now on run when a person, and not the program, changes
    it: else a value that an event gives back counts as a choice, also one that was overtaken on its way."""
    component.change = component.input


def on_change(component: Any, js: str) -> None:
    """Run `js`, in the browser alone, whenever the component's value changes."""
    component.change(None, inputs=[component], outputs=[], **_js(js))


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
    """Create an image field, by click, drop or paste; an event gets its raw content, for `picture_of`.

    gradio would open it before the event can ask who sends it, in any of the formats that Pillow knows.
    """
    source: dict[str, Any] = {"sources": ["upload"]} if GRADIO_4 else {"source": "upload"}
    component = gr.Image(type="filepath", label=label, elem_id=elem_id, height=220, **source)
    component.preprocess = lambda payload: payload
    return component


def picture_of(payload: Any) -> Path | bytes | None:
    """Return the file of the picture in a `picture_field`, or its content; None if it is empty. Raises UsageError.

    gradio 3 sends a data URL; gradio 4 a file in its upload cache, and has checked that the file is in there.
    """
    if payload is None:
        return None
    if GRADIO_4:
        return Path(payload.path)
    try:
        return base64.b64decode(payload.partition(",")[2], validate=True)
    except (AttributeError, ValueError) as error:
        raise UsageError(msg("The page is out of date. Reload it.")) from error
