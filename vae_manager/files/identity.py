"""Which bytes a path leads to, told without reading them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

__all__ = ["Identity", "identity_of"]


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
