"""What a download does to the disk, beside what `files.disk` does."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

from ...errors import Cancelled, DiskError
from ...files.disk import FULL, write_error
from ...sentences import say
from .resume_journal import Spans

BLOCK = 1 << 20


def disk_error(error: OSError, folder: Path) -> DiskError:
    """Say what a failure of the disk was."""
    if error.errno in FULL:
        return DiskError(say("{folder} is full. What has arrived is kept; make room and try again.", folder=folder))
    return write_error(folder, error)


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it where they are missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error


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
