"""Imitates modules/errors.py: errors go to stderr and the last five are remembered."""

from __future__ import annotations

import sys
import textwrap
import traceback
from typing import Any

exception_records: list[dict[str, Any]] = []

_KEPT = 5


def record_exception() -> None:
    """Remember the exception that is being handled."""
    _, error, trace = sys.exc_info()
    if error is None:
        return
    frames = [
        [f"{frame.filename}, line {frame.lineno}, {frame.name}", frame.line] for frame in traceback.extract_tb(trace)
    ]
    exception_records.append({"exception": str(error), "traceback": frames})
    del exception_records[:-_KEPT]


def report(message: str, *, exc_info: bool = False) -> None:
    """Each line of the message after three stars, then the traceback if asked for."""
    record_exception()
    for line in message.splitlines():
        print("***", line, file=sys.stderr)
    if exc_info:
        print(textwrap.indent(traceback.format_exc(), "    "), file=sys.stderr)
        print("---", file=sys.stderr)


def print_error_explanation(message: str) -> None:
    """The message between two lines of equal signs."""
    record_exception()
    lines = message.strip().split("\n")
    bar = "=" * max(len(line) for line in lines)
    print(bar, *lines, bar, sep="\n", file=sys.stderr)


def display(e: Exception, task: str, *, full_traceback: bool = False) -> None:
    """What was being done, and the traceback."""
    record_exception()
    print(f"{task or 'error'}: {type(e).__name__}", file=sys.stderr)
    trace = traceback.TracebackException.from_exception(e)
    if full_traceback:
        trace.stack = traceback.StackSummary(traceback.extract_stack()[:-2] + trace.stack)
    print(*trace.format(), sep="", file=sys.stderr)
