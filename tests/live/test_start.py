"""What the extension adds to the WebUI's start: `--starts 7` measures it, beside as many starts without it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..hub import Hub
from .conftest import option
from .webui import WebUI

pytestmark = pytest.mark.live

LIMIT = 0.060
OWN = ("vae_manager", "extension.py")
"""Marks of our own parts in the start-up profile: the script, and callbacks, which bear the name of their module."""
SHARED = ("scripts before_ui_callback", "create ui", "refresh VAE", "add APIs", "load scripts")
"""Parts that hold work of ours beside others' work."""


@pytest.fixture
def starts(pytestconfig: pytest.Config, restart: None) -> int:
    count = int(option(pytestconfig, "--starts", 0))
    if not count:
        pytest.skip("takes minutes: --starts N")
    return count


@pytest.fixture
def name(folder: Path) -> str:
    """The extension's folder name."""
    here = Path(__file__).parents[2].resolve()
    found = [path.name for path in (folder / "extensions").iterdir() if path.resolve() == here]
    if not found:
        pytest.skip("the extension in DIR/extensions is not this one")
    return found[0]


@pytest.fixture
def disabled(webui: WebUI) -> Iterator[list[str]]:
    """Extensions that the person has switched off; only these are off at the end."""
    off = list(webui.options().get("disabled_extensions") or [])
    yield off
    webui.set(disabled_extensions=off)
    webui.restart()


def test_start_up_cost(webui: WebUI, starts: int, name: str, disabled: list[str], pictures: Path) -> None:
    """Alternately with and without, so that whatever else the machine does meets both."""
    profiles: dict[bool, list[dict[str, float]]] = {True: [], False: []}
    for number in range(2 * starts + 1):
        there = number % 2 == 0
        webui.set(disabled_extensions=[*disabled, *([] if there else [name])])
        webui.restart_bare()
        if number:  # the first start compiles
            profiles[there].append(webui.start_profile())
    own = [sum(seconds for part, seconds in one.items() if _is_own(part)) for one in profiles[True]]
    figures = {
        "own parts, ms": _figures(own),
        **{
            f"{part}, ms, {'with' if there else 'without'}": _figures([one.get(part, 0.0) for one in seen])
            for part in SHARED
            for there, seen in profiles.items()
        },
    }
    print(json.dumps(figures, indent=1))
    (pictures / "start.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    assert statistics.median(own) < LIMIT


def _is_own(part: str) -> bool:
    return "/" in part and "installers" not in part and part.rpartition("/")[2].startswith(OWN)


def _figures(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(1000 * one for one in seconds)
    return {
        "median": round(statistics.median(ordered), 1),
        "least": round(ordered[0], 1),
        "most": round(ordered[-1], 1),
    }


@pytest.mark.usefixtures("restart")
def test_nothing_is_sent_hashed_or_made_at_the_start(webui: WebUI, folder: Path, hub: Hub) -> None:
    """A start with no page opened: no file appears or changes in the VAE folder or the extension's own."""
    webui.choose("Automatic")  # a file would be read, and its hash kept
    webui.set(vae_manager_endpoint=hub.endpoint)
    (folder / "vae-manager" / "records.sqlite3").unlink(missing_ok=True)
    asked, before = len(hub.requests), _files(folder)
    webui.restart_bare()
    assert len(hub.requests) == asked
    assert _files(folder) == before


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    named_tensors = [folder / "vae-manager", folder / "models" / "VAE", folder / "extensions"]
    found = [p for place in named_tensors for p in place.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}
