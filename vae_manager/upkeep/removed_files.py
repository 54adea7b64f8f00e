"""The extension's own trash, with the entries of earlier processes and of the command line."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ..errors import NotFoundError
from ..library.folders import YOUNG_NS
from ..sentences import say

if TYPE_CHECKING:  # what opens files waits for the first file
    from ..library.moving import Surroundings
    from ..library.trash import Removed

__all__ = ["RemovedFiles"]


_Stamp: TypeAlias = tuple[tuple[str, int], ...]


class RemovedFiles:
    """Entries of the trash in `folder`, read again when one of its folders has changed.

    Another thread or process may be in the middle of filling an entry at each look.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_at: _Stamp | None = None
        self._all: Sequence[tuple[Removed, int]] = ()

    def all(self) -> Sequence[tuple[Removed, int]]:
        """Entries with their sizes in bytes, the newest first. The same object while nothing has changed."""
        now = _stamp(self._folder)
        if not now:  # the folder is made with the first entry
            self._read_at, self._all = None, ()
        elif now != self._read_at:
            found = self._read()
            if found != self._all:
                self._all = found
            is_young = time.time_ns() - max(time_ns for _, time_ns in now) < YOUNG_NS
            self._read_at = None if is_young else now
        return self._all

    def _read(self) -> Sequence[tuple[Removed, int]]:
        from ..library import trash

        return tuple((gone, gone.size) for gone in trash.removed(self._folder))

    def remove(self, file: Path, around: Surroundings) -> Removed:
        """Put a file into the trash. Raises as `trash.remove` does."""
        from ..library import trash

        return trash.remove(file, self._folder, around)

    def restore(self, entry: str, around: Surroundings, name: str | None = None) -> Path:
        """Bring the file of that entry back, under `name` if one is given. Raises as `trash.restore` does."""
        from ..library import trash

        entries = ((gone, gone.place) for gone, _ in self._read())
        gone = next((gone for gone, place in entries if place is not None and place.name == entry), None)
        if gone is None:
            raise NotFoundError(say("This file is no longer in the trash."))
        return trash.restore(gone, around, name=name)

    def empty(self) -> int:
        """Delete the entries for good; returns the bytes that became free. Raises as `trash.empty` does."""
        from ..library import trash

        return trash.empty(self._folder)


def _stamp(folder: Path) -> _Stamp:
    """Names and modification times, in nanoseconds, of the trash, its entries and their folders of files; empty if
    there is no trash. A change of an entry leaves the time of the trash itself as it was."""
    try:
        entries = sorted(path.name for path in folder.iterdir())
    except OSError:
        return ()
    paths = ["", *entries, *(f"{entry}/files" for entry in entries)]
    return tuple((path, _modified(folder / path)) for path in paths)


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
