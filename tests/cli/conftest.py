"""A hub, and a command line that asks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import Hub

from .command import DATA, PATH, REPO, Cli


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        hub.add(REPO, PATH, DATA)
        yield hub


@pytest.fixture
def cli(hub: Hub, tmp_path: Path) -> Cli:
    work, home = tmp_path / "work", tmp_path / "home"
    work.mkdir()
    home.mkdir()
    return Cli(hub, work, home)
