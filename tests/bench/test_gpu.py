"""The measurement for a GPU takes each of its steps on a CPU, with torch, safetensors and numpy alone."""

from __future__ import annotations

import importlib
import itertools
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("safetensors")

import torch

from bench import gpu, gpu_stage
from bench.gpu import Clock, Section, Unusable
from bench.gpu_stage import Way
from bench.results import FOLDER

pytestmark = pytest.mark.torch

OURS = ("vae_manager", "bench", "tests.files")
OF_A_WEBUI = (
    *("gradio", "fastapi", "requests", "urllib3", "huggingface_hub", "yaml", "PIL", "skimage", "scipy", "jinja2"),
    *("markupsafe", "psutil", "tqdm", "fsspec"),
)
CPU = torch.device("cpu")


@pytest.fixture
def alone() -> Iterator[None]:
    """The project's modules load anew, and no package of a WebUI can be imported."""
    before = dict(sys.modules)
    for name in before:
        if name in OURS or name.startswith(tuple(f"{package}." for package in OURS)):
            del sys.modules[name]
    sys.modules.update(dict.fromkeys(OF_A_WEBUI))  # type: ignore[arg-type]
    yield
    sys.modules.clear()
    sys.modules.update(before)


def test_a_dry_run_takes_each_step_and_writes_nothing(alone: None, tmp_path: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in FOLDER.iterdir()}
    loaded: Any = importlib.import_module("bench.gpu")
    assert loaded is not gpu
    result = loaded.main(["--dry-run"])
    assert result["left_out"] == []
    stage = gpu_stage.Bench(CPU, tmp_path, tiny=True)
    assert result["sections"].keys() == {section.name for section in gpu_stage.sections(stage)}
    assert all(section["rounds"] == 1 for section in result["sections"].values())
    ways = [section["ways"].keys() for section in result["sections"].values()]
    assert ways[:2] == 2 * [{gpu.FILE, gpu.RAM, gpu.GPU, gpu.WEBUI, gpu.UNET}]
    assert len(result["ratios"]) == 2 * 6 + 2 + 2
    assert {path: path.stat().st_mtime_ns for path in FOLDER.iterdir()} == files


def test_a_round_begins_only_if_the_longest_so_far_fits() -> None:
    now = itertools.count(0, 2).__next__  # each look at it takes two seconds: a round takes two, and two pass between
    clock = Clock(20, now)
    assert list(clock.rounds("first", 10, 0.5)) == [-1, 0]
    assert list(clock.rounds("second", 1, 1.0)) == [-1, 0]
    assert len(clock.left_out) == 1
    assert clock.left_out[0].startswith("first")


@pytest.fixture
def stage(tmp_path: Path) -> gpu_stage.Bench:
    return gpu_stage.Bench(CPU, tmp_path, tiny=True)


@pytest.mark.parametrize("error", [Unusable("no"), RuntimeError("CUDA error"), MemoryError()])
def test_what_cannot_be_measured_is_named_and_the_rounds_before_it_count(
    stage: gpu_stage.Bench, error: Exception
) -> None:
    def work() -> None:
        if next(numbers) == 3:  # after the warm-up and two rounds
            raise error

    numbers, clock, found = itertools.count(), Clock(600), list[gpu.Round]()
    gpu.measure(stage, CPU, Section("x", lambda number: {"a": Way(work)}, 1.0), clock, 5, found)
    assert len(found) == 2
    assert len(clock.left_out) == 1


@pytest.mark.parametrize("way", [gpu.RAM, gpu.WEBUI])
def test_a_swap_that_puts_in_other_weights_is_noticed(stage: gpu_stage.Bench, way: str) -> None:
    stage.model.unet = torch.nn.Module()
    stage.start_from("a", "b", way)
    (stage.reload if way == gpu.WEBUI else stage.put)("b")
    stage.check_swap("b", way)
    with torch.no_grad():
        next(stage.module.parameters()).flatten()[0] += 1
    with pytest.raises(Unusable):
        stage.check_swap("b", way)


def test_a_swap_from_elsewhere_is_noticed(stage: gpu_stage.Bench) -> None:
    stage.start_from("a", "b", gpu.FILE)
    stage.put("b")
    with pytest.raises(Unusable):
        stage.check_swap("b", gpu.RAM)


def test_a_hang_ends_with_what_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    saved, ended = threading.Event(), threading.Event()
    monkeypatch.setattr(os, "_exit", lambda status: ended.set())
    with gpu.ends_after(0.0, saved.set, str(tmp_path)):
        assert ended.wait(60)
    assert saved.is_set()
    assert not tmp_path.exists()


def test_the_text_has_a_line_for_each_way() -> None:
    sample = {"ms": 4.0, "gpu_ms": 3.0, "peak_mb": 167.0}
    found = {"swap beside X": [dict.fromkeys((gpu.FILE, gpu.RAM, gpu.GPU, gpu.UNET, gpu.WEBUI), sample)]}
    text = gpu.as_text(gpu.figures(CPU, found, {}, ["y"]))
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert sum("| 167 |" in line for line in rows) == 5
    assert sum("swap beside X" in line for line in rows) == 6
