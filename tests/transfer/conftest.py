"""What the tests of the transfer share: a hub, a folder, and a way to order from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import Hub

from .ordering import Desk

HIDDEN = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_ENDPOINT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
)


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the person who runs the tests reaches them."""
    for name in HIDDEN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "VAE"
    path.mkdir(parents=True)
    return path


@pytest.fixture
def desk(hub: Hub, folder: Path) -> Iterator[Desk]:
    desk = Desk(hub, folder, threading.Event())
    yield desk
    # Whatever a test did: no host lists what is not a file under its final name.
    assert all(path.suffix not in (".safetensors", ".ckpt", ".pt") for path in folder.glob(".*"))
