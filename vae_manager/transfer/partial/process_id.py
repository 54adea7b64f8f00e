"""Who writes to a partial file, and whether that one is gone for certain.

A lock can lie (network file systems). So a partial file is gone on with in place only if its last writer cannot write
any more: a process of this same run of this machine that has ended. The bytes of any other one are copied first, so
that nobody else has the file open that is proven and published.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from .unsynced_log import boot

PROCESSES = Path("/proc")
"""Linux alone has it; elsewhere nobody but this process itself is known to be gone."""
_ANYWHERE = secrets.token_hex(8)


def me() -> str:
    """Name this process: no other one has, had or will have the same name."""
    return _name(os.getpid()) or f"{_ANYWHERE} {os.getpid()}"


def is_gone(owner: str | None) -> bool:
    """Tell whether `owner`, named by `me`, is this process itself or has ended."""
    if owner is None:
        return False
    if owner == me():
        return True
    here, _, process = owner.rpartition(" ")
    pid = process.partition("-")[0]
    return here == _here() and pid.isdecimal() and _name(int(pid)) != owner


def _here() -> str | None:
    """Name this run of this machine, and the space in which its processes are numbered (namespaces(7))."""
    run = boot()
    try:
        return f"{run} {(PROCESSES / 'self/ns/pid').readlink()}" if run is not None else None
    except OSError:
        return None


def _name(pid: int) -> str | None:
    """Return the name of a process that runs; numbers are given again, so the time of its start belongs to it."""
    here = _here()
    try:
        facts = (PROCESSES / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    after_name = facts.rpartition(")")[2].split()  # proc_pid_stat(5): the name before it may hold anything
    return f"{here} {pid}-{after_name[19]}" if here is not None and len(after_name) > 19 else None
