"""What is known of the library's files by now, in memory: a page asks often, and seldom does anything change."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..catalogue import Catalogue, Entry
from ..library import VaeFile
from .known import Known

if TYPE_CHECKING:  # what opens files waits for the first file
    from ..library.families import FamilyGuess, Guesses, OwnWords
    from ..library.index import Index, IndexedFile
    from ..records import HashStore, RecordStore

AT_ONCE = 50
"""Files that are looked at before they are told of."""

Bound = tuple[str, int, int, int]


def bound(file: VaeFile) -> Bound:
    """The file as it was listed; to ask the disk again for each of a thousand files would cost more than all else."""
    return str(file.path), file.size, file.mtime_ns, file.ctime_ns


@dataclass(frozen=True)
class Stores:
    """Where what is known is kept. Each is made when it is first asked for: the WebUI's start needs none."""

    hashes: Callable[[], HashStore]
    catalogue: Callable[[], Catalogue]
    index: Callable[[], Index]
    words: Callable[[], OwnWords]
    guesses: Callable[[], Guesses]
    records: Callable[[], RecordStore]
    trash: Path


class Looks:
    """All methods may be called from any thread."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._lock = threading.Lock()
        self._seen: Mapping[Bound, IndexedFile] = {}
        self._last: _Last | None = None
        self._last_basis: _Basis | None = None
        self._whole: tuple[Sequence[VaeFile], Mapping[Bound, IndexedFile]] | None = None
        """Files that have all been looked at, and by what that was found."""

    def lacking(self, files: Sequence[VaeFile]) -> list[VaeFile]:
        """Those that nobody has looked at as they are now."""
        seen = self._seen
        if self._whole is not None and self._whole[0] is files and self._whole[1] is seen:
            return []
        lacking = [file for file in files if bound(file) not in seen]
        if not lacking:
            self._whole = files, seen
        return lacking

    def take(self, files: Sequence[VaeFile], stop: threading.Event | None = None) -> None:
        """Look at what is lacking; forget what is no longer among `files`."""
        lacking = self.lacking(files)
        for start in range(0, len(lacking), AT_ONCE):
            if stop is not None and stop.is_set():
                return
            self._add(self._stores.index().look(lacking[start : start + AT_ONCE]))
        wanted = {bound(file) for file in files}
        with self._lock:
            self._seen = {key: indexed for key, indexed in self._seen.items() if key in wanted}

    def again(self, file: VaeFile) -> None:
        """More has become known of `file`."""
        self._add(self._stores.index().look([file]))

    def _add(self, found: Sequence[IndexedFile]) -> None:
        with self._lock:
            self._seen = {**self._seen, **{bound(indexed.file): indexed for indexed in found}}

    def seen(self, files: Sequence[VaeFile]) -> list[IndexedFile]:
        """With the hashes and fingerprints that are known by now. The same objects while nothing has changed."""
        found = [indexed for file in files if (indexed := self._seen.get(bound(file))) is not None]
        renewed = [self._renewed(indexed) for indexed in found]
        newer = [now for now, before in zip(renewed, found, strict=True) if now is not before]
        if newer:
            self._add(newer)
        return renewed

    def _renewed(self, indexed: IndexedFile) -> IndexedFile:
        sha256 = self._stores.hashes().known_of(indexed.identity)
        fingerprints = self._stores.index().known_fingerprints_of(indexed.identity)
        if (sha256, fingerprints) == (indexed.sha256, indexed.fingerprints):
            return indexed
        return replace(indexed, sha256=sha256, fingerprints=fingerprints)

    def known(self, files: Sequence[VaeFile]) -> Mapping[Path, Known]:
        return self._now(files).known

    def twins(self, files: Sequence[VaeFile]) -> Mapping[Path, Sequence[VaeFile]]:
        """The others that have the same weights, of each file that has any."""
        return self._now(files).twins

    def _now(self, files: Sequence[VaeFile]) -> _Last:
        """What was said last, while it stands on the same."""
        catalogue, told = self._stores.catalogue(), (self._stores.words().stamp, self._stores.guesses().stamp)
        revisions = self._stores.hashes().revision, self._stores.index().revision
        basis = _Basis(files, self._seen, catalogue, told, revisions)
        last = self._last
        if last is not None and self._last_basis is not None and self._last_basis.is_same(basis):
            return last
        indexed = self.seen(files)
        if last is None or not last.stands_on(indexed, catalogue, told):
            last = self._last = self._conclude(indexed, catalogue, told)
        self._last_basis = basis
        return last

    def _conclude(self, indexed: Sequence[IndexedFile], catalogue: Catalogue, told: object) -> _Last:
        from ..library.duplicates import by_weights
        from ..library.families import families_of

        guesses = families_of(indexed, catalogue, self._stores.words(), self._stores.guesses())
        entries = _by_weights(indexed, catalogue)
        known = {
            one.file.path: _known(one, guess, catalogue, entries)
            for one, guess in zip(indexed, guesses, strict=True)
        }
        twins = {
            one.file.path: tuple(other.file for other in group if other is not one)
            for group in by_weights(indexed)
            for one in group
        }
        return _Last(indexed, catalogue, told, known, twins)


@dataclass(frozen=True)
class _Basis:
    """Inputs of cached conclusions, compared by object identity: quick for any number of files."""

    files: Sequence[VaeFile]
    seen: Mapping[Bound, IndexedFile]
    catalogue: Catalogue
    told: object
    revisions: tuple[int, int]

    def is_same(self, other: _Basis) -> bool:
        return (
            self.files is other.files
            and self.seen is other.seen
            and self.catalogue is other.catalogue
            and (self.told, self.revisions) == (other.told, other.revisions)
        )


@dataclass(frozen=True)
class _Last:
    """Conclusions, and what they stand on."""

    indexed: Sequence[IndexedFile]
    catalogue: Catalogue
    told: object
    """Of what people and tests have said: which files it was read from."""
    known: Mapping[Path, Known]
    twins: Mapping[Path, Sequence[VaeFile]]

    def stands_on(self, indexed: Sequence[IndexedFile], catalogue: Catalogue, told: object) -> bool:
        return (
            catalogue is self.catalogue
            and told == self.told
            and len(indexed) == len(self.indexed)
            and all(map(operator.is_, indexed, self.indexed))
        )


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
        sha256=one.sha256,
        weights=prints.weights if prints is not None else None,
        family=guess.family,
        family_sure=guess.sure,
        family_own=guess.why == "yours",
        figure=guess.figure,
        entry=entry,
    )
