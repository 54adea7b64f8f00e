"""Counts of work, which a busy machine does not change: tests limit these where a time would depend on its load."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType


def calls(work: Callable[[], object]) -> int:
    """The number of Python functions and built-in ones that `work` calls in this thread."""
    count = 0

    def called(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def bytes_read(work: Callable[[], object]) -> int | None:
    """The bytes that this process reads from files while `work` runs; None on a system that does not count them."""
    counters = Path("/proc/self/io")
    if not counters.exists():
        work()
        return None

    def read() -> int:
        return int(counters.read_text(encoding="ascii").split()[1])

    before = read()
    work()
    return read() - before
