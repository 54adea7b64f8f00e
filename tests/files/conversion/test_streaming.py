"""How much memory a conversion takes, and what a `kill -9` leaves: in a process of its own, on a file of 200 MB."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.files.samples import encode, header_of
from tests.files.whole_vaes import SD, names
from vae_manager.files import inspect
from vae_manager.files.conversion import convert

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc")

ROOT = Path(__file__).parents[3]
LARGEST = 100_000_000
"""Bytes of the largest tensor."""
SPARE = 64_000_000

MEASURE = """
import sys
from pathlib import Path
import numpy
from vae_manager.files.conversion import convert
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024
before = peak()
convert(Path(sys.argv[1]), Path(sys.argv[2]), dtype=sys.argv[3] or None)
print(peak() - before)
"""

KILLED = """
import sys, time
from pathlib import Path
from vae_manager.files.conversion import convert
def report(done, total):
    if done > 0.7 * total:
        print("here", flush=True)
        time.sleep(60)
convert(Path(sys.argv[1]), Path(sys.argv[2]), report=report)
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAE in diffusers' layout with one huge tensor; all but the header is a hole."""
    shapes: Mapping[str, tuple[int, ...]] = {
        **{theirs: shape for _, theirs, shape in names(SD)},
        "encoder.down_blocks.0.resnets.0.conv1.weight": (LARGEST // 4,),
        "encoder.down_blocks.0.resnets.0.conv2.weight": (LARGEST // 4,),
    }
    header, size = header_of(shapes)
    path = tmp_path_factory.mktemp("source") / "large.safetensors"
    raw = encode(header)
    path.write_bytes(raw)
    os.truncate(path, len(raw) + size)
    return path


@pytest.mark.parametrize("dtype", ["", "fp16", "bf16"])
def test_memory(source: Path, tmp_path: Path, dtype: str) -> None:
    command = [sys.executable, "-c", MEASURE, str(source), str(tmp_path / "x.safetensors"), dtype]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert int(process.stdout) < SPARE, "less than the bound even without the largest tensor's share"


def test_a_kill_leaves_what_no_webui_lists_and_the_next_run_tidies(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.safetensors"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, source, target], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "here\n"
    [partial] = tmp_path.iterdir()
    assert partial.name.startswith(".") and not partial.name.endswith((".safetensors", ".ckpt", ".pt"))
    time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [path.name for path in tmp_path.iterdir()] == [partial.name]
    convert(source, target)
    assert [path.name for path in tmp_path.iterdir()] == [target.name]
    assert inspect(target).table is not None
