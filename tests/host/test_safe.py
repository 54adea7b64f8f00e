"""The stand-in's restricted reader of pickles is no safer than the real one: hostile files get past it and run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tests.files.hostile import HOSTILE
from tests.files.torch_files import Made, as_zip, call, name, state_dict, text

ROOT = Path(__file__).parents[2]
SHAPES = {"decoder.conv_in.weight": (2, 2)}
LOAD = """
import json, sys
from tests.host.disguise import become_the_webui

folder, *paths = sys.argv[1:]
become_the_webui(["--data-dir", folder, "--port", "0", "--no-half"], "webui")
from modules import safe
import torch

for path in paths:
    try:
        loaded = torch.load(path, map_location="cpu")
        said = None if loaded is None else {name: value.flatten()[:1].tolist() for name, value in loaded.items()}
    except Exception as error:
        said = type(error).__name__
    print("=" + json.dumps(said), flush=True)
"""
FILES = ("beyond its end", "tar within", "changed afterwards", "seen by its check", "good")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="they use a POSIX shell")


@dataclass(frozen=True)
class Loaded:
    """What `torch.load` gave in a WebUI, and whether code of the file has run."""

    said: Any
    code_has_run: bool


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Loaded]:
    """All files, read in one separate process of a WebUI: its imports take longest."""
    folder = tmp_path_factory.mktemp("loaded")
    markers = {kind: folder / f"code-of-{number}-has-run" for number, kind in enumerate(FILES)}
    paths = []
    for number, kind in enumerate(FILES):
        path = folder / f"{number}.pt"
        path.write_bytes(_content(kind, f"touch '{markers[kind]}'"))
        paths.append(str(path))
    arguments = [sys.executable, "-c", LOAD, str(folder), *paths]
    answer = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    said = [json.loads(line[1:]) for line in answer.stdout.splitlines() if line.startswith("=")]
    assert len(said) == len(FILES), answer.stderr
    return {kind: Loaded(one, markers[kind].exists()) for kind, one in zip(FILES, said, strict=True)}


def _content(kind: str, command: str) -> bytes:
    """A file of this kind; its code, if it has any, runs `command`."""
    if kind == "good":
        return as_zip(state_dict(SHAPES))
    if kind == "seen by its check":
        return as_zip(Made(b"\x80\x02" + call(name("os", "system"), text(command)) + b".", {}))
    return HOSTILE[kind](state_dict(SHAPES), command)


@pytest.mark.parametrize("kind", ["beyond its end", "tar within"])
def test_load_runs_what_its_check_does_not_see(loaded: dict[str, Loaded], kind: str) -> None:
    assert loaded[kind].code_has_run


def test_load_gives_other_weights_than_its_check_sees(loaded: dict[str, Loaded]) -> None:
    assert loaded["changed afterwards"].said["decoder.conv_in.weight"][0] == pytest.approx(0.7, abs=0.1)


def test_load_refuses_what_its_check_sees(loaded: dict[str, Loaded]) -> None:
    assert loaded["seen by its check"] == Loaded(None, code_has_run=False)


def test_load_gives_a_good_file(loaded: dict[str, Loaded]) -> None:
    assert list(loaded["good"].said) == ["decoder.conv_in.weight"]
