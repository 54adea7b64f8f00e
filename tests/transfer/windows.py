"""A disk as strict as that of Windows, as far as this process goes: what it has open is neither renamed nor removed.

Windows refuses that with ERROR_SHARING_VIOLATION, since Python opens files without FILE_SHARE_DELETE. Which files are
open is read from /proc, so this is for Linux alone.
"""

from __future__ import annotations

import errno
import os
import pathlib
from collections.abc import Callable
from typing import Any

import pytest

from vae_manager.files import disk

SHARING_VIOLATION = 32
DESCRIPTORS = pathlib.Path("/proc/self/fd")


class SharingViolation(PermissionError):
    winerror = SHARING_VIOLATION


def be_strict(patch: pytest.MonkeyPatch) -> None:
    """From now on, and without patience: whoever lets go of a file too late fails each time."""
    if not DESCRIPTORS.is_dir():
        pytest.skip("which files are open is not to be seen here")
    patch.setattr("vae_manager.files.disk.BUSY_TIMEOUT_S", 0.0)
    patch.setattr(disk, "_rename_exclusively", _strict(disk._rename_exclusively))
    accessor = getattr(pathlib, "_NormalAccessor", None)  # what `Path` goes through in Python 3.10
    for name in ("replace", "rename", "unlink", "remove"):
        strict = _strict(getattr(os, name))
        patch.setattr(os, name, strict)
        if accessor is not None and hasattr(accessor, name):
            patch.setattr(accessor, name, staticmethod(strict))


def _strict(real: Callable[..., Any]) -> Callable[..., Any]:
    def change(*paths: Any, **more: Any) -> Any:
        for path in paths:
            if _is_open(path):
                raise SharingViolation(errno.EACCES, "it is open", os.fspath(path))
        return real(*paths, **more)

    return change


def _is_open(path: Any) -> bool:
    try:
        wanted = os.lstat(path)
    except OSError:
        return False
    return any(_is_it(int(entry.name), wanted) for entry in DESCRIPTORS.iterdir())


def _is_it(descriptor: int, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), wanted)
    except OSError:
        return False  # the listing's own, say
