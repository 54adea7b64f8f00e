"""Paths of this machine that a person types or pastes: any text can be one.

`Path.expanduser` raises RuntimeError for an unknown user. `Path.exists` and `Path.is_dir` raise OSError for a name that
is too long, and below a folder that may not be entered. Nothing here raises: what cannot be seen counts as missing, and
the reading of the file says why.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["is_folder", "is_there", "local_path"]


def local_path(text: str | Path) -> Path:
    """Return the path that a text means: `~` and `~USER` become the home folder, unless there is no such user."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def is_there(path: Path) -> bool:
    """Return True if `path` exists and can be seen; False for a dangling link."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises


def is_folder(path: Path) -> bool:
    """Return True if `path` is a folder that can be seen."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises
