"""Deliveries in processes that are killed: `python -m tests.transfer.killing` reads orders from its input.

Each line is one order as JSON. It is carried out in a fork of its own, so that no time goes into imports. The next line
says whether that process is to be killed or waited for; how it ended is printed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.hub import Hub
from tests.transfer.ordering import NAME, REPO
from vae_manager.catalogue.entry import HubSource
from vae_manager.files import sha256_of
from vae_manager.transfer import DownloadRequest, Network, download_file, unfinished

ROOT = Path(__file__).parents[2]
KILL, WAIT = "kill\n", "wait\n"
SPREAD = 1.05
"""Kills come up to a little after the time that a delivery takes."""


@dataclass(frozen=True)
class Job:
    """What a process is to fetch."""

    endpoint: str
    folder: str
    sha256: str
    connections: int


class Killer:
    """Starts deliveries and kills them; for use with `with`."""

    def __init__(self, hub: Hub, sha256: str, connections: int) -> None:
        self.hub, self.sha256, self.connections = hub, sha256, connections

    def __enter__(self) -> Killer:
        command = [sys.executable, "-m", "tests.transfer.killing"]
        self._starter = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._starter.communicate()

    def start(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._tell(json.dumps(asdict(Job(self.hub.endpoint, str(folder), self.sha256, self.connections))) + "\n")

    def end(self, how: str) -> int:
        """Kill what was started, or wait for it: 0, or the negative number of a signal."""
        self._tell(how)
        assert self._starter.stdout is not None
        line = self._starter.stdout.readline()
        assert line, "the process that starts the others has ended"
        return int(line)

    def _tell(self, line: str) -> None:
        assert self._starter.stdin is not None
        self._starter.stdin.write(line)
        self._starter.stdin.flush()

    # -- rounds --------------------------------------------------------------------------------------------------
    def seconds_undisturbed(self, folder: Path) -> float:
        """The shorter of two deliveries: the first one of all is slower than the others."""
        seconds = []
        for _ in range(2):
            seconds.append(self.finish(folder))
            (folder / NAME).unlink()
        return min(seconds)

    def finish(self, folder: Path) -> float:
        """Start a delivery and let it end, with nothing but the right file afterwards; gives the seconds it took."""
        began = time.monotonic()
        self.start(folder)
        status = self.end(WAIT)
        seconds = time.monotonic() - began
        assert status == 0, f"it ended with {status}"
        assert sha256_of(folder / NAME) == self.sha256
        found = sorted(path.name for path in folder.iterdir())
        assert found == [NAME], f"left behind: {found}"
        return seconds

    def kill_one(self, folder: Path, after: float) -> bool:
        """Start a delivery and kill it after so many seconds; says whether it was still under way."""
        self.start(folder)
        time.sleep(after)
        was_killed = self.end(KILL) == -signal.SIGKILL
        self.hub.settle()
        final = folder / NAME
        assert not final.exists() or sha256_of(final) == self.sha256, f"{final} is wrong"
        return was_killed

    def one_round(self, folder: Path, kills: int, whole: float, chance: random.Random) -> tuple[int, int]:
        """Kill, kill, and let finish; gives the bytes sent beyond the file's size, and how many kills hit."""
        self.hub.settle()
        before = self.hub.cdn.sent()
        hits = sum(self.kill_one(folder, chance.uniform(0, whole * SPREAD * missing(folder))) for _ in range(kills))
        self.finish(folder)
        size = (folder / NAME).stat().st_size
        (folder / NAME).unlink()
        self.hub.settle()
        return self.hub.cdn.sent() - before - size, hits


def missing(folder: Path) -> float:
    """The share of the file that is still to come."""
    if (folder / NAME).exists():
        return 0.0
    return 1.0 - sum(left.done / (left.total or left.done) for left in unfinished(folder) if left.done)


def carry_out(job: dict[str, Any]) -> None:
    download_file(
        DownloadRequest((HubSource(REPO, NAME),), Path(job["folder"]), NAME, job["sha256"]),
        network=Network(endpoint=job["endpoint"], connections=job["connections"]),
        report=lambda _: None,
        stop=threading.Event(),
    )


def main() -> None:
    import filelock
    import huggingface_hub.utils
    import requests

    assert all((filelock, huggingface_hub.utils, requests))  # loaded once, for all forks
    for line in sys.stdin:
        process = os.fork()
        if not process:
            with suppress(BaseException):
                carry_out(json.loads(line))
                os._exit(0)
            os._exit(1)
        if sys.stdin.readline() == KILL:
            os.kill(process, signal.SIGKILL)  # its number is its own until it is waited for
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
