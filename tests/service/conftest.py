"""A service of one's own, and a hub that it can ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import Hub
from vae_manager.service import Service

HIDDEN = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_ENDPOINT", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the person who runs the tests reaches them."""
    for name in HIDDEN:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """Not there yet."""
    return tmp_path / "data" / "vae-manager"


@pytest.fixture
def service(data_folder: Path) -> Service:
    return Service(data_folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The VAE folder, not there yet."""
    return tmp_path / "models" / "VAE"
