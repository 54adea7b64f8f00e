"""Detection of an update: the files on the disk differ from the loaded code, until a restart."""

from __future__ import annotations

import functools
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

__all__ = ["LoadedCode", "loaded_code"]

ROOT: Final = Path(__file__).parents[2]
"""The extension's folder."""
FILES: Final = ("install.py", "preload.py", "style.css")
FOLDERS: Final = ("javascript", "localizations", "scripts", "vae_manager")
SUFFIXES: Final = (".css", ".html", ".js", ".json", ".py", ".yaml")
"""Suffixes of the files of an update; neither bytecode nor the files of tests and documents."""
INTERVAL_S: Final = 10.0
"""Seconds between two checks of the disk: each takes a few milliseconds."""

_Stats = Mapping[str, tuple[int, int]]
"""Size and mtime by path."""


class LoadedCode:
    """The code of this process, compared with its files. All methods may be called from any thread."""

    def __init__(self, root: Path = ROOT, clock: Callable[[], float] = time.monotonic) -> None:
        """Record the present files as the loaded ones. Their content is read at the first call of `is_outdated`."""
        self._root = root
        self._clock = clock
        self._lock = threading.Lock()
        self._stats = _stats_of(root)
        self._content: bytes | None = None
        self._asked_at: float | None = None
        self._is_outdated = False

    def is_outdated(self) -> bool:
        """Return True if the files contain other code than was loaded.

        A file with a new mtime alone is the same code.
        """
        with self._lock:
            now = self._clock()
            if self._asked_at is None or now - self._asked_at >= INTERVAL_S:
                self._asked_at = now
                self._look()
            return self._is_outdated

    def _look(self) -> None:
        stats = _stats_of(self._root)
        if not stats:
            return  # the extension is being removed, or its disk is absent
        if self._content is None and stats == self._stats:
            self._content = _content_of(self._root, stats)
        elif self._content is None:
            self._is_outdated = True  # the loaded code is no longer there for comparison
        elif stats != self._stats:
            self._stats, self._is_outdated = stats, _content_of(self._root, stats) != self._content


@functools.cache
def loaded_code() -> LoadedCode:
    """Return the one object of the process: a Reload UI does not load the package again."""
    return LoadedCode()


def _stats_of(root: Path) -> _Stats:
    found = {}
    for path in _files_in(root):
        try:
            status = os.stat(path)  # noqa: PTH116 - `os.stat`, since there are three hundred files
        except OSError:
            continue
        found[path] = status.st_size, status.st_mtime_ns
    return found


def _files_in(root: Path) -> Iterator[str]:
    yield from (os.path.join(root, name) for name in FILES)  # noqa: PTH118
    for folder in FOLDERS:
        for place, folders, names in os.walk(os.path.join(root, folder)):  # noqa: PTH118
            folders[:] = [name for name in folders if name != "__pycache__" and not name.startswith(".")]
            yield from (os.path.join(place, name) for name in names if name.endswith(SUFFIXES))  # noqa: PTH118


def _content_of(root: Path, stats: _Stats) -> bytes:
    digest = hashlib.blake2b()
    for path in sorted(stats):
        try:
            content = Path(path).read_bytes()
        except OSError:
            content = b""  # deleted just now; the next check detects that
        digest.update(f"{Path(path).relative_to(root).as_posix()}\0{len(content)}\0".encode("utf-8", "replace"))
        digest.update(content)
    return digest.digest()
