"""Which WebUI this is, told by what it has: each test makes the modules of one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vae_manager.webui.hosts.host_values import A1111_SURFACE, REFORGE_SURFACE, Surface, host_here

Make = Callable[..., None]


@pytest.fixture
def webui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes the modules of a surface, without some names, and with other modules besides."""
    ours = ("modules", "modules_forge", "ldm_patched")
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] in ours}
    for name in before:
        del sys.modules[name]
    monkeypatch.syspath_prepend(tmp_path)

    def make(surface: Surface, *, without: str = "", besides: tuple[str, ...] = ()) -> None:
        names = {**surface, **dict.fromkeys(besides, ())}
        for module, has in names.items():
            path = tmp_path.joinpath(*module.split("."))
            path.parent.mkdir(parents=True, exist_ok=True)
            for package in path.relative_to(tmp_path).parents:
                if package != Path():
                    (tmp_path / package / "__init__.py").touch()
            text = "".join(f"{name} = None\n" for name in has if f"{module}.{name}" != without)
            path.with_suffix(".py").write_text(text, encoding="utf-8")

    yield make
    for name in [name for name in sys.modules if name.split(".")[0] in ours]:
        del sys.modules[name]
    sys.modules.update(before)


def test_a1111(webui: Make) -> None:
    webui(A1111_SURFACE)
    assert host_here() == "a1111"


def test_reforge(webui: Make) -> None:
    webui(REFORGE_SURFACE)
    assert host_here() == "reforge"


def test_forge_is_not_reforge(webui: Make) -> None:
    """It has all these functions too, and they do nothing."""
    webui(REFORGE_SURFACE, besides=("modules_forge.main_entry",))
    assert host_here() != "reforge"


@pytest.mark.parametrize("name", [f"{module}.{name}" for module, names in REFORGE_SURFACE.items() for name in names])
def test_a_fork_of_forge_that_lacks_anything_is_unknown(webui: Make, name: str) -> None:
    webui(REFORGE_SURFACE, without=name)
    assert host_here() == "unknown"


@pytest.mark.parametrize("name", [f"{module}.{name}" for module, names in A1111_SURFACE.items() for name in names])
def test_a_webui_that_lacks_anything_is_unknown(webui: Make, name: str) -> None:
    webui(A1111_SURFACE, without=name)
    assert host_here() == "unknown"
