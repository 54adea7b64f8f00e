"""Resumable downloads: the partial files in a folder, and the lock of each.

Only one process at a time writes to a partial file. The lock saves bandwidth; the hash, not the lock, ensures correct
bytes. On a file system without locks, the transfer goes on without one, in a file of its own.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ..errors import Cancelled, RefusedError
from ..messages import msg
from .partial_file import PartialFile
from .request import Unfinished
from .resume_journal import partial_write_error

POLL_SECONDS = 0.3

ENDING: Final = ".vae-manager.journal"

_PARTIAL_NAME: Final = re.compile(r"(\.[0-9a-f]{16}\.vae-manager)\.(?:part|journal|recent|lock)(\.[0-9a-z]+)?")


def _remove_special_file(path: Path) -> None:
    """Remove a file of any other kind: locking truncates the file, and a link may point to a user's."""
    with suppress(OSError):
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            path.unlink()


@contextmanager
def hold_lock(partial: PartialFile, waiting: Callable[[], None], stop: threading.Event) -> Iterator[bool]:
    """Hold the lock of `partial`, calling `waiting` at intervals until it is free. Yield False if locks fail."""
    from filelock import FileLock, Timeout

    _remove_special_file(partial.lock_path)
    lock = FileLock(str(partial.lock_path))
    locked = False
    while not locked:
        try:
            lock.acquire(timeout=0)
            locked = True
        except Timeout:
            waiting()
            if stop.wait(POLL_SECONDS):
                raise Cancelled(msg("Stopped.")) from None
        except (OSError, NotImplementedError):
            break
    try:
        yield locked
    finally:
        partial.close()
        if not partial.path.exists():
            # A process that waits for the removed lock checks the final name first, or starts a new file.
            with suppress(OSError):
                partial.lock_path.unlink()
        if locked:
            lock.release()


def unfinished(folder: Path) -> tuple[Unfinished, ...]:
    """Return the partial files in `folder` that can be resumed, including those that are being written now."""
    found = []
    for path in _journals(folder):
        partial = PartialFile(path.with_suffix(""))
        journal = partial.state()
        if journal is not None and partial.path.exists():
            found.append(Unfinished(journal.request, journal.done, journal.total, partial.path))
    return tuple(found)


def _journals(folder: Path) -> list[Path]:
    """Return the journals in one pass over the names, without patterns.

    Pages call this often, and a folder can hold ten thousand other files.
    """
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a Path for each name costs more than the rest
    except OSError:
        return []
    return [folder / name for name in sorted(names) if name.endswith(ENDING) and name.startswith(".")]


def sweep(folder: Path) -> None:
    """Remove the files of killed downloads that cannot be resumed.

    These are a file without its journal, one that has its final name already, and notes and locks without a file. Files
    of a living process stay. A file with an unreadable journal stays too: no kill leaves one, and a person may still
    rescue data from it; it is removed at the next request for the same file.
    """
    try:
        with os.scandir(folder) as entries:
            found = [match for entry in entries if (match := _PARTIAL_NAME.fullmatch(entry.name)) is not None]
    except OSError:
        return
    with_copies = {match[1] for match in found if match[2] is not None}
    for name in sorted({match[1] for match in found}):
        partial = PartialFile(folder / name)
        with suppress(_InUseError, OSError), hold_lock(partial, _in_use, threading.Event()) as locked:
            if not locked:
                continue
            journal = partial.state()
            if journal is not None:
                partial.remove_published(folder / journal.request.file_name)
            elif not os.path.lexists(partial.journal_path):
                partial.discard()
            if name in with_copies:  # the search for copies reads the whole folder
                partial.sweep_copies()
            partial.remove_leftovers()


class _InUseError(Exception):
    """The partial file is being written by another process."""


def _in_use() -> None:
    raise _InUseError


def discard(unfinished: Unfinished) -> None:
    """Remove a partial file and the files that belong to it."""

    def in_use() -> None:
        raise RefusedError(
            msg("{name} is being fetched right now. Cancel that first.", name=unfinished.request.file_name)
        )

    partial = PartialFile(unfinished.path.with_suffix(""))
    try:
        with hold_lock(partial, in_use, threading.Event()):
            partial.discard()
    except OSError as error:
        raise partial_write_error(unfinished.path.parent, error) from error
