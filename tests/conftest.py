"""What tests of several folders share. Imports nothing that the small environments lack."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.host import fixtures
from tests.host.forking import ForkServer

if TYPE_CHECKING:
    from playwright.sync_api import Browser

settings.register_profile("busy", deadline=None)
settings.load_profile("busy")
"""A busy machine may take any time for one example: no test here is about that time."""

os.environ.setdefault("OMP_NUM_THREADS", "1")
"""Read when torch is imported. The networks here are tiny: threads of one wait for each other longer than they compute,
and each worker and stand-in would have as many as there are cores."""

pytest.register_assert_rewrite("tests.guards.stage", "tests.guards.ways")

SQUARE = ("way", "start", "bad")
"""Its parameters: the way by which a bad file comes, what was in use before, and the file."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-pair", action="store_true", help="each bad file by each way from each state")
    parser.addoption("--forks-too", action="store_true", help="as many pairs on A1111's forks as on A1111")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the square, one of the three states for each file and way: any two of the three are tried together.

    On the forks of A1111, whose rules for a file are others but the same for each way, every third file of a way.
    """
    if config.getoption("--every-pair"):
        return
    cells = {item: cell for item in items if (cell := _cell(item)) is not None}
    orders = [list(dict.fromkeys(values)) for values in zip(*cells.values(), strict=True)]
    forks_too = config.getoption("--forks-too")
    left = []
    for item, cell in cells.items():
        way, start, bad = (order.index(value) for order, value in zip(orders, cell, strict=True))
        is_left = (way + start + bad) % 3 or ((way + bad // 3) % 3 and not forks_too and _is_of_fork(item))
        if is_left:
            left.append(item)
    config.hook.pytest_deselected(items=left)
    left_out = set(left)
    items[:] = [item for item in items if item not in left_out]


def _is_of_fork(item: pytest.Item) -> bool:
    return any(part in ("forge", "neo", "reforge") for part in item.path.parts)


def _cell(item: pytest.Item) -> tuple[object, ...] | None:
    """Where in the square it is; None for what is no part of it."""
    values = getattr(getattr(item, "callspec", None), "params", {})
    return tuple(values[name] for name in SQUARE) if all(name in values for name in SQUARE) else None


ONLY_LOOPBACK = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, one for the whole run; no name but loopback's resolves. Skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", ONLY_LOOPBACK]
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=chromium, args=arguments)
        yield opened
        opened.close()


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> Iterator[None]:
    """Stand-ins of the WebUI are forked from one process, which begins with the first of them."""
    fixtures.fork_server = server = ForkServer()
    yield
    fixtures.fork_server = None
    server.close()
