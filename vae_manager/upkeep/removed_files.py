"""The extension's own trash, with the entries of earlier processes and of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import NotFoundError
from ..sentences import say

if TYPE_CHECKING:  # what opens files waits for the first file
    from ..library.moving import Surroundings
    from ..library.trash import Removed

__all__ = ["RemovedFiles"]


class RemovedFiles:
    """Entries of the trash in `folder`, read again when the folder has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_at: int | None = None
        self._all: Sequence[tuple[Removed, int]] = ()

    def all(self) -> Sequence[tuple[Removed, int]]:
        """Entries with their sizes in bytes, the newest first. The same object while nothing has changed."""
        try:
            now = self._folder.stat().st_mtime_ns
        except OSError:  # it is made with the first entry
            self._read_at, self._all = None, ()
            return self._all
        if now != self._read_at:
            from ..library import trash

            self._read_at, self._all = now, [(gone, gone.size) for gone in trash.removed(self._folder)]
        return self._all

    def remove(self, file: Path, around: Surroundings) -> Removed:
        """Put a file into the trash. Raises as `trash.remove` does."""
        from ..library import trash

        self._read_at = None
        return trash.remove(file, self._folder, around)

    def restore(self, entry: str, around: Surroundings, name: str | None = None) -> Path:
        """Bring the file of that entry back, under `name` if one is given. Raises as `trash.restore` does."""
        from ..library import trash

        gone = next((gone for gone, _ in self.all() if gone.place is not None and gone.place.name == entry), None)
        if gone is None:
            raise NotFoundError(say("This file is no longer in the trash."))
        self._read_at = None
        return trash.restore(gone, around, name=name)

    def empty(self) -> int:
        """Delete the entries for good; returns the bytes that became free. Raises as `trash.empty` does."""
        from ..library import trash

        self._read_at = None
        return trash.empty(self._folder)
