"""Both readers of files against inputs by the million.

    python tasks.py prove fuzz [INPUTS]

Half of them are safetensors files, half files of torch.save; each is nearly right, made from a seed. Counted: how they
were taken, crashes (anything but an error of ours, anything run or imported, any difference with the safetensors
library that is not documented), the slowest, and the memory that a process came to have. A tenth as many files of torch
are read by torch.load too: what is accepted has the same tensors there, or is refused.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from bench.results import write
from tests.files.bombs import BOMBS
from tests.files.fuzzing import Outcome, a_header, a_torch_file, check_header, check_torch, compare_with_torch
from vae_manager.errors import BrokenFileError
from vae_manager.files import read_contents

PROCESSES = 2
BATCH = 2_000
"""Inputs from one seed."""
SHOWN = 5
"""Crashes of which the input is kept."""

READERS: dict[str, tuple[Callable[[Random], bytes], Callable[[Path, bytes], Outcome]]] = {
    "header": (a_header, check_header),
    "torch": (a_torch_file, check_torch),
    "torch, held against torch.load": (a_torch_file, compare_with_torch),
}
"""The last one needs memory for torch itself, so it comes in processes of its own."""
COMPARED: Final = "torch, held against torch.load"


@dataclass
class Tally:
    """What came of some inputs to one reader."""

    reader: str
    taken: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    crashes: list[str] = field(default_factory=list)
    megabytes: float = 0.0
    """The most memory that the process had, itself included."""

    def add(self, other: Tally) -> None:
        self.taken += other.taken
        self.slowest = max(self.slowest, other.slowest)
        self.crashes += other.crashes
        self.megabytes = max(self.megabytes, other.megabytes)

    def figures(self) -> dict[str, object]:
        kinds = dict(self.taken.most_common())
        return {
            "inputs": self.taken.total(),
            "crashes": len(self.crashes),
            "crashed": self.crashes[:SHOWN],
            "slowest_processor_ms": round(1000 * self.slowest, 2),
            "most_memory_mb": round(self.megabytes, 1),
            "taken": {kind: count for kind, count in kinds.items() if not kind.startswith("differs")},
            "documented_differences_with_the_library": {
                kind: count for kind, count in kinds.items() if kind.startswith("differs")
            },
        }


def batch(task: tuple[str, int]) -> Tally:
    reader, seed = task
    make, check = READERS[reader]
    tally, chance = Tally(reader), Random(f"{reader} {seed}")
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        path = Path(folder) / "x"
        for _ in range(BATCH):
            data = make(chance)
            try:
                kind, seconds = check(path, data)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
                tally.crashes.append(f"{type(error).__name__}: {data[:500]!r}")
                kind, seconds = "crashed", 0.0
            tally.taken[kind] += 1
            tally.slowest = max(tally.slowest, seconds)
    tally.megabytes = memory()
    return tally


def memory() -> float:
    """The most memory that this process has had, in MB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1000


def bombs() -> dict[str, float]:
    """The files made to cost much: processor time of each, in ms."""
    taken: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        for name, data in BOMBS.items():
            path.write_bytes(data)
            began = time.process_time()
            with contextlib.suppress(BrokenFileError):
                read_contents(path)
            taken[name] = round(1000 * (time.process_time() - began))
    return taken


def run(readers: list[str], inputs: int) -> dict[str, Tally]:
    """`inputs` in all, for these readers in turn."""
    tallies = {reader: Tally(reader) for reader in readers}
    tasks = [(reader, seed) for seed in range(-(-inputs // (len(readers) * BATCH))) for reader in readers]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for done, tally in enumerate(pool.imap_unordered(batch, tasks), 1):
            tallies[tally.reader].add(tally)
            if done % 50 == 0:
                print(f"{done * BATCH:,} of {len(tasks) * BATCH:,}", flush=True)
    return tallies


def main() -> None:
    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else 1_200_000
    os.nice(10)
    began = time.monotonic()
    tallies = run([reader for reader in READERS if reader != COMPARED], inputs)
    tallies |= run([COMPARED], inputs // 10)
    path = write(
        "fuzz",
        {
            "inputs": sum(tally.taken.total() for tally in tallies.values()),
            "minutes": round((time.monotonic() - began) / 60, 1),
            "readers": {reader: tally.figures() for reader, tally in tallies.items()},
            "processor_ms_of_files_made_to_cost_much": bombs(),
        },
    )
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
