"""Requests of another page to each event and route that the running app lists: the state stays unchanged."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any

import pytest
import requests

from tests.admission.conftest import FOREIGN_PAGES, KEY, MESSAGE, Target
from tests.host import gradios

pytestmark = pytest.mark.torch

JSON = {"Content-Type": "application/json"}
KINDS = {"json": JSON, "none": {}}
"""Content types by name. gradio takes a body without one, as of a blob without a type, for JSON too."""


def refused(target: Target, headers: dict[str, str]) -> str:
    """The sentence that a request with these headers gets."""
    answer = requests.get(f"{target.webui.url}/vae-manager/state", headers=headers, timeout=60)
    assert answer.status_code == 403
    return str(answer.json()["error"])


def assert_not_done(outputs: list[Any], message: str | None) -> None:
    """Check that the components are unchanged or show the refusal."""
    assert outputs
    for output in outputs:
        if isinstance(output, str):
            alert = re.search(r'role="alert".*?</span>([^<]*)', output)
            assert alert is not None, output
            assert message is None or unescape(alert[1]) == message
        else:
            assert output == {"__type__": "update"}


def test_each_event_is_admitted_before_it_does_anything(target: Target) -> None:
    """A new event that is wired past `gradio_compat` fails here."""
    functions = {event.function for event in target.events}
    assert len(target.events) >= 12
    assert functions == {"vae_manager.webui.ui.gradio_compat._event.<locals>.event"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("headers", FOREIGN_PAGES.values(), ids=FOREIGN_PAGES)
def test_no_event_obeys_another_page(target: Target, headers: dict[str, str], kind: str) -> None:
    before, message = target.state_of_disk(), refused(target, headers)
    for event in target.events:
        body = {"fn_index": event.number, "data": event.data(), "session_hash": "abc"}
        answer = target.post("/run/predict", body, {**headers, **KINDS[kind]})
        assert answer.status_code == 200, (event, answer.text)
        assert_not_done(answer.json()["data"], message)
    assert target.state_of_disk() == before


@pytest.mark.parametrize("path", ["/run/predict", "/run/predict/", "/api/predict", "/api/predict/", "/run/x"])
def test_no_path_leads_past_the_check(target: Target, path: str) -> None:
    before = target.state_of_disk()
    for event in target.events:
        body = {"fn_index": event.number, "data": event.data()}
        answer = target.post(path, body, {**FOREIGN_PAGES["another origin"], **JSON})
        assert answer.status_code == 200
        assert_not_done(answer.json()["data"], None)
    assert target.state_of_disk() == before


@pytest.mark.parametrize(
    "more",
    [
        {"request": {"headers": {"host": "127.0.0.1"}, "client": {"host": "127.0.0.1"}}},
        {"request": {"request": {"headers": {"host": "127.0.0.1"}}}},
        {"request": [{"headers": {"host": "127.0.0.1"}}], "batched": True},
    ],
    ids=["as the queue does", "nested", "batched"],
)
@pytest.mark.parametrize("headers", [FOREIGN_PAGES["another origin"], {}], ids=["another origin", "a program"])
def test_a_body_cannot_tell_of_its_sender(target: Target, more: dict[str, Any], headers: dict[str, str]) -> None:
    """gradio 3 builds the event's request from the body."""
    before = target.state_of_disk()
    for event in target.events:
        body = {"fn_index": event.number, "data": event.data(), **more}
        answer = target.post("/run/predict", body, {**headers, **JSON})
        if answer.status_code == 200:
            assert_not_done(answer.json()["data"], None)
    assert target.state_of_disk() == before


@pytest.mark.parametrize("headers", [*FOREIGN_PAGES.values(), {}], ids=[*FOREIGN_PAGES, "a program"])
@pytest.mark.skipif(gradios.IS_4, reason="the queue is a websocket in gradio 3 alone")
def test_the_queue_of_gradio_3(target: Target, headers: dict[str, str]) -> None:
    import websockets

    before, acting = target.state_of_disk(), target.acting()
    more = {"host": headers["Host"]} if "Host" in headers else {}
    rest = {name: value for name, value in headers.items() if name != "Host"}

    async def ask() -> dict[str, Any]:
        address = target.webui.url.replace("http", "ws")
        opened = websockets.connect(  # type: ignore[attr-defined]  # the name is found when it is asked for
            f"{address}/queue/join", **{_headers_argument(): rest}, **_connected(target, more)
        )
        async with opened as socket:
            while True:
                said: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 30))
                if said["msg"] == "send_hash":
                    await socket.send(json.dumps({"session_hash": "q", "fn_index": acting.number}))
                if said["msg"] == "send_data":
                    question = {"session_hash": "q", "fn_index": acting.number, "data": [MESSAGE]}
                    await socket.send(json.dumps(question))
                if said["msg"] == "process_completed":
                    return said

    with ThreadPoolExecutor(1) as apart:  # a browser of another test may have an event loop in this thread
        said = apart.submit(lambda: asyncio.run(ask())).result()
    if said["success"]:
        assert_not_done(said["output"]["data"], None)
    assert target.state_of_disk() == before


def _headers_argument() -> str:
    major, *_ = importlib.metadata.version("websockets").split(".")
    return "additional_headers" if int(major) >= 14 else "extra_headers"


def _connected(target: Target, more: dict[str, str]) -> dict[str, Any]:
    """Another name in the address gives another Host; the connection goes to the server all the same."""
    return {"host": "127.0.0.1", "port": target.webui.port} if more else {}


@pytest.mark.parametrize("headers", FOREIGN_PAGES.values(), ids=FOREIGN_PAGES)
@pytest.mark.skipif(not gradios.IS_4, reason="the queue is a POST in gradio 4 alone")
def test_the_queue_of_gradio_4(target: Target, headers: dict[str, str]) -> None:
    before = target.state_of_disk()
    for number, event in enumerate(target.events):
        session = f"session{number}"
        body = {"fn_index": event.number, "data": event.data(), "session_hash": session}
        assert target.post("/queue/join", body, {**headers, **JSON}).status_code == 200
        assert_not_done(_outcome(target, f"/queue/data?session_hash={session}"), None)
        called = target.post(f"/call/{event.api_name}", {"data": event.data()}, {**headers, **JSON})
        assert called.status_code == 200
        _outcome(target, f"/call/{event.api_name}/{called.json()['event_id']}")
    assert target.state_of_disk() == before


def _outcome(target: Target, path: str) -> list[Any]:
    with requests.get(target.webui.url + path, stream=True, timeout=60) as answer:
        for line in answer.iter_lines():
            if not line.startswith(b"data:"):
                continue
            said = json.loads(line[5:])
            if isinstance(said, list):
                return said
            if said is None or said.get("msg") == "process_completed":
                return list(said["output"]["data"]) if said is not None else []
    raise AssertionError("the queue has closed without an answer")


@pytest.mark.parametrize("headers", FOREIGN_PAGES.values(), ids=FOREIGN_PAGES)
def test_no_route_answers_another_page(target: Target, headers: dict[str, str]) -> None:
    assert len(target.routes) >= 6
    for method, path in target.routes:
        address = target.webui.url + re.sub(r"\{\w+\}", "0", path)
        answer = requests.request(method, address, headers={**headers, **JSON}, data="{}", timeout=60)
        assert answer.status_code == 403, (method, path)
        assert method == "HEAD" or set(answer.json()) == {"code", "error"}


def test_no_answer_is_shown_in_another_page(target: Target) -> None:
    """Browsers obey these headers on a network without TLS, where they send no fetch metadata."""
    for method, path in target.routes:
        address = target.webui.url + re.sub(r"\{\w+\}", "0", path)
        for headers in ({}, FOREIGN_PAGES["another origin"]):
            answer = requests.request(method, address, headers={**headers, **JSON}, data="{}", timeout=60)
            assert answer.headers.get("Cross-Origin-Resource-Policy") == "same-origin", (method, path)
            assert answer.headers.get("X-Content-Type-Options") == "nosniff", (method, path)


def test_the_page_itself_and_programs_are_obeyed(target: Target) -> None:
    own = {"Origin": target.webui.url, "Sec-Fetch-Site": "same-origin"}
    acting = target.acting()
    for headers in (own, {}):
        assert not target.key_is_saved
        body = {"fn_index": acting.number, "data": [MESSAGE]}
        assert target.post("/run/predict", body, {**headers, **JSON}).json()["data"] == [""]
        assert target.key_is_saved, KEY
        body["data"] = [json.dumps({"do": "remove-key"})]
        assert target.post("/run/predict", body, {**headers, **JSON}).json()["data"] == [""]
        assert requests.get(f"{target.webui.url}/vae-manager/state", headers=headers, timeout=60).status_code == 200
