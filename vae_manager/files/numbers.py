"""Whether a file's weights are numbers at all: until the inspection's own is there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from ..errors import Cancelled
from ..sentences import say
from .contents import chunks, read_contents
from .inspection import Problem

_EXPONENT = {"F64": ("<u8", 0x7FF0_0000_0000_0000), "F32": ("<u4", 0x7F80_0000), "F16": ("<u2", 0x7C00)}


def find_nan(
    path: Path, *, report: Callable[[int, int], None] | None = None, stop: threading.Event | None = None
) -> Problem | None:
    """Read every weight: None where all are numbers."""
    import numpy

    header = read_contents(path)
    wanted = {name: tensor for name, tensor in header.tensors.items() if tensor.dtype in _EXPONENT}
    total, done = sum(tensor.end - tensor.start for tensor in wanted.values()), 0
    with path.open("rb") as file:
        for name, tensor in wanted.items():
            kind, bits = _EXPONENT[tensor.dtype]
            for chunk in chunks(file, path, header, tensor):
                if stop is not None and stop.is_set():
                    raise Cancelled(say("Stopped."))
                if bool(((numpy.frombuffer(chunk, kind) & bits) == bits).any()):
                    sentence = say(
                        "{file} is damaged: its tensor {name} holds numbers that are not a number or infinite. "
                        "Get it again. Nothing was changed.",
                        file=path.name,
                        name=name,
                    )
                    return Problem("nan", sentence)
                done += len(chunk)
                if report is not None:
                    report(done, total)
    return None
