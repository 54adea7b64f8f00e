"""One for the process: what is known of the files of the library, and the work that finds it out.

Work runs on a lane of its own, so that a verification of many gigabytes delays neither a choice nor the hash of the file
in use. It never needs the WebUI's queue lock: files are read, and new ones are written beside them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..jobs import Handle, JobView, Lane
from ..library import VaeFile
from ..sentences import Sentence
from . import work
from .known import Known, Verdict, key_of
from .looks import Looks

if TYPE_CHECKING:
    from ..catalogue import Catalogue
    from ..files import HashStore

LOOKING = "look"
PATIENCE = 0.3
"""Seconds that an answer may wait for new files to be looked at: so long, most libraries are whole at first sight."""


@dataclass(frozen=True)
class Undoable:
    """What was deleted last."""

    name: str
    kept_by_us: bool
    """It can be taken back here; else in the system's trash."""


class Upkeep:
    """All methods may be called from any thread."""

    def __init__(
        self, data_folder: Path, hashes: Callable[[], HashStore], catalogue: Callable[[], Catalogue]
    ) -> None:
        self._hashes = hashes
        self._looks = Looks(data_folder, hashes, catalogue)
        self._looking = Lane("looks")
        self._lane = Lane("upkeep")
        self._lock = threading.Lock()
        self._verdicts: dict[tuple[str, int, int], Verdict] = {}
        self._renamed: dict[str, str] = {}
        self.told: Sentence | None = None
        """What the last piece of work has done, until somebody has read it."""

    # -- looking ---------------------------------------------------------------------------------------------------
    def look(self, files: Sequence[VaeFile], *, patience: float = PATIENCE) -> None:
        """Make sure that each file gets looked at, in the background."""
        if not self._looks.lacking(files):
            return

        def look(handle: Handle) -> None:
            self._looks.take(files, handle.stop)

        self._looking.start(LOOKING, "", look)
        if patience:
            self._looking.wait(LOOKING, patience)

    def known(self, files: Sequence[VaeFile]) -> Mapping[Path, Known]:
        """What is known by now of each file that has been looked at."""
        return self._looks.known(files)

    def twins(self, files: Sequence[VaeFile]) -> Mapping[Path, Sequence[VaeFile]]:
        """The others that have the same weights, of each file that has any."""
        return self._looks.twins(files)

    def doubled(self, files: Sequence[VaeFile]) -> int:
        """How many VAEs are known to be there more than once."""
        return len({frozenset(map(str, [path, *(other.path for other in others)]))
                    for path, others in self.twins(files).items()})  # fmt: skip

    def verdict(self, file: VaeFile) -> Verdict | None:
        with self._lock:
            return self._verdicts.get(_bound(file))

    # -- names -----------------------------------------------------------------------------------------------------
    def now_called(self, key: str) -> str:
        """The key of the file that had the key `key`: an open page may not know yet that it was renamed."""
        with self._lock:
            return self._renamed.get(key, key)

    def renamed(self, old: Path, new: Path) -> None:
        before, now = key_of(old), key_of(new)
        with self._lock:
            self._renamed = {key: now if name == before else name for key, name in self._renamed.items()}
            self._renamed[before] = now
            self._renamed.pop(now, None)

    # -- work ------------------------------------------------------------------------------------------------------
    def views(self) -> tuple[JobView, ...]:
        return self._lane.views()

    def stop(self, key: str) -> None:
        self._lane.stop(key)

    def forget(self, key: str) -> None:
        self._lane.forget(key)
