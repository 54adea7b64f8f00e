"""One process at a time on one partial file.

A lock saves bandwidth; it does not keep the bytes right, the hash does. Where a file system has no locks, the transfer
goes on without one, in a file of its own.
"""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import Cancelled
from ...sentences import say
from .partial_file import Partial

POLL = 0.3


def _make_way(path: Path) -> None:
    """Remove any other kind of file: locking empties a file, and a link may lead to a user's."""
    with suppress(OSError):
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            path.unlink()


@contextmanager
def held(partial: Partial, waiting: Callable[[], None], stop: threading.Event) -> Iterator[bool]:
    """Hold the lock of `partial`, calling `waiting` now and then until it is free. Gives False where locks fail."""
    from filelock import FileLock, Timeout

    _make_way(partial.lock_path)
    lock = FileLock(str(partial.lock_path))
    locked = False
    while not locked:
        try:
            lock.acquire(timeout=0)
            locked = True
        except Timeout:
            waiting()
            if stop.wait(POLL):
                raise Cancelled(say("Stopped.")) from None
        except (OSError, NotImplementedError):
            break
    try:
        yield locked
    finally:
        partial.close()
        if not partial.path.exists():
            # Whoever waits for the removed lock looks at the final name first, or starts a new file of its own.
            with suppress(OSError):
                partial.lock_path.unlink()
        if locked:
            lock.release()
