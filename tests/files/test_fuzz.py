"""Both readers against thousands of files that are nearly right; `python tasks.py prove fuzz` takes a million."""

from __future__ import annotations

import contextlib
import gc
import pickletools
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vae_manager.errors import BrokenFileError
from vae_manager.files import read_contents

from .bombs import BOMBS
from .fuzzing import Outcome, a_header, a_torch_file, check_header, check_torch

EACH = 40
"""Files from one seed; hypothesis needs some time of its own for a seed."""
SECONDS = 1.0
"""Of the processor, for one file."""
YARDSTICKS = 10
"""What a bomb may cost at most, in times that the standard library takes to list as many instructions as a file may
have: about a second of a calm machine, and longer on one with other work."""
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
def test_a_bomb_costs_little(tmp_path: Path, bomb: str) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(BOMBS[bomb])
    gc.freeze()  # what other tests have left here is none of its cost
    try:
        before, began = _megabytes("VmRSS"), time.process_time()
        with contextlib.suppress(BrokenFileError):
            read_contents(path)
        seconds, megabytes = time.process_time() - began, _megabytes("VmHWM") - before
    finally:
        gc.unfreeze()
    assert megabytes < MEGABYTES
    assert seconds < YARDSTICKS * _yardstick()


def _yardstick() -> float:
    """Seconds of the processor, here and now."""
    began = time.process_time()
    for _ in pickletools.genops(b"]" * 600_000 + b"."):
        pass
    return time.process_time() - began


def _megabytes(kind: str) -> float:
    """What this process has now (VmRSS), or has had at most since this was last asked (VmHWM).

    0 where the system does not tell.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(kind)) / 1000
