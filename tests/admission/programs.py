"""Requests of programs to a stand-in, below `/vae-manager/v1`."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable
from typing import Any

import requests
from PIL import Image

from tests.host.fixtures import WebUI
from tests.vaes import TUNED

PATH = "/vae-manager/v1"
DATA = TUNED.read_bytes()
SHA256 = hashlib.sha256(DATA).hexdigest()
ENTRY = f"""
- id: mine
  name: Mine
  family: sd1
  purpose: for this test
  sha256: {SHA256}
  size: {len(DATA)}
  source: hub:me/vaes/mine.safetensors
  licence: {{name: Odd, link: "https://example.org/terms"}}
"""
"""The catalogue of the stand-in's owner."""


def get(webui: WebUI, path: str) -> Any:
    answer = requests.get(f"{webui.url}{PATH}/{path}", timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(webui: WebUI, path: str, **body: Any) -> tuple[int, Any]:
    answer = requests.post(f"{webui.url}{PATH}/{path}", json=body, timeout=60)
    return answer.status_code, answer.json()


def until(true: Callable[[], Any]) -> Any:
    end = time.monotonic() + 60
    while not (found := true()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found


def ended(webui: WebUI, key: str) -> Any:
    """The job, once it has ended."""
    return until(lambda: (one := get(webui, f"jobs/{key}"))["state"] in ("done", "failed", "stopped") and one)


def picture(number: int = 0) -> bytes:
    """A PNG that is large enough to be measured, another one for each number."""
    content = io.BytesIO()
    Image.effect_noise((64, 64), 20 + number).convert("RGB").save(content, "PNG")
    return content.getvalue()
