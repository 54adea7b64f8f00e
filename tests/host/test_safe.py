"""The stand-in's restricted reader of pickles is no safer than the real one: hostile files get past it and run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.files.hostile import HOSTILE
from tests.files.torch_files import Made, as_zip, call, name, state_dict, text

ROOT = Path(__file__).parents[2]
SHAPES = {"decoder.conv_in.weight": (2, 2)}
LOAD = """
import sys
from tests.host.disguise import become_the_webui

folder, path = sys.argv[1:]
become_the_webui(["--data-dir", folder, "--port", "0", "--no-half"], "webui")
from modules import safe
import torch

try:
    loaded = torch.load(path, map_location="cpu")
    print(None if loaded is None else {name: value.flatten()[:1].tolist() for name, value in loaded.items()})
except Exception as error:
    print(type(error).__name__)
"""


def load(tmp_path: Path, data: bytes) -> str:
    """Return the output of `torch.load` in a separate process of a WebUI."""
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    arguments = [sys.executable, "-c", LOAD, str(tmp_path), str(path)]
    answer = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.stdout, answer.stderr
    return answer.stdout.strip().splitlines()[-1]


@pytest.mark.skipif(os.name == "nt", reason="they use a POSIX shell")
@pytest.mark.parametrize("kind", ["beyond its end", "tar within"])
def test_load_runs_what_its_check_does_not_see(tmp_path: Path, kind: str) -> None:
    marker = tmp_path / "code-has-run"
    load(tmp_path, HOSTILE[kind](state_dict(SHAPES), f"touch '{marker}'"))
    assert marker.exists()


def test_load_gives_other_weights_than_its_check_sees(tmp_path: Path) -> None:
    assert "'decoder.conv_in.weight': [0.7" in load(tmp_path, HOSTILE["changed afterwards"](state_dict(SHAPES), ""))


def test_load_refuses_what_its_check_sees(tmp_path: Path) -> None:
    marker = tmp_path / "code-has-run"
    code = call(name("os", "system"), text(f"touch '{marker}'"))
    assert load(tmp_path, as_zip(Made(b"\x80\x02" + code + b".", {}))) == "None"
    assert not marker.exists()


def test_load_gives_a_good_file(tmp_path: Path) -> None:
    assert load(tmp_path, as_zip(state_dict(SHAPES))).startswith("{'decoder.conv_in.weight': [")
