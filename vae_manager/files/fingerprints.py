"""SHA-256 of files."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..errors import Cancelled
from ..sentences import say
from .headers import disk_error

__all__ = ["sha256_of"]

CHUNK: Final = 4 << 20
"""Bytes read at once: large enough that Python's share of the time is small, small enough to stop quickly."""


def sha256_of(path: Path, *, report: Callable[[int], None] | None = None, stop: threading.Event | None = None) -> str:
    """The SHA-256 of a file, in lower-case hexadecimal.

    `report` is told after each chunk how many bytes are done in all; setting `stop` ends the work within one chunk,
    with `Cancelled`. Raises `NotFoundError` and `DiskError`.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    done = 0
    try:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                if stop is not None and stop.is_set():
                    raise Cancelled(say("Hashing {file} was stopped.", file=path.name))
                digest.update(buffer[:count])
                done += count
                if report is not None:
                    report(done)
    except OSError as error:
        raise disk_error(path, error) from error
    return digest.hexdigest()
