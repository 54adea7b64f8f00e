"""Whether something else kept the machine busy during a run: then its figures are worth less. Linux: proc(5)."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

from bench.clients.measured import processor_seconds

TICKS = os.sysconf("SC_CLK_TCK")
"""A second, in /proc."""

CALM = 0.2
"""Processors that may be busy with something else when a run begins."""
WARNING = 0.5
"""Seconds over which that is looked at."""


@dataclass(frozen=True)
class Load:
    """A moment; all in seconds."""

    at: float
    """Of the monotonic clock."""
    busy: float
    """Of all processors together."""
    ours: float
    """Of them, those of this process, of its children that have ended, and of the server that still runs."""

    @classmethod
    def now(cls, server: int | None) -> Load:
        """`server` is a process, None where nothing is served."""
        ours = processor_seconds(resource.RUSAGE_SELF) + processor_seconds(resource.RUSAGE_CHILDREN)
        return cls(time.monotonic(), busy(), ours + (used_by(server) if server else 0.0))

    def others_since(self, before: Load) -> float:
        """Processors that were busy with something else since then, on the average; ticks make it a little inexact."""
        return max(0.0, (self.busy - before.busy) - (self.ours - before.ours)) / (self.at - before.at)


def busy() -> float:
    """Seconds that the processors have worked since the system started, the kernel's own work included."""
    first = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
    user, nice, system, _, _, irq, soft = map(int, first.split()[1:8])
    return (user + nice + system + irq + soft) / TICKS


def used_by(process: int) -> float:
    """Seconds of processor time of a process that runs: fields 14 and 15, counted behind the name in brackets."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def wait_for_calm(longest: float) -> None:
    """Wait until nothing else keeps the machine busy, at most so many seconds."""
    until = time.monotonic() + longest
    while time.monotonic() < until:
        before = Load.now(None)
        time.sleep(WARNING)
        if Load.now(None).others_since(before) < CALM:
            return
