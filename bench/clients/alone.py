"""What no client can do without, alone: SHA-256 of the file (`hash`), or writing it and fsync (`write`)."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from pathlib import Path

from bench.clients.measured import Job, job, measure

BLOCK = 1 << 20


def hash_it(asked: Job) -> None:
    digest = hashlib.sha256()
    block = bytearray(BLOCK)
    with Path(asked.source).open("rb", buffering=0) as source:
        while count := source.readinto(block):
            digest.update(memoryview(block)[:count])
    assert digest.hexdigest() == asked.sha256


def write_it(asked: Job, parts: dict[str, float]) -> Path:
    """The bytes come from memory; `parts` gets the seconds that fsync alone took."""
    block = os.urandom(BLOCK)
    with asked.target.open("wb", buffering=0) as file:
        for start in range(0, asked.size, BLOCK):
            file.write(block[: asked.size - start])
        began = time.perf_counter()
        os.fsync(file.fileno())
        parts["fsync"] = time.perf_counter() - began
    return asked.target


if __name__ == "__main__":
    parts: dict[str, float] = {}
    if sys.argv[2] == "hash":
        measure(lambda: hash_it(job()), "hashlib", parts=parts)
    else:
        measure(lambda: write_it(job(), parts), "write(2), fsync(2)", parts=parts)
