"""Recovery of interrupted operations before files are listed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..sentences import Sentence

if TYPE_CHECKING:  # what opens files waits for the first file
    from ..library.moving import Memory

__all__ = ["OWN", "Recovery"]

OWN: Final = ".vae-manager"
"""Folder in the VAE folder: the command line's state if there is no WebUI; no WebUI reads it."""


class Recovery:
    """Ends or takes back operations, and removes what was being written. All methods may be called from any thread."""

    def __init__(
        self, data: Path, memories: Callable[[], Iterable[Memory]], report: Callable[[Sentence], None]
    ) -> None:
        """Set up; `report` gets a message for each operation, once."""
        self._data = data
        self._memories = memories
        self._report = report
        self._lock = threading.Lock()
        self._swept: set[Path] = set()
        self._told: set[str] = set()

    def run(self, folders: Sequence[Path]) -> None:
        """Look for operations; in a folder that was not looked through yet, for files that were being written too.

        It costs almost no time if there are no notes, so that each look at the library can be preceded by it.
        """
        with self._lock:
            for data in dict.fromkeys([self._data, *(folder / OWN for folder in folders)]):
                if (data / "operations").is_dir():
                    self._recover(data)
            for folder in folders:
                if folder not in self._swept:
                    self._swept.add(folder)
                    _sweep(folder)
            if self._data not in self._swept:
                self._swept.add(self._data)
                _sweep_one(self._data)

    def _recover(self, data: Path) -> None:
        from ..library.journal import Journal
        from ..library.recovery import recover

        recover(Journal(data), self._memories, self._tell)

    def _tell(self, sentence: Sentence) -> None:
        if str(sentence) not in self._told:  # what cannot be ended now is met at each look
            self._told.add(str(sentence))
            self._report(sentence)


def _sweep(folder: Path) -> None:
    for place, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        _sweep_one(Path(place))


def _sweep_one(folder: Path) -> None:
    from ..files.partials import sweep
    from ..transfer.partial.resumable import sweep as sweep_downloads

    sweep(folder)
    sweep_downloads(folder)
