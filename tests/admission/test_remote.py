"""A WebUI that others can reach: what they see of its machine, and what they may do to its owner's work."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from tests.admission.conftest import KEY, TWICE, Target, flags, prepare
from tests.host.asking import GOOD
from tests.host.fixtures import start_webui
from vae_manager.maintenance import key_of

pytestmark = pytest.mark.torch

REMOTE = {
    "by a name of the network": {"Host": "box.lan:7860"},
    "through a tunnel": {"X-Forwarded-For": "203.0.113.7"},
}
ADOPT = {"do": "adopt-file", "path": "/x", "how": "copy", "folder": "0"}
OWNERS = [
    {"do": "pause", "job": "x"},
    {"do": "resume", "job": "x"},
    {"do": "cancel", "job": "x"},
    {"do": "retry", "job": "x"},
    {"do": "forget", "job": "x"},
    {"do": "move", "job": "x", "step": "up"},
    {"do": "continue", "job": "x"},
    {"do": "discard", "job": "x"},
    {"do": "verify-all"},
    {"do": "find-duplicates"},
    {"do": "stop-work", "job": "x"},
    {"do": "forget-work", "job": "x"},
    {"do": "forget-told"},
    {"do": "forget-damage"},
    {"do": "forget-delete"},
    {"do": "get", "entry": "vae-ft-mse-840000-ema", "use": False, "accept": True},
    {"do": "save-key", "key": "x"},
    {"do": "remove-key"},
    {"do": "quick-settings", "on": True},
    {"do": "reload"},
    {"do": "undo-delete"},
    ADOPT,
    {"do": "get-from", "address": "https://example.com/x.safetensors", "name": "", "anyway": False},
]


def act(target: Target, action: dict[str, Any], headers: dict[str, str]) -> str:
    body = {"fn_index": target.acting().number, "data": [json.dumps(action)]}
    answer = target.post("/run/predict", body, {**headers, "Content-Type": "application/json"})
    assert answer.status_code == 200
    return str(answer.json()["data"][0])


def state(target: Target, headers: dict[str, str], file: str) -> str:
    """All of it, with the details of one file."""
    key = key_of(target.webui.data / "models" / "VAE" / file)
    address = f"{target.webui.url}/vae-manager/state?library=&comparison=&file={key}"
    answer = requests.get(address, headers=headers, timeout=60)
    assert answer.status_code == 200
    return answer.text


@pytest.mark.parametrize("headers", REMOTE.values(), ids=REMOTE)
def test_no_path_of_the_machine_is_shown(shared: Target, headers: dict[str, str]) -> None:
    shared.webui.call("/sdapi/v1/options", {"sd_vae": GOOD})
    for file in (GOOD, f"a/{TWICE}"):
        text = state(shared, headers, file)
        assert file in text
        assert str(shared.webui.data) not in text
    asked = requests.post(
        f"{shared.webui.url}/vae-manager/api/compare", json={"vaes": ["gone.pt"]}, headers=headers, timeout=60
    )
    assert str(shared.webui.data) not in asked.text
    assert str(shared.webui.data / "models" / "VAE") in state(shared, {}, GOOD), "its owner sees where a file lies"


def test_no_file_of_the_state_is_served(shared: Target) -> None:
    """gradio serves the WebUI's data folder, by names and by links to it."""
    keys = shared.webui.data / "vae-manager" / "keys.json"
    keys.parent.mkdir(exist_ok=True)
    keys.write_text(json.dumps({"civitai.com": KEY}), encoding="utf-8")
    link = shared.webui.data / "outputs" / "link"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(keys.parent)
    picture = link.with_name("picture.png")
    picture.write_bytes(b"a picture")
    relative = os.path.relpath(keys, Path(__file__).parents[1] / "host" / "webui")
    ways = [keys, keys.parent / ".." / "vae-manager" / "keys.json", link / "keys.json", relative]
    for way in ways:
        for route in ("/file=", "/file/"):
            for method in ("GET", "HEAD"):
                answer = requests.request(method, f"{shared.webui.url}{route}{quote(str(way))}", timeout=60)
                assert answer.status_code in (403, 404, 405), (method, route, way)
                assert KEY not in answer.text
    answer = requests.get(f"{shared.webui.url}/file={quote(str(picture))}", timeout=60)
    assert answer.content == b"a picture", "the rest is the WebUI's own affair"
    link.unlink()
    keys.unlink()


@pytest.mark.parametrize("action", OWNERS, ids=lambda action: action["do"])
def test_the_owners_work_is_the_owners(shared: Target, action: dict[str, Any]) -> None:
    before = shared.state_of_disk()
    for headers in REMOTE.values():
        assert 'role="alert"' in act(shared, action, headers)
    assert shared.state_of_disk() == before


def test_the_owner_goes_on_managing(shared: Target) -> None:
    for action in ({"do": "pause", "job": "x"}, {"do": "verify-all"}, {"do": "forget-told"}):
        assert act(shared, action, {}) == ""


@pytest.mark.parametrize("headers", REMOTE.values(), ids=REMOTE)
def test_others_choose_and_compare(shared: Target, headers: dict[str, str]) -> None:
    assert act(shared, {"do": "choose", "word": GOOD}, headers) == ""
    assert (
        "no picture has been made"
        in act(
            shared, {"do": "compare-shown", "tab": "txt2img", "infotext": "", "size": [], "vaes": []}, headers
        ).lower()
    )


def test_an_owner_can_let_everybody_manage(tmp_path: Path) -> None:
    prepare(tmp_path)
    with start_webui(tmp_path, *flags(), "--listen", "--enable-insecure-extension-access") as started:
        target = Target(started)
        for headers in REMOTE.values():
            assert act(target, {"do": "verify-all"}, headers) == ""
            assert 'role="alert"' in act(target, ADOPT, headers)
            assert str(started.data) not in state(target, headers, GOOD)
