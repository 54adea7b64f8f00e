"""The VAE files for a page that polls every few seconds, without checking ten thousand files each time.

A file that comes, goes or is replaced changes the time of its folder. Folders are few: each look checks all of them,
and lists all files anew if one has changed. A write in place changes no folder, so each look also checks a part of
the files in turn, as many as a few milliseconds allow. A page may therefore show such a file as it was some looks
ago. Actions do not use this: they list the folders anew.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Iterable
from typing import Final

from .folders import Folder, VaeFile, walk

__all__ = ["Listing"]

ALWAYS_FRESH: Final = 200
"""So few files are listed anew at each look."""
CHECK_SECONDS: Final = 0.004
"""Time of each look for asking the disk about single files."""
AT_ONCE: Final = 50
YOUNG_NS: Final = 2_100_000_000
"""A folder that has changed so lately may change again within the same tick of its file system's clock: 2 s on FAT."""

_Place = tuple[int, int, int, int]


class Listing:
    """Cached result of `scan`, as far as it still holds. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folders: tuple[Folder, ...] = ()
        self._files: tuple[VaeFile, ...] = ()
        self._places: dict[str, _Place | None] = {}
        self._is_young = True
        self._paths: list[str] = []
        self._next = 0

    def files(self, folders: Iterable[Folder]) -> tuple[VaeFile, ...]:
        """All VAE files of `folders`; the same object as before while no change is known."""
        wanted = tuple(folders)
        with self._lock:
            is_stale = (
                wanted != self._folders
                or len(self._files) <= ALWAYS_FRESH
                or self._is_young
                or any(_place(path) != then for path, then in self._places.items())
                or self._has_changed()
            )
            if is_stale:
                self._scan(wanted)
            return self._files

    def _scan(self, folders: tuple[Folder, ...]) -> None:
        now = time.time_ns()
        places: dict[str, _Place | None] = {}
        files = walk(folders, lambda path: places.setdefault(path, _place(path)))
        self._places, self._folders = places, folders
        self._is_young = any(place is not None and now - place[0] < YOUNG_NS for place in places.values())
        if files != self._files:
            self._files = files
            self._paths = [str(file.path) for file in files]
            self._next = 0

    def _has_changed(self) -> bool:
        """Ask about the next files, until the time is over or all have been asked."""
        until = time.perf_counter() + CHECK_SECONDS
        for _ in range(-(-len(self._files) // AT_ONCE)):
            start = self._next
            some = itertools.islice(zip(self._paths, self._files, strict=True), start, start + AT_ONCE)
            if any(_is_other(path, file) for path, file in some):
                return True
            self._next = start + AT_ONCE if start + AT_ONCE < len(self._files) else 0
            if time.perf_counter() >= until:
                break
        return False


def _place(path: str) -> _Place | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path costs more than the question
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev


def _is_other(path: str, file: VaeFile) -> bool:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return True
    now = status.st_size, status.st_mtime_ns, status.st_ctime_ns
    return now != (file.size, file.mtime_ns, file.ctime_ns)
