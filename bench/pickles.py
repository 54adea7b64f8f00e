"""The reader of torch's files against torch itself, by the million.

    python tasks.py prove pickles [FILES]

Files of torch.save, some valid and some with a wrong instruction, frame, identity or header, are read by the
project's reader and by torch.load in a separate process. The reader refuses each file, or reads the same tensors.
Each batch has its own seed. Finished batches are kept in bench/results/pickles-parts.jsonl, so that an interrupted
run continues there.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from bench.results import FOLDER, write
from tests.files.differential.comparison import FAULTS, Tally, TorchProcess, compare
from tests.files.differential.mutations import a_file

PROCESSES = 2
BATCH = 2_000
"""Files from one seed."""
PIECE = 500
"""Files that lie on the disk at once."""
SHOWN = 20
PARTS = FOLDER / "pickles-parts.jsonl"

_torch: list[TorchProcess] = []


def begin(folder: str) -> None:
    """Set up a worker process, which has its own torch and folder."""
    _torch.append(TorchProcess(Path(tempfile.mkdtemp(dir=folder))))


def batch(seed: int) -> dict[str, Any]:
    """Compare one batch, in a process that keeps its torch."""
    began = time.process_time()
    tally, chance = Tally(), Random(f"pickles {seed}")
    for _ in range(BATCH // PIECE):
        tally.add(compare(_torch[0], [a_file(chance) for _ in range(PIECE)]))
    return {
        "seed": seed,
        "torch": _torch[0].version,
        "seconds": round(time.process_time() - began, 2),
        "outcomes": tally.outcomes,
        "refusals": tally.refusals,
        "would_have_run_in_torch": tally.ran,
        "faults": tally.faults[:SHOWN],
    }


def done_before() -> dict[int, dict[str, Any]]:
    if not PARTS.exists():
        return {}
    parts = [json.loads(line) for line in PARTS.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
    return {part["seed"]: part for part in parts}


def main() -> None:
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    os.nice(10)
    seeds, done = range(-(-files // BATCH)), done_before()
    left = [seed for seed in seeds if seed not in done]
    with (
        tempfile.TemporaryDirectory(
            prefix="vae-pickles-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None
        ) as folder,
        multiprocessing.get_context("spawn").Pool(PROCESSES, begin, (folder,)) as pool,
        PARTS.open("a", encoding="utf-8") as log,
    ):
        for part in pool.imap_unordered(batch, left):
            done[part["seed"]] = part
            log.write(json.dumps(part) + "\n")
            log.flush()
            print(f"{len(done) * BATCH:,} of {len(seeds) * BATCH:,}", flush=True)
    print(_written([done[seed] for seed in seeds]).read_text(encoding="utf-8"))
    PARTS.unlink()


def _written(parts: list[dict[str, Any]]) -> Path:
    outcomes: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    for part in parts:
        outcomes.update(part["outcomes"])
        refusals.update(part["refusals"])
    return write(
        "pickles",
        {
            "files": outcomes.total(),
            "seeds": f"pickles 0 to pickles {len(parts) - 1}, {BATCH} files each",
            "torch": parts[0]["torch"],
            "processor_minutes_of_this_side": round(sum(part["seconds"] for part in parts) / 60, 1),
            "outcomes": dict(outcomes.most_common()),
            "must_be_none": {kind: outcomes[kind] for kind in FAULTS},
            "refused_here_by_code": dict(refusals.most_common()),
            "would_have_run_something_in_torch": sum(part["would_have_run_in_torch"] for part in parts),
            "faults": [fault for part in parts for fault in part["faults"]][:SHOWN],
        },
    )


if __name__ == "__main__":
    main()
