"""Images sent to the API and to the page: an error message for anything else, never a 500 or another program."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import requests

from tests.admission.conftest import GHOST, Target
from tests.compare.test_pictures import EPS, png_of, written
from tests.host import gradios
from vae_manager.webui.json_bodies import PICTURE_BYTES

pytestmark = pytest.mark.torch

JSON = {"Content-Type": "application/json"}
PNG = base64.b64encode(written("PNG"))
HOSTILE = {
    "EPS": EPS,
    "bomb": png_of(60_000, 60_000),
    "too many pixels": png_of(5000, 5000),
    "cut off": written("PNG")[:60],
    "TIFF": written("TIFF"),
    "empty": b"",
}


def ask(target: Target, body: bytes) -> requests.Response:
    return requests.post(f"{target.webui.url}/vae-manager/api/compare", body, headers=JSON, timeout=60)


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_the_api_refuses_what_is_no_picture(target: Target, content: bytes) -> None:
    picture = base64.b64encode(content).decode()
    answer = ask(target, json.dumps({"picture": picture, "vaes": ["None"]}).encode())
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert not (target.webui.data / GHOST).exists()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"\xff", 400),
        (b"[" * 200_000 + b"]" * 200_000, 400),
        (b'{"vaes":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"vaes": ["None"], "infotext": ' + b"[" * 900 + b"]" * 900 + b"}", 400),
        (b'{"vaes": ["None"], "picture": {"a": 1}}', 400),
        (b'{"vaes": ["None"], "picture": "!"}', 400),
        (b'{"vaes": ["None"], "picture": "\\u00e9"}', 400),
        (b'{"vaes": ["None"], "\\udfff": 1}', 400),
        (b"[]", 400),
        (b"null", 400),
    ],
    ids=["cut off", "no UTF-8", "deep", "deep within", "deep text", "object", "sign", "letter", "half", "list", "null"],
)
def test_the_api_refuses_what_is_no_question(target: Target, body: bytes, status: int) -> None:
    answer = ask(target, body)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_a_name_that_no_utf_8_has(target: Target) -> None:
    picture = {"prompt": "a lighthouse", "steps": 1, "width": 64, "height": 64}  # Forge loads its checkpoint with it
    assert requests.post(f"{target.webui.url}/sdapi/v1/txt2img", json=picture, timeout=120).ok
    answer = ask(target, b'{"vaes": ["\\ud800"], "picture": "' + PNG + b'"}')
    assert answer.status_code == 200, answer.text
    assert next(one["error"] for one in answer.json()["results"] if one["vae"] == "\ud800")


def test_the_api_refuses_a_body_without_an_end(target: Target) -> None:
    def chunks() -> Any:
        for _ in range(PICTURE_BYTES // 2**20 + 2):
            yield bytes(2**20)

    address = f"{target.webui.url}/vae-manager/api/compare"
    try:
        answer = requests.post(address, data=chunks(), headers=JSON, timeout=60)
    except requests.ConnectionError:
        return  # the server has answered and hung up before all was sent
    assert answer.status_code == 413


def sent(target: Target, content: bytes) -> Any:
    """The value of the page's picture field, as the browser makes it."""
    if not gradios.IS_4:
        return "data:image/png;base64," + base64.b64encode(content).decode()
    uploaded = requests.post(f"{target.webui.url}/upload", files={"files": ("picture.png", content)}, timeout=60)
    return {"path": uploaded.json()[0], "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_the_page_refuses_what_is_no_picture(target: Target, content: bytes) -> None:
    event = next(one for one in target.events if any(name.endswith("_own") for name in one.inputs))
    data = [json.dumps({"do": "compare-own", "vaes": ["None"], "each": False}), sent(target, content)]
    answer = target.post("/run/predict", {"fn_index": event.number, "data": data, "session_hash": "x"}, JSON)
    assert answer.status_code == 200, answer.text
    assert 'role="alert"' in answer.json()["data"][0]
    assert not (target.webui.data / GHOST).exists()


def test_the_page_compares_a_picture(target: Target) -> None:
    event = next(one for one in target.events if any(name.endswith("_own") for name in one.inputs))
    data = [json.dumps({"do": "compare-own", "vaes": ["None"], "each": False}), sent(target, written("PNG"))]
    answer = target.post("/run/predict", {"fn_index": event.number, "data": data, "session_hash": "x"}, JSON)
    assert answer.json()["data"] == [""] or "No checkpoint" in answer.json()["data"][0]
