"""Accepted files have the same tensors in torch, to the bit; `python tasks.py prove pickles` takes a million files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("torch")
pytest.importorskip("numpy")

from .differential.comparison import FAULTS, Tally, TorchProcess, compare
from .differential.mutations import SHELL, a_file
from .differential.parts import put_together
from .differential.sources import sources
from .torch_files import Made, as_legacy, as_zip, state_dict

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="torch's process forks"),
]

FILES = 8_000
PIECE = 500
SEED = "differential"


@pytest.fixture(scope="module")
def torch_process() -> Iterator[TorchProcess]:
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder,
        TorchProcess(Path(folder)) as process,
    ):
        yield process


def test_sources_are_read_by_both(torch_process: TorchProcess) -> None:
    tally = compare(torch_process, [put_together(parts) for parts in sources()])
    read = tally.outcomes["equal"] + tally.outcomes["equal, with weights_only too"]
    unwritten = tally.outcomes["accepted here, written by torch and not read by it"]
    assert tally.faults == []
    assert read + unwritten == len(sources())
    assert read > 30


def test_torch_process_sees_what_a_file_would_run(torch_process: TorchProcess) -> None:
    """Guard against a differential test that cannot fail."""
    hostile = Made(b"\x80\x02" + SHELL + b".", {})
    tally = compare(torch_process, [as_zip(hostile), as_legacy(hostile), as_zip(state_dict({"a": (2,)}))])
    assert tally.ran == 2
    assert tally.outcomes["refused by both"] == 2


@pytest.mark.timeout(900)
def test_mutated_files_are_refused_or_equal(torch_process: TorchProcess) -> None:
    tally, chance = Tally(), Random(SEED)
    for _ in range(FILES // PIECE):
        tally.add(compare(torch_process, [a_file(chance) for _ in range(PIECE)]))
    assert {kind: tally.outcomes[kind] for kind in FAULTS} == dict.fromkeys(FAULTS, 0), tally.faults[:3]
    assert tally.outcomes.total() == FILES
    assert tally.outcomes["equal"] + tally.outcomes["equal, with weights_only too"] > FILES // 10
    assert tally.outcomes["refused by both"] > FILES // 10
    assert tally.ran > FILES // 100
