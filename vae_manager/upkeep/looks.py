"""What is known of the library's files by now, in memory: a page asks often, and seldom does anything change."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..catalogue import Catalogue, Entry
from ..library import VaeFile
from .known import Known

if TYPE_CHECKING:  # what opens files waits for the first file
    from ..files import HashStore
    from ..library.families import FamilyGuess, Guesses, OwnWords
    from ..library.index import Index, IndexedFile

AT_ONCE = 50
"""Files that are looked at before they are told of."""

Bound = tuple[str, int, int]


def bound(file: VaeFile) -> Bound:
    """The file as it was listed; to ask the disk again for each of a thousand files would cost more than all else."""
    return str(file.path), file.size, file.mtime_ns


class Looks:
    """All methods may be called from any thread."""

    def __init__(
        self, data_folder: Path, hashes: Callable[[], HashStore], catalogue: Callable[[], Catalogue]
    ) -> None:
        self._data_folder = data_folder
        self._hashes = hashes
        self._catalogue = catalogue
        self._lock = threading.Lock()
        self._seen: Mapping[Bound, IndexedFile] = {}

    @functools.cached_property
    def index(self) -> Index:
        from ..library.index import Index

        return Index(self._data_folder, self._hashes())

    @functools.cached_property
    def words(self) -> OwnWords:
        from ..library.families import OwnWords

        return OwnWords(self._data_folder / "families.json")

    @functools.cached_property
    def guesses(self) -> Guesses:
        from ..library.families import Guesses

        return Guesses(self._data_folder / "guesses.json")

    def lacking(self, files: Sequence[VaeFile]) -> list[VaeFile]:
        """Those that nobody has looked at as they are now."""
        seen = self._seen
        return [file for file in files if bound(file) not in seen]

    def take(self, files: Sequence[VaeFile], stop: threading.Event | None = None) -> None:
        """Look at what is lacking; forget what is no longer among `files`."""
        lacking = self.lacking(files)
        for start in range(0, len(lacking), AT_ONCE):
            if stop is not None and stop.is_set():
                return
            self._add(self.index.look(lacking[start : start + AT_ONCE]))
        wanted = {bound(file) for file in files}
        with self._lock:
            self._seen = {key: indexed for key, indexed in self._seen.items() if key in wanted}

    def again(self, file: VaeFile) -> None:
        """More has become known of `file`."""
        self._add(self.index.look([file]))

    def _add(self, found: Sequence[IndexedFile]) -> None:
        with self._lock:
            self._seen = {**self._seen, **{bound(indexed.file): indexed for indexed in found}}

    def seen(self, files: Sequence[VaeFile]) -> list[IndexedFile]:
        """With the hashes that are known by now."""
        seen, hashes = self._seen, self._hashes()
        found = []
        for file in files:
            indexed = seen.get(bound(file))
            if indexed is not None:
                sha256 = hashes.known_of(indexed.identity)
                found.append(indexed if sha256 == indexed.sha256 else replace(indexed, sha256=sha256))
        return found

    def known(self, files: Sequence[VaeFile]) -> Mapping[Path, Known]:
        from ..library.families import families_of

        indexed, catalogue = self.seen(files), self._catalogue()
        guesses = families_of(indexed, catalogue, self.words, self.guesses)
        by_weights = _by_weights(indexed, catalogue)
        return {
            one.file.path: _known(one, guess, catalogue, by_weights)
            for one, guess in zip(indexed, guesses, strict=True)
        }

    def twins(self, files: Sequence[VaeFile]) -> Mapping[Path, Sequence[VaeFile]]:
        """The others that have the same weights, of each file that has any."""
        from ..library.duplicates import by_weights

        return {
            one.file.path: tuple(other.file for other in group if other is not one)
            for group in by_weights(self.seen(files))
            for one in group
        }


def _by_weights(indexed: Sequence[IndexedFile], catalogue: Catalogue) -> Mapping[str, Entry]:
    """Fingerprint -> what the catalogue calls a file that has these weights."""
    found = {}
    for one in indexed:
        entry = catalogue.recognise(one.sha256) if one.sha256 is not None else None
        if entry is not None and one.fingerprints is not None:
            found[one.fingerprints.weights] = entry
    return found


def _known(
    one: IndexedFile, guess: FamilyGuess, catalogue: Catalogue, by_weights: Mapping[str, Entry]
) -> Known:
    summary, prints = one.summary, one.fingerprints
    entry = catalogue.recognise(one.sha256) if one.sha256 is not None else None
    if entry is None and prints is not None:
        entry = by_weights.get(prints.weights)
    return Known(
        container=summary.container,
        layout=summary.layout,
        latent_channels=summary.latent_channels,
        parameters=summary.parameters,
        dtype=summary.dtype,
        problems=tuple((problem.code, problem.sentence) for problem in summary.problems),
        loadable=summary.loadable,
        convertible=summary.convertible,
        metadata=summary.metadata,
        weights=prints.weights if prints is not None else None,
        family=guess.family,
        family_sure=guess.sure,
        family_own=guess.why == "yours",
        figure=guess.figure,
        entry=entry,
    )
