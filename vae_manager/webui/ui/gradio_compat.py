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

# By default gradio 4 drops a click or a pick while the same event still runs.
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
    """The function that gets the visitor, then the inputs."""
    refused: Callable[[Message], Any]
    """The function that returns the outputs for a refusal of the click."""


def _event(work: Work, outputs: Sequence[Any]) -> Callable[..., Any]:
    """Return the function for gradio, which passes the request because of the annotation.

    After an internal error the outputs stay as they are, and the page's status shows the error.
    """

    def event(request: gr.Request, *inputs: Any) -> Any:
        try:
            visitor = visitor_of(work.host, _behind(request))
        except NotAdmittedError as error:
            return work.refused(error.message)
        return work.do(visitor, *inputs)

    return FAULTS.wrap(event, EVENT, lambda: changed() if len(outputs) == 1 else [changed() for _ in outputs])


def _behind(event: Any) -> Request:
    """Return the HTTP request of an event.

    gradio 3 builds its own request from the body's field `request`, which its queue fills. Any sender can fill it too,
    so only the real request counts. The extension's events bypass the queue (`AT_ONCE`).
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
    """Run `work` on a click, outside the queue of generations and without a progress overlay on the outputs.

    `js` runs in the browser before it, and `js_after` when the outputs have arrived.
    """
    event = button.click(_event(work, outputs), inputs=list(inputs), outputs=list(outputs), **_js(js), **AT_ONCE)
    if js_after is not None:
        event.then(None, inputs=[], outputs=[], **_js(js_after))


def on_sync(button: Any, work: Work, inputs: Sequence[Any], outputs: Sequence[Any], js_after: str = "") -> None:
    """Run `work` on a click of the hidden button by which the page's script refreshes the values of components.

    The script clicks it again only after all answers have arrived.
    """
    ask = f"(...values) => vaeManager.syncAsked(...values.slice(0, {len(inputs)}))"
    on_click(button, work, inputs, outputs, js=ask, js_after=f"() => {{ vaeManager.syncAnswered(); {js_after} }}")


def on_message(button: Any, work: Work, inputs: Sequence[Any], answer: Any, place: str) -> None:
    """Run `work` on a message of the page's script.

    The script puts the message in, and gets the `answer`, in `place` of its `PLACES`.
    """
    take = _js("vaeManager.takeMessage")
    event = button.click(_event(work, [answer]), inputs=list(inputs), outputs=[answer], **take, **AT_ONCE)
    event.then(None, inputs=[answer], outputs=[], **_js(f"(text) => {{ vaeManager.answered('{place}', text); }}"))


def on_pick(button: Any, work: Work, inputs: Sequence[Any], outputs: Sequence[Any], own: Any, tab: str) -> None:
    """Run `work` on a pick in `tab`, which the page's script puts in.

    The script sets `own`, the tab's own choice, to the value that follows from the first output, unless a newer pick
    exists.
    """
    event = button.click(
        _event(work, outputs), inputs=list(inputs), outputs=list(outputs), **_js("vaeManager.takePick"), **AT_ONCE
    )
    answered = f"(outcome, own) => vaeManager.pickAnswered('{tab}', outcome, own)"
    event.then(None, inputs=[outputs[0], own], outputs=[own], **_js(answered))


def on_input_in_browser(component: Any, js: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Run `js`, in the browser alone, if the user, not the program, changes the component."""
    component.input(None, inputs=list(inputs), outputs=list(outputs), **_js(js))


def heed_people_alone(component: Any) -> None:
    """Limit handlers registered from now on for changes of the component to changes by the user.

    Otherwise a value that an event returns would count as a choice, even an outdated one.
    """
    component.change = component.input


def on_change(component: Any, js: str) -> None:
    """Run `js`, in the browser alone, at each change of the component's value."""
    component.change(None, inputs=[component], outputs=[], **_js(js))


def _js(code: str | None) -> dict[str, Any]:
    return {"js" if GRADIO_4 else "_js": code}


def changed(**values: Any) -> Any:
    """Return new values for a component, as an output of an event."""
    return gr.update(**values)


def is_in_page(component: Any) -> bool:
    """Return False for the copies of a component that gradio 4 makes for each browser whose page gets new values."""
    return component.parent is not None


def signed_in(app: Any, request: Request) -> bool:
    """Return True if gradio would admit this request (routes.py get_current_user), or if it requires no sign-in."""
    if getattr(app, "auth_dependency", None) is not None:  # gradio 4, inside of another app
        return app.auth_dependency(request) is not None
    if app.auth is None:
        return True
    own = f"-{app.cookie_id}" if hasattr(app, "cookie_id") else ""  # gradio 4: one browser may know several servers
    token = request.cookies.get(f"access-token{own}") or request.cookies.get(f"access-token-unsecure{own}")
    return token in app.tokens


def keep_out_of_ui_config(*components: Any) -> None:
    """Exclude components from ui-config.json, which would keep their first values for ever."""
    for component in components:
        component.do_not_save_to_config = True


def picture_field(label: str, elem_id: str) -> Any:
    """Create an image field, by click, drop or paste; an event gets its raw content, for `picture_of`.

    gradio would open the file in any format of Pillow, before the event can check the sender.
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
