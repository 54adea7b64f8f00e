"""The stand-in has the names that the real WebUI has, and they are called in the same way."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.signatures import MISSING, NAMES, VALUE, describe, names_of

pytest.importorskip("torch")
pytest.importorskip("gradio")
pytestmark = pytest.mark.torch

HERE = Path(__file__).resolve().parent
RECORDED = {None: "v1.10.1", "forge": "forge-dfdcbab6", "reforge": "reforge-3b56b268"}
"""Which recording is the stand-in's, by its folder."""

GRADIO = {None: 3, "forge": 4, "reforge": 3}
COMPONENTS = "modules.ui_components."
"""How these are called is gradio's matter, so they are compared under the host's own generation of it."""

OTHERWISE = {"modules.ui_components.InputAccordion": "forge"}
"""gradio 4 reads a component's keywords there, and Forge's is an accordion."""


def real(like: str | None) -> dict[str, str]:
    file = HERE / f"signatures-{RECORDED[like]}.json"
    surface: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))["surface"]
    return surface


@pytest.mark.parametrize("like", RECORDED)
def test_stand_in_matches_the_real_one(like: str | None) -> None:
    """Name by name, parameter by parameter, default by default; also what a fork lacks."""
    command = [sys.executable, "-m", "tests.host.signatures", *([like] if like else [])]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, encoding="utf-8", check=True)
    own = json.loads(done.stdout)
    own_gradio = int(importlib.metadata.version("gradio").split(".")[0]) == GRADIO[like]
    names = [
        name
        for name in names_of(like)
        if (own_gradio or not name.startswith(COMPONENTS)) and OTHERWISE.get(name, "") != like
    ]
    different = {name: (own[name], real(like).get(name)) for name in names if own[name] != real(like).get(name)}
    assert different == {}


@pytest.mark.parametrize("like", RECORDED)
def test_recording_is_complete(like: str | None) -> None:
    surface = real(like)
    assert sorted(surface) == sorted(set(names_of(like)))
    assert [name for name in set(names_of(like)) - set(NAMES) if surface[name] == MISSING] == []


def test_a1111_has_all_of_its_own_surface() -> None:
    assert MISSING not in real(None).values()


def test_describe_writes_parameters_as_python_does() -> None:
    found = describe(["json.dumps", "json.JSONDecodeError.nothing", "no_such_module.x", "json.decoder.NaN"])
    assert found["json.dumps"] == (
        "(obj, *, skipkeys=False, ensure_ascii=True, check_circular=True, allow_nan=True, cls=None, indent=None, "
        "separators=None, default=None, sort_keys=False, **kw)"
    )
    assert found["json.JSONDecodeError.nothing"] == MISSING
    assert found["no_such_module.x"] == MISSING
    assert found["json.decoder.NaN"] == VALUE
