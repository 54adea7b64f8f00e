"""Previews of the library's files: the picture beside a file, and nothing else."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.library.vaes import vae
from tests.webui.host import PlainHost
from tests.webui.seen import library
from vae_manager.library.folders import MAX_BYTES
from vae_manager.maintenance import key_of
from vae_manager.webui import api
from vae_manager.webui.ui.page import Page

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20


@pytest.fixture
def client(page: Page, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    app = FastAPI()
    monkeypatch.setattr(api, "signed_in", lambda app, request: True)
    api.register_previews(app, lambda: page)
    return TestClient(app, base_url="http://127.0.0.1:7860")


def get(client: TestClient, path: Path, **headers: str) -> tuple[int, bytes]:
    answer = client.get(f"/vae-manager/preview/{key_of(path)}", headers=headers)
    return answer.status_code, answer.content


def test_a_row_shows_the_picture_beside_its_file(page: Page, own: Path, host: PlainHost, client: TestClient) -> None:
    other = vae(host.vaes / "other.safetensors", seed=1)
    own.with_name("own.preview.png").write_bytes(PNG)
    rows = library(page)["rows"]
    assert f"./vae-manager/preview/{key_of(own)}" in rows[key_of(own)]
    assert "<img" not in rows[key_of(other)]
    assert get(client, own) == (200, PNG)
    assert get(client, other)[0] == 404


def test_the_webuis_order_decides(own: Path, client: TestClient) -> None:
    own.with_name("own.preview.png").write_bytes(PNG + b"second")
    own.with_name("own.png").write_bytes(PNG + b"first")
    assert get(client, own) == (200, PNG + b"first")


@pytest.mark.parametrize(
    "content", [b"<html><script>alert(1)</script>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"", PNG * MAX_BYTES]
)
def test_what_is_no_picture_or_too_large_is_not_sent(own: Path, client: TestClient, content: bytes) -> None:
    own.with_name("own.png").write_bytes(content[: MAX_BYTES + 1])
    assert get(client, own)[0] == 404


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes")
def test_a_pipe_is_not_waited_for(own: Path, client: TestClient) -> None:
    os.mkfifo(own.with_name("own.png"))
    assert get(client, own)[0] == 404


def test_a_key_names_a_file_of_the_library_alone(own: Path, host: PlainHost, client: TestClient) -> None:
    outside = vae(host.root / "outside.safetensors")
    outside.with_name("outside.png").write_bytes(PNG)
    assert get(client, outside)[0] == 404
    assert client.get("/vae-manager/preview/..%2Foutside").status_code == 404


def test_an_unchanged_picture_is_not_sent_again(own: Path, client: TestClient) -> None:
    own.with_name("own.png").write_bytes(PNG)
    answer = client.get(f"/vae-manager/preview/{key_of(own)}")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert get(client, own, **{"If-None-Match": answer.headers["etag"]}) == (304, b"")


def test_another_page_gets_none(own: Path, client: TestClient) -> None:
    own.with_name("own.png").write_bytes(PNG)
    assert get(client, own, **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert get(client, own, Host="evil.example")[0] == 403
