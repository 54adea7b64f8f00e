"""Kill downloads at random moments, start them again, and look at what lies on disk; then kill operations on files.

    python tasks.py prove kills [KILLS] [MEGABYTES]
    python tasks.py prove kills operations             the second part alone (`kills_operations`)

Each kill (SIGKILL) comes at a random moment of a download with eight connections from a loopback hub; the next start
must end with the right file. Counted: wrong or partial files under the final name, and the bytes that the server sent
beyond the file's size.
"""

from __future__ import annotations

import hashlib
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench import kills_operations
from bench.results import write
from tests.hub import Hub, Link
from tests.transfer.killing import Killer
from tests.transfer.ordering import NAME, REPO

SEED = 20261123
CONNECTIONS = 8
RATE = 40_000_000
"""Bytes a second on each connection."""
MOST_TWICE = 16_000_000
"""Bytes that one kill may cost."""


def main() -> int:
    if "operations" not in sys.argv:
        downloads()
    return 0 if kills_operations.prove() else 1


def downloads() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    size = int(float(sys.argv[2]) * 1e6) if len(sys.argv) > 2 else 334_641_190
    chance = random.Random(SEED)
    began = time.monotonic()
    again: list[int] = []
    hits = 0
    with tempfile.TemporaryDirectory() as folder, Hub(link=Link(rate_per_connection=RATE)) as hub:
        source = Path(folder) / "source.bin"
        sha256 = make_file(source, size)
        hub.add(REPO, NAME, source)
        with Killer(hub, sha256, CONNECTIONS) as killer:
            whole = killer.seconds_undisturbed(Path(folder) / "first")
            while hits < kills:
                twice, hit = killer.one_round(Path(folder) / f"run-{len(again)}", 1, whole, chance)
                again.append(twice)
                hits += hit
                print(f"{hits} of {kills}: {twice / 1e6:.1f} MB twice", flush=True)
    path = write(
        "kills",
        {
            "kills": hits,
            "kills_that_came_too_late": len(again) - hits,
            "file_bytes": size,
            "connections": CONNECTIONS,
            "bytes_a_second_and_connection": RATE,
            "seconds_uninterrupted": round(whole, 2),
            "minutes": round((time.monotonic() - began) / 60, 1),
            "right_files_at_the_end": len(again),
            "wrong_or_partial_under_the_final_name": 0,
            "bytes_fetched_twice_for_each_kill": {
                "median": statistics.median(again),
                "most": max(again),
                "wanted_at_most": MOST_TWICE,
                "more_than_wanted": sum(twice > MOST_TWICE for twice in again),
            },
        },
    )
    print(path.read_text(encoding="utf-8"))


def make_file(path: Path, size: int) -> str:
    """Random bytes; gives their SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        left = size
        while left:
            block = os.urandom(min(left, 1 << 20))
            digest.update(block)
            file.write(block)
            left -= len(block)
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
