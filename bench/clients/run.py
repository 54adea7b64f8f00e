"""One run: a fresh hub in a process, a client in another, and what both told."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.clients.known import Client, Link
from bench.clients.load import Load, wait_for_calm
from bench.clients.measured import FILE, REPO, Job
from tests.environments import ROOT

LONGEST = 120
"""Seconds after which a client is given up; one connection at 20 MB/s takes 17."""
BLOCK = 1 << 20


@dataclass(frozen=True)
class Source:
    """The file that is fetched."""

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True)
class Run:
    """What one run gave. Memory and traffic in bytes."""

    client: str
    link: str
    """"" for the rows that use none."""
    round: int
    error: str | None = None
    """Why there is nothing else."""
    version: str = ""
    seconds: float = 0.0
    processor: float = 0.0
    """Seconds of processor time, of all processors together."""
    idle: int | None = None
    """Memory before the call, after the imports; None for programs."""
    peak: int = 0
    connections: int = 0
    """To the CDN at once, at most."""
    sent: int = 0
    """By the CDN."""
    right: bool | None = None
    """Whether the file that was written is the right one; None where none was."""
    fsync: float = 0.0
    """Seconds, of the row that only writes."""
    others: float = 0.0
    """Processors that were busy with something else meanwhile, on the average."""

    @property
    def above_idle(self) -> int | None:
        return None if self.idle is None else self.peak - self.idle


def run(client: Client, link: Link | None, number: int, source: Source, folder: Path, calm: float) -> Run:
    """Let one client fetch the file into `folder`, which is emptied before, after `calm` seconds at most of waiting."""
    begun = Run(client.name, link.name if link else "", number)
    program = shutil.which(client.program) or ""
    empty(folder)
    totals: dict[str, Any] = {}
    try:
        with served(client, link, source, totals) as (endpoint, server):
            job = Job(endpoint, str(source.path), str(folder), source.sha256, source.size, program)
            wait_for_calm(calm)
            warm(folder, 2 * source.size)
            before = Load.now(server)
            told = asked(client, job)
            others = Load.now(server).others_since(before)
        return replace(begun, **figures(told, totals, source, client), others=others)
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError, json.JSONDecodeError) as error:
        return replace(begun, error=last_line(error))
    finally:
        empty(folder)


def figures(told: dict[str, Any], totals: dict[str, Any], source: Source, client: Client) -> dict[str, Any]:
    """The report of the client and the totals of its server, as fields of `Run`."""
    cdn = totals.get("cdn", {})
    judged = told["path"] is not None and client.server
    return {
        **{name: told[name] for name in ("version", "seconds", "processor", "idle", "peak")},
        "connections": cdn.get("peak", 0),
        "sent": cdn.get("bytes", 0),
        "right": sha256_of(Path(told["path"])) == source.sha256 if judged else None,
        "fsync": told.get("parts", {}).get("fsync", 0.0),
    }


def empty(folder: Path) -> None:
    """Remove what the last client wrote, and wait until the disk has nothing left to do for it.

    Some clients leave their bytes to the system unwritten; the next one must not pay for that.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.sync()


def warm(folder: Path, size: int) -> None:
    """Have so many bytes of memory ready for the next process: write a file and remove it, unsynced.

    A virtual machine may hand its free memory back to the host after a second or two, and then pays for each page when
    it is touched again. Measured on one: 335 MB were written in 0.4 s to 0.9 s so, and in 0.07 s right after a first
    time, which would have been most of what is compared here without a limit of the link. It lasts for those seconds
    only: hf_transfer, which has the system write all at the end, pays about a second after a slow link nevertheless.
    """
    block = bytes(BLOCK)
    scratch = folder / "scratch"
    with scratch.open("wb", buffering=0) as file:
        for _ in range(0, size, BLOCK):
            file.write(block)
    scratch.unlink()


@contextmanager
def served(
    client: Client, link: Link | None, source: Source, totals: dict[str, Any]
) -> Iterator[tuple[str, int | None]]:
    """Run the client's server, give its endpoint and process; `totals` is filled at the end."""
    if not client.server or link is None:
        yield "", None
        return
    command = [sys.executable, "-m", client.server, "--file", f"{REPO}/{FILE}={source.path}", *link.arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip().removeprefix("HF_ENDPOINT="), process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            told, _ = process.communicate(timeout=30)
            totals.update(json.loads(told.splitlines()[-1]) if told.strip() else {})


def asked(client: Client, job: Job) -> dict[str, Any]:
    """Run the client and give its report."""
    command = [str(client.environment.python), "-m", f"bench.clients.{client.module}", job.as_argument()]
    done = subprocess.run(
        [*command, *client.arguments],
        cwd=ROOT,
        env=variables(client, job),
        capture_output=True,
        text=True,
        check=True,
        timeout=LONGEST,
    )
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def variables(client: Client, job: Job) -> dict[str, str]:
    """The environment of its process: this hub, a home of its own, no proxy, no token."""
    dropped = ("HF_", "HUGGING", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(dropped)}
    own = {
        "HF_ENDPOINT": job.endpoint,
        "HF_HOME": job.folder,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    }
    return kept | (own if job.endpoint else {}) | dict(client.settings)


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def last_line(error: Exception) -> str:
    """What the client said last, or that it took too long."""
    said = getattr(error, "stderr", None) or ""
    text = said.decode() if isinstance(said, bytes) else said
    return (text.strip().splitlines() or [str(error)])[-1]
