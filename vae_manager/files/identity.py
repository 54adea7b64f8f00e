"""Which bytes a file has: its identity as the disk tells it, and its hash."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from ..errors import Cancelled
from ..sentences import say
from .headers import disk_error

__all__ = ["Identity", "identity_of", "sha256_of"]


class Identity(NamedTuple):
    """A file at the time of a look. Any write, replacement or move gives it another identity.

    A ctime cannot be set back as an mtime can, so bytes that were exchanged under the old mtime are noticed. A new mode
    or a second name changes it too, so this program calls `carry` after such a change. On Windows it is the time of
    creation, which adds no information and does no harm.
    """

    path: str
    """Absolute."""
    size: int
    """Bytes."""
    mtime_ns: int
    inode: int
    ctime_ns: int

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> Identity:
        return cls(str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


def identity_of(path: Path) -> Identity | None:
    """The identity of the file that `path` leads to now; None where nothing can be looked at there."""
    try:
        return Identity.of(path, path.stat())
    except OSError:
        return None


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
