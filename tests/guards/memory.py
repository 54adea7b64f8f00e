"""A server's memory, limited from outside: by the address space that Linux lets its process have."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest


@contextmanager
def memory_left(url: str, left: int) -> Iterator[None]:
    """For a while the process that serves `url` on this machine can have `left` more bytes than it has now."""
    import resource

    pid = pid_of(url)
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (_address_space(pid) + left, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_AS, before)


def pid_of(url: str) -> int:
    """Of the process on this machine that listens at `url`. Skips the test where that cannot be told."""
    address = urlsplit(url)
    if not sys.platform.startswith("linux") or address.hostname not in ("127.0.0.1", "localhost"):
        pytest.skip("needs the WebUI's process on this machine, and Linux")
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    rows = [line.split() for line in lines]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{address.port:04X}") and row[3] == "0A"}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(file) in sockets for file in (process / "fd").iterdir()):  # noqa: PTH115 - no file there
                return int(process.name)
        except OSError:
            continue  # another's, or gone by now
    pytest.skip(f"nobody here is known to listen at {url}")


def _address_space(pid: int) -> int:
    found = re.search(r"VmSize:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) * 1024
