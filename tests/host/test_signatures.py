"""The stand-in has the names that the real WebUI has, and they are called in the same way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.signatures import MISSING, NAMES, VALUE, describe

pytest.importorskip("torch")
pytest.importorskip("gradio")
pytestmark = pytest.mark.torch

HERE = Path(__file__).resolve().parent
REAL = HERE / "signatures-v1.10.1.json"


@pytest.fixture(scope="module")
def real() -> dict[str, str]:
    surface: dict[str, str] = json.loads(REAL.read_text(encoding="utf-8"))["surface"]
    return surface


def test_stand_in_matches_the_real_webui(real: dict[str, str]) -> None:
    """Name by name, parameter by parameter, default by default."""
    command = [sys.executable, "-m", "tests.host.signatures"]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, encoding="utf-8", check=True)
    own = json.loads(done.stdout)
    different = {name: (own[name], real.get(name)) for name in NAMES if own[name] != real.get(name)}
    assert different == {}


def test_recording_is_complete(real: dict[str, str]) -> None:
    assert sorted(real) == sorted(NAMES)
    assert [name for name, how in real.items() if how == MISSING] == []


def test_describe_writes_parameters_as_python_does() -> None:
    found = describe(["json.dumps", "json.JSONDecodeError.nothing", "no_such_module.x", "json.decoder.NaN"])
    assert found["json.dumps"] == (
        "(obj, *, skipkeys=False, ensure_ascii=True, check_circular=True, allow_nan=True, cls=None, indent=None, "
        "separators=None, default=None, sort_keys=False, **kw)"
    )
    assert found["json.JSONDecodeError.nothing"] == MISSING
    assert found["no_such_module.x"] == MISSING
    assert found["json.decoder.NaN"] == VALUE
