"""Background hashing: the SHA-256 of whole files, and the fingerprints of their weights.

Files are read one after the other, and each only once: a file that could not be read is not tried again.
"""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import NotFoundError
from .jobs import JobContext, JobQueue

if TYPE_CHECKING:
    from .library.index import Index
    from .records import HashStore

Stamp = tuple[int, int, int]

WEIGHTS = "weights of "
"""Prefix of the key of a job that takes fingerprints; the key of a hashing job is the path alone."""


class Learning:
    """Jobs on a queue of another owner. All methods may be called from any thread."""

    def __init__(self, lane: JobQueue, hashes: Callable[[], HashStore], index: Callable[[], Index]) -> None:
        self._lane = lane
        self._hashes = hashes
        self._index = index
        self._lock = threading.Lock()
        self._asked: set[tuple[str, Stamp]] = set()

    def can_be_hashed(self, path: Path) -> bool:
        """Return False for a file that is gone, or that was tried and cannot be read."""
        now = stamp(path)
        if now is None:
            return False
        with self._lock:
            asked = (str(path), now) in self._asked
        job = self._lane.view(str(path)) if asked else None
        return not asked or (job is not None and not job.state.ended)

    def hash(self, paths: Iterable[Path]) -> None:
        """Queue the hashing of each file without a known hash."""
        for path in paths:
            if self._hashes().known(path) is None:
                self._ask(str(path), path, self._hash)

    def take_fingerprints(self, paths: Iterable[Path]) -> None:
        """Queue the fingerprints of each file without known ones. A file without a VAE is skipped."""
        for path in paths:
            if self._index().known_fingerprints(path) is None:
                self._ask(f"{WEIGHTS}{path}", path, self._fingerprint)

    def _ask(self, key: str, path: Path, work: Callable[[JobContext, Path, int], None]) -> None:
        now = stamp(path)
        if now is None:
            return
        with self._lock:
            if (key, now) in self._asked:
                return  # running, or the file could not be read: the next process tries again
            self._asked.add((key, now))
        self._lane.start(key, path.name, lambda handle: work(handle, path, now[1]))

    def _hash(self, handle: JobContext, path: Path, size: int) -> None:
        self._hashes().compute(path, report=lambda done: handle.report("hashing", done, size), stop=handle.stop)

    def _fingerprint(self, handle: JobContext, path: Path, size: int) -> None:
        with suppress(NotFoundError):  # a file without a VAE, or a deleted one, is no error
            self._index().fingerprints_of(
                path, report=lambda done, total: handle.report("fingerprinting", done, total), stop=handle.stop
            )


def stamp(path: Path) -> Stamp | None:
    """Return times and size of a file, which show a change; None for an unreadable file."""
    try:
        status = path.stat()
    except OSError:
        return None
    if stat.S_ISFIFO(status.st_mode):
        return None  # opening a pipe would wait for a writer, and block all other work
    return status.st_mtime_ns, status.st_size, status.st_ctime_ns
