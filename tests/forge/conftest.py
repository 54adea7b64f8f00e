"""A stand-in of Forge with good VAEs, asked in Forge's own way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")
pytest.importorskip("requests")

from ..guards.fixtures import *  # noqa: F403
from ..guards.good_files import GOOD, write_tiny
from ..guards.stage import Stage
from ..host import fixtures
from ..live.forge import ForgeWebUI


class StandIn(ForgeWebUI):
    """The stand-in, driven as a real Forge is."""

    def __init__(self, running: fixtures.WebUI) -> None:
        super().__init__(running.url, running.data, "by the test itself")
        self._running = running

    def restart(self) -> None:
        self._session.close()
        self._running.restart()


@contextmanager
def standing_in(data: Path, *more: str, host: str = "forge") -> Iterator[Stage]:
    write_tiny(data / "models" / "VAE")
    flags = ("--as", host, "--api", "--step-seconds", "0.001", *more)
    with fixtures.start_webui(data, *flags, env={"OMP_NUM_THREADS": "1"}) as running:
        yield Stage(StandIn(running), data, GOOD, running.log, size=32)


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with standing_in(tmp_path_factory.mktemp("forge")) as started:
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
