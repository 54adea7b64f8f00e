"""Both readers against thousands of files that are nearly right; `python tasks.py prove fuzz` takes a million."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vae_manager.errors import BrokenFileError
from vae_manager.files.pickles import read_torch

from .bombs import BOMBS
from .fuzzing import Outcome, a_header, a_torch_file, check_header, check_torch

EACH = 40
"""Files from one seed; hypothesis needs some time of its own for a seed."""
SECONDS = 1.0
"""Of the processor, for one file."""
MEGABYTES = 250
"""That one file may take."""

ten_thousand = settings(
    max_examples=10_000 // EACH, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
seeds = st.integers(0, 2**64 - 1)


def _all_hold(check: Callable[[Path, bytes], Outcome], make: Callable[[Random], bytes], path: Path, seed: int) -> None:
    chance = Random(seed)
    for _ in range(EACH):
        assert check(path, make(chance)).seconds < SECONDS


@ten_thousand
@given(seed=seeds)
def test_headers_are_taken_as_the_library_takes_them(tmp_path: Path, seed: int) -> None:
    pytest.importorskip("safetensors")
    _all_hold(check_header, a_header, tmp_path / "x", seed)


@ten_thousand
@given(seed=seeds)
def test_files_of_torch_are_read_or_refused(tmp_path: Path, seed: int) -> None:
    pytest.importorskip("numpy")
    _all_hold(check_torch, a_torch_file, tmp_path / "x", seed)


def test_the_inputs_are_of_every_kind(tmp_path: Path) -> None:
    """Else they would prove nothing."""
    pytest.importorskip("safetensors")
    pytest.importorskip("numpy")
    chance = Random(5)
    headers = Counter(check_header(tmp_path / "x", a_header(chance)).kind for _ in range(1000))
    torch_files = Counter(check_torch(tmp_path / "x", a_torch_file(chance)).kind for _ in range(1000))
    assert headers["accepted"] > 100 and len(headers) >= 5
    assert torch_files["accepted"] > 10 and torch_files["unsafe-pickle"] > 50 and len(torch_files) >= 6


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_takes_no_time(tmp_path: Path, bomb: str) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(BOMBS[bomb])
    began = time.process_time()
    with contextlib.suppress(BrokenFileError):
        read_torch(path)
    assert time.process_time() - began < SECONDS


WEIGH = """
import contextlib, pathlib, sys
from tests.files.bombs import BOMBS
from vae_manager.errors import BrokenFileError
from vae_manager.files.pickles import read_torch

def most():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))

before = most()
for data in BOMBS.values():
    path = pathlib.Path(sys.argv[1])
    path.write_bytes(data)
    with contextlib.suppress(BrokenFileError):
        read_torch(path)
print(most() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell a process's memory")
def test_no_bomb_takes_much_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WEIGH, str(tmp_path / "x")]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], check=True, capture_output=True, text=True)
    assert int(run.stdout) < 1000 * MEGABYTES
