"""How fast clients fetch one file of 335 MB from a loopback hub, over four links.

    python tasks.py prove transfer [--rounds N] [--only CLIENT]… [--link LINK]… [--folder FOLDER] [--calm SECONDS]

The hub is `python -m tests.hub`, a process of its own and a fresh one for every run; so is the client, which takes the
time inside, from the call to the return, its imports done before (curl and aria2c: from the start of the program to
its end). The clients take turns, so that a change of the machine meets all of them. The ratios that are wanted are
computed within a round. Before each run what the last one wrote is removed, the disks are synced, and what else runs
on the machine is given some seconds to end.

The result goes to bench/results/transfer.json and .md, unless --only or --link leave something out.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.clients.known import ALONE, CLIENTS, LINKS, Client, Link, missing
from bench.clients.run import Run, Source, run
from bench.clients.table import as_text, by_link, wanted
from bench.kills import make_file
from bench.results import write

SIZE = 334_641_164
"""Bytes, of the most used VAE of Stable Diffusion 1.x."""
NOTE = (
    "Seconds inside the client's process, from the call to the return. This project proves the SHA-256 and syncs "
    "the file to the disk; of the others only requests + SHA-256 does either."
)


def main() -> None:
    options = parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that hub, client and files go with it
    clients = [client for client in (*CLIENTS, *ALONE) if not options.only or client.name in options.only]
    links = [link for link in LINKS if not options.link or link.name in options.link]
    skipped = {client.name: why for client in clients if (why := missing(client))}
    for name, why in skipped.items():
        print(f"Skipped: {name}, {why}.", flush=True)
    clients = [client for client in clients if client.name not in skipped]
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "source.safetensors"
        source = Source(path, make_file(path, SIZE), SIZE)
        runs = list(all_runs(clients, links, options.rounds, source, Path(folder) / "run", options.calm))
    result = {
        "rounds": options.rounds,
        "file_bytes": SIZE,
        "note": NOTE,
        "links": by_link(runs),
        "wanted": wanted(runs, SIZE),
        "skipped": skipped,
    }
    text = as_text(result)
    print(f"\n{text}")
    if not options.only and not options.link:
        write("transfer", result).with_suffix(".md").write_text(text, encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python tasks.py prove transfer")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", action="append", choices=[client.name for client in (*CLIENTS, *ALONE)])
    options.add_argument("--link", action="append", choices=[link.name for link in LINKS])
    options.add_argument("--folder", type=Path, help="on the disk to write to; the system's temporary folder otherwise")
    options.add_argument(
        "--calm", type=float, default=10, help="seconds to wait, at most, for the machine to be idle before each run"
    )
    return options


def all_runs(
    clients: Sequence[Client], links: Sequence[Link], rounds: int, source: Source, folder: Path, calm: float
) -> Iterator[Run]:
    """Round after round: under each link one client after the other, then the rows that use no link."""
    for number in range(rounds):
        pairs: list[tuple[Client, Link | None]] = [
            (client, link) for link in links for client in clients if client.server
        ]
        pairs += [(client, None) for client in clients if not client.server]
        for client, link in pairs:
            done = run(client, link, number, source, folder, calm)
            outcome = f"failed: {done.error}" if done.error else f"{done.seconds:6.2f} s"
            print(f"{number + 1} of {rounds}  {done.link:8} {client.name:12} {outcome}", flush=True)
            yield done


if __name__ == "__main__":
    main()
