"""What is done to the disk, and what can be wrong with it."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path

from ...errors import Cancelled, DiskError
from ...sentences import megabytes, say
from .spans import Spans

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
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK):
            if stop.is_set():
                raise Cancelled(say("Stopped."))
            digest.update(block)
    return digest.hexdigest()


def copy_spans(kept: FileIO, copy: FileIO, spans: Spans, stop: threading.Event) -> None:
    """Copy some spans of a file to the same places in another."""
    for start, end in spans:
        kept.seek(start)
        while (left := end - kept.tell()) and (block := kept.read(min(BLOCK, left))):
            if stop.is_set():
                raise Cancelled(say("Stopped."))
            for _ in write_all_at(copy, kept.tell() - len(block), block):
                pass


def write_all_at(file: FileIO, offset: int, data: bytes) -> Iterator[int]:
    """Write `data` at a place, from any thread; tell each time how much the disk took, which may be less at once."""
    rest = memoryview(data)
    while rest:
        written = _write_at(file, offset, rest)
        yield written
        rest, offset = rest[written:], offset + written


def _write_at(file: FileIO, offset: int, data: memoryview) -> int:
    if sys.platform != "win32":
        return os.pwrite(file.fileno(), data, offset)
    with _positions:  # Windows has no pwrite, and all threads share the position
        file.seek(offset)
        return file.write(data)


_positions = threading.Lock()


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
