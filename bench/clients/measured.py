"""What every client's process does around its one call: read the job, take the time and the memory, tell both.

The job comes as JSON in the first argument, the report goes as one line of JSON to standard output. Linux only: memory
is read where the kernel shows it, in /proc (proc(5)).
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REPO = "owner/repo"
FILE = "vae.safetensors"


@dataclass(frozen=True)
class Job:
    """What to fetch, and where to."""

    endpoint: str
    """Of the hub; "" for the rows that fetch nothing."""
    source: str
    """The file itself, for the rows that only read or write."""
    folder: str
    """Exists, is empty, and takes all that the client writes."""
    sha256: str
    size: int
    """Bytes."""
    program: str
    """The program to run, where the client is one."""

    @property
    def address(self) -> str:
        """Of the file on the hub; leads to the CDN."""
        return f"{self.endpoint}/{REPO}/resolve/main/{FILE}"

    @property
    def target(self) -> Path:
        return Path(self.folder) / FILE

    def as_argument(self) -> str:
        return json.dumps(asdict(self))


def job() -> Job:
    return Job(**json.loads(sys.argv[1]))


def measure(call: Callable[[], Path | None], version: str, **more: Any) -> None:
    """Time one call, which gives the file that it wrote, and print the report. Imports are done before.

    `more` is read after the call: mappings that the call has filled, for instance.
    """
    idle = resident()
    before = processor_seconds(resource.RUSAGE_SELF)
    began = time.perf_counter()
    path = call()
    seconds = time.perf_counter() - began
    used = processor_seconds(resource.RUSAGE_SELF) - before
    tell(seconds, path, version, idle=idle, peak=most_resident(), processor=used, **more)


def tell(seconds: float, path: Path | None, version: str, **more: Any) -> None:
    """Print the report; seconds on the wall, bytes of memory."""
    print(json.dumps({"seconds": seconds, "path": str(path) if path else None, "version": version, **more}), flush=True)


def resident() -> int:
    """Bytes of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def most_resident(process: int | str = "self") -> int:
    """Bytes of memory that a process had at most, so far; 0 once it has ended.

    Not getrusage's figure: that one is carried over an exec, so that a small program seems as large as its parent.
    """
    for line in Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def processor_seconds(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime
