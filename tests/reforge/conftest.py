"""The stand-in as reForge, with the real extension."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")
pytest.importorskip("requests")

from ..guards.conftest import standing_in
from ..guards.fixtures import *  # noqa: F403
from ..guards.stage import Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with standing_in(tmp_path_factory.mktemp("reforge"), "--as", "reforge") as started:
        yield started


@pytest.fixture(scope="session")
def starts_stage() -> Callable[[Path], AbstractContextManager[Stage]]:
    """Starts another one, with its own data folder."""
    return lambda data: standing_in(data, "--as", "reforge")


@pytest.fixture
def unhashed(tmp_path: Path) -> Iterator[Stage]:
    with standing_in(tmp_path, "--as", "reforge", "--no-hashing") as started:
        yield started
