"""Small files of ours, and folders, written so that whoever looks sees the old state or the new one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["patiently", "rename_over", "sync_folder"]

BUSY: Final = frozenset({5, 32, 33})
"""What Windows says of a file that somebody has open: access denied, sharing violation, lock violation."""
PATIENCE: Final = 3.0
"""Seconds."""


def patiently(change: Callable[[], object]) -> None:
    """Do `change`, a renaming or a removal. Raises `OSError`.

    Windows refuses both for as long as somebody has the file open: a virus scanner that looks at what is new, or a
    thread that reads. That is over in a moment, so there it is tried again for a while.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            change()
            return
        except PermissionError as error:
            if getattr(error, "winerror", None) not in BUSY or time.monotonic() >= until:
                raise
            time.sleep(0.02)


def rename_over(file: Path, target: Path) -> None:
    """Rename within a file system; what bore the name goes. Raises `OSError`."""
    patiently(lambda: file.replace(target))


def sync_folder(folder: Path) -> None:
    """Have the disk hold the names in `folder`, where the system can do that: Windows cannot open a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
