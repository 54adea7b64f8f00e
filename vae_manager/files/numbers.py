"""Whether a file's weights are numbers at all: one that is not makes each picture black."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ..errors import Cancelled
from ..sentences import say
from .contents import chunks, read_contents
from .headers import disk_error
from .layouts import read_layout
from .problems import Problem

__all__ = ["find_nan"]

_NO_NUMBER: Final[Mapping[str, tuple[str, int]]] = MappingProxyType(
    {
        "F64": ("<u8", 0x7FF0_0000_0000_0000),
        "F32": ("<u4", 0x7F80_0000),
        "F16": ("<u2", 0x7C00),
        "BF16": ("<u2", 0x7F80),
        "F8_E5M2": ("u1", 0x7C),
        "F8_E4M3": ("u1", 0x7F),
    }
)
"""As which whole numbers the floats of a dtype are looked at, and the bits that all are set in what is NaN or infinite
and in nothing else: the exponent; where fp8 has no infinity, all but the sign."""


def find_nan(
    path: Path, *, report: Callable[[int, int], None] | None = None, stop: threading.Event | None = None
) -> Problem | None:
    """Read every weight of the VAE in `path` (of all that is there, where no VAE is known): None where all are numbers.

    `report` is told the bytes that are done and all that are to do, after each chunk; setting `stop` ends the work
    within one, with Cancelled. Raises IntegrityError where the tensors cannot be read, NotFoundError and DiskError.
    """
    import numpy

    header = read_contents(path)
    prefix = read_layout(header.tensors, path.name).prefix
    wanted = {
        name: tensor
        for name, tensor in header.tensors.items()
        if name.startswith(prefix) and tensor.dtype in _NO_NUMBER
    }
    total = sum(tensor.end - tensor.start for tensor in wanted.values())
    done = 0
    try:
        with path.open("rb") as file:
            for name, tensor in wanted.items():
                kind, bits = _NO_NUMBER[tensor.dtype]
                for chunk in chunks(file, path, header, tensor):
                    if stop is not None and stop.is_set():
                        raise Cancelled(say("Looking at the numbers of {file} was stopped.", file=path.name))
                    numbers = numpy.frombuffer(chunk, kind)
                    if bool(((numbers & bits) == bits).any()):
                        return _problem(path, name)
                    if report is not None:
                        done += len(chunk)
                        report(min(done, total), total)
    except OSError as error:
        raise disk_error(path, error) from error
    return None


def _problem(path: Path, name: str) -> Problem:
    return Problem(
        "nan",
        say(
            "{file} is damaged: its tensor {name} holds numbers that are not a number or infinite. Get it again.",
            file=path.name,
            name=name[:100],
        ),
    )
