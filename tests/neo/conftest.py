"""A stand-in of Neo with good VAEs, asked in Forge's way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")
pytest.importorskip("requests")

from ..forge.conftest import standing_in as standing_in_forge
from ..guards.fixtures import *  # noqa: F403
from ..guards.stage import Stage

standing_in = partial(standing_in_forge, host="neo")


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with standing_in(tmp_path_factory.mktemp("neo")) as started:
        yield started


@pytest.fixture(scope="session")
def starts_stage() -> Callable[[Path], AbstractContextManager[Stage]]:
    """Starts another one, with its own data folder."""
    return standing_in


@pytest.fixture
def unhashed(tmp_path: Path) -> Iterator[Stage]:
    """Another one, with --no-hashing."""
    with standing_in(tmp_path, "--no-hashing") as started:
        yield started
