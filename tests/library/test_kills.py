"""Operations on several files that are cut off at any of their changes to the disk: the next look finds them whole.

Full size, by strace: bench/kills_operations.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .vaes import POSIX

ROOT = Path(__file__).parents[2]


@POSIX
@pytest.mark.parametrize("scenes", [
    ["trash"],
    ["undo"],
    ["move to another disk"],
    ["adopt by link", "convert"],
])  # fmt: skip
def test_whole_after_each_kill(scenes: list[str]) -> None:
    command = [sys.executable, "-m", "tests.library.killing", "--ways=links", *scenes]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["wrong"] == []
    assert result["kills"] > 5
