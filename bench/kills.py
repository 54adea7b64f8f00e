"""Kill a download at random moments, start it again, and look at what lies on disk.

    python tasks.py prove kills [ROUNDS] [MEGABYTES]

Each round downloads a file from a loopback hub with the command line, in a process that is killed (SIGKILL) three
times at random moments and then let finish. Counted: wrong or partial files under the final name, and the bytes that
the server sent beyond the file's size.
"""

from __future__ import annotations

import hashlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.results import write
from tests.hub import Hub, Link
from vae_manager.files import sha256_of

SEED = 20261122
KILLS_A_ROUND = 3
RATE = 100_000_000
"""Bytes a second: so that most kills fall into the download, not before it."""


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    size = int(float(sys.argv[2]) * 1e6) if len(sys.argv) > 2 else 334_641_190
    chance = random.Random(SEED)
    with tempfile.TemporaryDirectory() as folder, Hub(link=Link(rate_per_connection=RATE)) as hub:
        source = Path(folder) / "source.safetensors"
        sha256 = make_file(source, size)
        hub.add("owner/repo", "vae.safetensors", source)
        whole = uninterrupted(Path(folder) / "first", hub, sha256)
        again: list[int] = []
        for number in range(rounds):
            target = Path(folder) / f"round-{number}"
            again.append(one_round(target, hub, sha256, size, whole, chance))
            print(f"{number + 1} of {rounds}: {again[-1] / 1e6:.1f} MB twice", flush=True)
    path = write(
        "kills",
        {
            "rounds": rounds,
            "file_bytes": size,
            "kills_a_round": KILLS_A_ROUND,
            "seconds_uninterrupted": round(whole, 2),
            "wrong_or_partial_under_final_name": 0,
            "right_files": len(again),
            "bytes_sent_beyond_the_size_a_round": {"median": statistics.median(again), "most": max(again)},
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


def command(target: Path, hub: Hub, sha256: str) -> subprocess.Popen[bytes]:
    target.mkdir(exist_ok=True)
    catalogue = target.with_suffix(".yaml")
    catalogue.write_text(
        f"- {{id: big, name: Big, family: sd1, sha256: {sha256}, source: 'hub:owner/repo/vae.safetensors'}}\n",
        encoding="utf-8",
    )
    arguments = ["get", "big", "--catalogue", str(catalogue), "--dir", str(target), "--endpoint", hub.endpoint]
    return subprocess.Popen([sys.executable, "-m", "vae_manager", *arguments], stdout=subprocess.DEVNULL)


def uninterrupted(target: Path, hub: Hub, sha256: str) -> float:
    """Seconds of one download that nobody disturbs."""
    began = time.monotonic()
    assert command(target, hub, sha256).wait() == 0
    (target / "vae.safetensors").unlink()
    return time.monotonic() - began


def one_round(target: Path, hub: Hub, sha256: str, size: int, whole: float, chance: random.Random) -> int:
    """Kill, kill, kill, finish; gives the bytes that were sent beyond the file's size. Fails on any wrong file."""
    final = target / "vae.safetensors"
    before = hub.cdn.sent()
    for _ in range(KILLS_A_ROUND):
        process = command(target, hub, sha256)
        try:
            process.wait(timeout=chance.uniform(0, whole))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if final.exists():
            assert sha256_of(final) == sha256, f"{final} is wrong"
    hub.settle()
    assert command(target, hub, sha256).wait() == 0
    assert sha256_of(final) == sha256
    assert [path.name for path in target.iterdir()] == [final.name], "nothing is left behind"
    hub.settle()
    final.unlink()
    return hub.cdn.sent() - before - size


if __name__ == "__main__":
    main()
