"""The route is there with --api alone, and asks for the sign-in of /sdapi."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")
pytest.importorskip("requests")

import requests

from tests.host.asking import GOOD, write_vaes
from tests.host.data import make_data_dir
from tests.host.fixtures import start_webui

pytestmark = pytest.mark.torch

PATH = "/vae-manager/api/compare"
ASKED = {"vaes": ["None"]}
GENERATED = {"prompt": "a house", "seed": 1, "steps": 2, "width": 64, "height": 64}


def test_the_sign_in_of_sdapi(tmp_path: Path) -> None:
    """With --nowebui, too: there is no page then."""
    write_vaes(tmp_path / "models" / "VAE")
    make_data_dir(tmp_path, ["demo-a"])
    with start_webui(tmp_path, "--nowebui", "--api", "--api-auth", "me:pass,you:word", "--step-seconds", "0") as webui:
        for auth in (None, ("me", "word"), ("nobody", "pass"), ("me", "")):
            for path in (PATH, "/sdapi/v1/txt2img"):
                answer = requests.post(webui.url + path, json=ASKED, auth=auth, timeout=30)
                assert answer.status_code == 401, (path, auth)
        assert requests.post(webui.url + PATH, json=ASKED, auth=("you", "word"), timeout=30).status_code == 404
        auth = ("me", "pass")
        assert requests.post(f"{webui.url}/sdapi/v1/txt2img", json=GENERATED, auth=auth, timeout=60).status_code == 200
        asked = {"vaes": [GOOD]}
        answer = requests.post(webui.url + PATH, json=asked, auth=auth, timeout=60)
        assert answer.status_code == 200
        assert [result["vae"] for result in answer.json()["results"]] == ["None", GOOD]


def test_without_api_there_is_no_route(tmp_path: Path) -> None:
    make_data_dir(tmp_path, ["demo-a"])
    with start_webui(tmp_path) as webui:
        assert requests.post(webui.url + PATH, json=ASKED, timeout=30).status_code in (404, 405)
