"""The straightforward client: requests, one connection, SHA-256 in line, written and synced."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import requests

from bench.clients.measured import Job, job, measure

BLOCK = 1 << 20


def fetch(asked: Job) -> Path:
    digest = hashlib.sha256()
    with requests.get(asked.address, stream=True, timeout=30) as answer, asked.target.open("wb") as file:
        answer.raise_for_status()
        for block in answer.iter_content(BLOCK):
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() != asked.sha256:
        raise ValueError("the hash is wrong")
    return asked.target


if __name__ == "__main__":
    measure(lambda: fetch(job()), f"requests {requests.__version__}")
