"""What is done to the disk, and what can be wrong with it."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
from contextlib import suppress
from io import FileIO
from pathlib import Path

from ..errors import Cancelled, DiskError
from ..sentences import megabytes, say

BLOCK = 1 << 20
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})
"""A file system that knows no fsync."""


def disk_error(error: OSError, folder: Path) -> DiskError:
    """Say what a failure of the disk was."""
    if error.errno in FULL:
        return DiskError(say("{folder} is full. What has arrived is kept; make room and try again.", folder=folder))
    if error.errno in FORBIDDEN:
        return DiskError(say("Nothing may be written to {folder}: no permission, or it is read-only.", folder=folder))
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ELOOP):
        return DiskError(say("{folder} is not a folder, or it is no longer there.", folder=folder))
    return DiskError(say("The disk of {folder} reports: {reason}", folder=folder, reason=error.strerror or error))


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it where they are missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error


def check_room(folder: Path, needed: int) -> None:
    """Raise unless `needed` more bytes fit."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DiskError(
            say(
                "{folder} has {free} free, but the download needs {needed}. Make room and try again.",
                folder=folder,
                free=megabytes(free),
                needed=megabytes(needed),
            )
        )


def hash_of(path: Path, stop: threading.Event) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb", buffering=0) as file:
        digest, _ = hash_first(file.fileno(), None, stop)
    return digest.hexdigest()


def hash_first(
    descriptor: int, count: int | None, stop: threading.Event, copy: FileIO | None = None
) -> tuple[hashlib._Hash, int]:
    """Hash the next `count` bytes (None: all), into `copy` too; return the hash object and how many there were."""
    digest, done = hashlib.sha256(), 0
    while block := os.read(descriptor, BLOCK if count is None else min(BLOCK, count - done)):
        if stop.is_set():
            raise Cancelled(say("Stopped."))
        digest.update(block)
        done += len(block)
        if copy is not None:
            write_all(copy, block)
    return digest, done


def write_all(file: FileIO, data: bytes) -> None:
    """Write `data` to a file without a buffer, which may take less at once."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def sync(descriptor: int) -> None:
    """Have the disk hold what was written, where the file system can promise that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_SYNC:
            raise


def put_under(name: Path, file: Path) -> None:
    """Give `file` its final name; after that a power cut leaves the whole file or none."""
    file.replace(name)
    # Windows cannot open a folder; a name that the disk does not hold yet costs another fetch after a power cut.
    with suppress(OSError):
        descriptor = os.open(name.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
