"""Putting a new file on the disk: room for it, its bytes, its name.

    where there are links    link(file, target), which fails where there is something; then the old name goes
    where there are none     open(target, "x"), which fails where there is something; then rename over that empty file
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

from ..errors import DiskError, NameTakenError
from ..sentences import megabytes, say
from .writing import patiently, sync_folder

__all__ = [
    "FULL", "NO_LINKS", "check_room", "let_go", "name_taken", "partial_file", "publish", "rename_new", "sync",
    "write_error",
]  # fmt: skip

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a full disk, quota or file system says."""
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
"""What file systems say that know no hard links, and Linux of files of somebody else."""
_CANNOT_SYNC: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})
"""A file system that knows no fsync."""

_PARTIAL: Final = ".vae-manager.writing"
"""How the name of a file ends that is being written; it begins with a dot, so no WebUI lists it."""


def write_error(folder: Path, error: OSError) -> DiskError:
    """The system's refusal to write to `folder`, as an error of ours."""
    if error.errno in FULL:
        return DiskError(say("{folder} is full. Nothing was changed; make room and try again.", folder=folder))
    if error.errno in _FORBIDDEN:
        return DiskError(say("Nothing may be written to {folder}: no permission, or it is read-only.", folder=folder))
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ELOOP):
        return DiskError(say("{folder} is not a folder, or it is no longer there.", folder=folder))
    return DiskError(say("The disk of {folder} reports: {reason}", folder=folder, reason=error.strerror or error))


def check_room(folder: Path, needed: int) -> None:
    """Raise DiskError unless `needed` more bytes fit."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise write_error(folder, error) from error
    if needed > free:
        raise DiskError(
            say(
                "{folder} has {free} free, but {needed} are needed. Make room and try again.",
                folder=folder,
                free=megabytes(free),
                needed=megabytes(needed),
            )
        )


def sync(descriptor: int) -> None:
    """Have the disk hold what was written, where the file system can promise that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def publish(file: Path, target: Path) -> None:
    """Give `file` the name `target` on the same file system; after a power cut that means the whole file or nothing.

    Never overwrites: raises NameTakenError where the name is taken, were it only a moment ago. OSErrors come through.
    """
    try:
        rename_new(file, target)
    except FileExistsError:
        raise name_taken(target) from None
    sync_folder(target.parent)


def rename_new(source: Path, target: Path) -> None:
    """Rename within a file system; FileExistsError where something has the name."""
    if sys.platform == "win32":
        patiently(lambda: source.rename(target))  # fails there where there is something
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        _claim_and_replace(source, target)
    else:
        let_go(source, target)


def _claim_and_replace(source: Path, target: Path) -> None:
    with target.open("xb"):  # the name is ours from here on
        pass
    try:
        source.replace(target)
    except OSError:
        target.unlink()
        raise


def let_go(source: Path, target: Path) -> None:
    """Take the old name of a file away; where that cannot be, the new one, so that all is as before."""
    try:
        source.unlink()
    except OSError as error:
        target.unlink()
        raise write_error(source.parent, error) from error


def name_taken(target: Path) -> NameTakenError:
    return NameTakenError(
        say(
            "{folder} has another file named {file}. It is left as it is: rename or remove it, then try again.",
            folder=target.parent,
            file=target.name,
        )
    )


@contextmanager
def partial_file(folder: Path) -> Iterator[tuple[Path, FileIO]]:
    """A new file in `folder` with a name that no WebUI lists, gone at the end unless it has got another name.

    Those that processes left behind which have ended are removed first. OSErrors come through.
    """
    for left in folder.glob(f".*{_PARTIAL}"):
        _remove_if_left(left)
    path, file = _created(folder)
    try:
        yield path, file
    finally:
        file.close()
        with suppress(OSError):
            path.unlink()


def _created(folder: Path) -> tuple[Path, FileIO]:
    while True:
        path = folder / f".{secrets.token_hex(8)}{_PARTIAL}"
        file = FileIO(path, "x+b")
        _lock(file, wait=True)
        if path.exists():  # else somebody took it for a left one, before it was locked
            return path, file
        file.close()


def _remove_if_left(path: Path) -> None:
    """Remove a partial file that nobody writes to."""
    with suppress(OSError), FileIO(path, "r+b") as file:
        if not _lock(file, wait=False):
            return
        if sys.platform == "win32":
            file.close()
        path.unlink()


def _lock(file: FileIO, *, wait: bool) -> bool:
    """Lock `file` until it is closed, or its process ends; False where another has the lock, or there are no locks."""
    if sys.platform == "win32":
        return True  # a file that somebody has open cannot be removed there
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
