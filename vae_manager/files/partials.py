"""Files that are being written, under names that no WebUI lists; each is locked for as long as its writer lives."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

__all__ = ["WRITING", "created", "lock", "partial_file", "sweep", "write_whole"]

WRITING: Final = ".vae-manager.writing"
"""End of the name of a file that is being written; the name begins with a dot, so that no WebUI lists it."""


@contextmanager
def partial_file(folder: Path, mode: int = 0o666) -> Iterator[tuple[Path, FileIO]]:
    """A new file in `folder` with a name that no WebUI lists, gone at the end unless it has got another name.

    `mode` is that of the new file, less the process's umask.

    Those that processes left behind which have ended are removed first. OSErrors come through.
    """
    sweep(folder)
    path, file = created(folder, mode)
    try:
        yield path, file
    finally:
        file.close()
        with suppress(OSError):
            path.unlink()


def write_whole(file: FileIO, data: bytes | memoryview) -> None:
    """Write all of `data`, of which the disk may take less at once."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def sweep(folder: Path) -> int:
    """Remove the partial files of killed processes in `folder`, not those of living ones; return their number."""
    try:
        with os.scandir(folder) as entries:
            left = [entry.path for entry in entries if entry.name.startswith(".") and entry.name.endswith(WRITING)]
    except OSError:
        return 0
    return sum(_remove_if_left(Path(path)) for path in left)


def created(folder: Path, mode: int = 0o666) -> tuple[Path, FileIO]:
    """A new file in `folder`, locked until it is closed; `sweep` removes it after that, unless it got another name."""
    while True:
        path = folder / f".{secrets.token_hex(8)}{WRITING}"
        file = FileIO(path, "x+b", opener=lambda name, flags: os.open(name, flags, mode))
        lock(file, wait=True)
        if path.exists():  # else somebody took it for a left one, before it was locked
            return path, file
        file.close()


def _remove_if_left(path: Path) -> bool:
    """Remove a partial file without a writer; return True if it is gone."""
    with suppress(OSError), FileIO(path, "r+b") as file:
        if not lock(file, wait=False):
            return False
        if sys.platform == "win32":
            file.close()
        path.unlink()
        return True
    return False


def lock(file: FileIO, *, wait: bool) -> bool:
    """Lock `file` until it is closed or its process ends; False if another has the lock, or locks are missing."""
    if sys.platform == "win32":
        return True  # a file that somebody has open cannot be removed there
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
