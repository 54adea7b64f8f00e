"""A program, measured from its start to its end: curl and aria2c."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import threading
import time
from pathlib import Path

from bench.clients.measured import Job, job, most_resident, processor_seconds, tell

LONGEST = 110
"""Seconds; a little less than bench.clients.run waits, which could end only this process and not the program."""
TICK = 0.01
"""Seconds between two looks at the memory; what is looked at is the most so far, so only the last of them counts."""


def command(asked: Job) -> list[str]:
    """Neither reads its configuration file. aria2c asks the system for the whole space at once, its fastest way."""
    if Path(asked.program).name == "curl":
        return [asked.program, "-q", "-fsSL", "-o", str(asked.target), asked.address]
    ways = ["-x16", "-s16", "-k1M", "--file-allocation=falloc", "--no-conf", "--no-netrc", "-q"]
    return [asked.program, *ways, "-d", asked.folder, "-o", asked.target.name, asked.address]


def watched(arguments: list[str]) -> int:
    """Run it and give the bytes of memory that it had at most."""
    found = 0
    ended = threading.Event()
    with subprocess.Popen(arguments) as process:

        def watch() -> None:
            nonlocal found
            while not ended.wait(TICK):
                with contextlib.suppress(OSError):
                    found = max(found, most_resident(process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            status = process.wait(timeout=LONGEST)
        finally:
            process.kill()
            ended.set()
            watcher.join()
    if status:
        raise SystemExit(f"{arguments[0]} ended with status {status}")
    return found


def main() -> None:
    asked = job()
    version = subprocess.check_output([asked.program, "--version"], text=True).splitlines()[0]
    before = processor_seconds(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    peak = watched(command(asked))
    seconds = time.perf_counter() - began
    used = processor_seconds(resource.RUSAGE_CHILDREN) - before
    label = " ".join(version.split()[:3]).replace("version ", "").partition(" (")[0]
    tell(seconds, asked.target, label, idle=None, peak=peak, processor=used)


if __name__ == "__main__":
    main()
