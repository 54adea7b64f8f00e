"""An exception before any line of some code, one line at a time."""

from __future__ import annotations

import linecache
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

Step = tuple[str, int, int]
"""A file, a line, and the how manyth time it is reached."""

VISITS = 2
"""A loop over all tensors is interrupted the first and the second time it comes by."""


class Injected(BaseException):
    """Neither an Exception nor anything else that somebody may catch."""


@contextmanager
def tracing(parts: tuple[str, ...], stop_at: Step | None = None) -> Iterator[list[Step]]:
    """Give the steps that the code in files whose path has one of `parts` makes; raise `Injected` before `stop_at`.

    Not when a `with` is left, where Python itself would lose a lock: an interrupt comes to the main thread alone, and
    swaps run in others.
    """
    steps: list[Step] = []
    visits: Counter[tuple[str, int]] = Counter()
    entered: set[tuple[FrameType, int]] = set()
    done = [False]

    def trace(frame: FrameType, event: str, _: object) -> Any:
        file = frame.f_code.co_filename
        if done[0] or not any(part in file for part in parts):
            return None
        if event == "line":
            line = frame.f_lineno
            is_with = linecache.getline(file, line).lstrip().startswith("with ")
            if is_with and (frame, line) in entered:
                return trace
            entered.add((frame, line))
            visits[file, line] += 1
            if visits[file, line] <= VISITS:
                steps.append((file, line, visits[file, line]))
                if steps[-1] == stop_at:
                    done[0] = True
                    raise Injected
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield steps
    finally:
        sys.settrace(before)
