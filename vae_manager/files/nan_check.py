"""Whether a file's weights are numbers at all: one that is not makes each picture black."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ..errors import Cancelled
from ..sentences import say
from .headers import disk_error
from .key_mapping import canonical
from .layouts import facts_of
from .pickles.pickle_values import shown
from .record import Problem
from .tensor_reader import chunks, read_contents

__all__ = ["find_nan", "has_nan", "nan_problem"]

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


TOO_LARGE_FOR_FP32: Final = 0x47EF_FFFF_F000_0000
"""Bits of the smallest number of 64 bits that becomes infinite in 32: half of a step beyond their largest one. No WebUI
runs a VAE in 64 bits."""
WITHOUT_SIGN: Final = 0x7FFF_FFFF_FFFF_FFFF


def find_nan(
    path: Path, *, report: Callable[[int, int], None] | None = None, stop: threading.Event | None = None
) -> Problem | None:
    """Read every weight of the VAE in `path` (of all that is there, where no VAE is known): None where all are numbers.

    What lies beside the VAE, and is never loaded with it, is not read.

    `report` is told the bytes that are done and all that are to do, after each chunk; setting `stop` ends the work
    within one, with Cancelled. Raises IntegrityError where the tensors cannot be read, NotFoundError and DiskError.
    """
    import numpy

    header = read_contents(path)
    known, prefix = canonical(header.tensors), facts_of(header.tensors).prefix
    own = {source.name for source in known.tensors.values()} if known is not None else None
    wanted = {
        name: tensor
        for name, tensor in header.tensors.items()
        if (name in own if own is not None else name.startswith(prefix)) and tensor.dtype in _NO_NUMBER
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
                    if _has_nan(numbers, kind, bits):
                        return nan_problem(path.name, name)
                    if report is not None:
                        done += len(chunk)
                        report(min(done, total), total)
    except OSError as error:
        raise disk_error(path, error) from error
    return None


def has_nan(piece: memoryview, dtype: str) -> bool:
    """Return whether a number among these bytes is NaN, infinite, or too large for 32 bits; False for whole numbers."""
    import numpy

    if dtype not in _NO_NUMBER:
        return False
    kind, bits = _NO_NUMBER[dtype]
    return _has_nan(numpy.frombuffer(piece, kind), kind, bits)


def _has_nan(numbers: Any, kind: str, bits: int) -> bool:
    if kind == "<u8":
        return bool(((numbers & WITHOUT_SIGN) >= TOO_LARGE_FOR_FP32).any())
    return bool(((numbers & bits) == bits).any())


def nan_problem(file: str, name: str) -> Problem:
    """Return the problem of a file whose tensor `name` holds a number that cannot be used."""
    return Problem(
        "nan",
        say(
            "{file} is damaged: its tensor {name} holds NaN, infinite or far too large numbers. Get it again.",
            file=file,
            name=shown(name),
        ),
    )
