"""Cache of the known facts of the library's files, in memory: a page reads them often, and they seldom change."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..catalogue import Catalogue
from . import VaeFile

if TYPE_CHECKING:  # modules that open files wait for the first file
    from ..files import FileRecord
    from ..records import HashStore, RecordStore
    from .family_evidence import FamilyGuesses, FamilyOverrides
    from .index import Index
    from .moving import Memory
    from .operations import Journal
    from .verification import VerificationStore

AT_ONCE = 50
"""Files that are inspected before their records are added."""

FileKey = tuple[str, int, int, int]


def bound(file: VaeFile) -> FileKey:
    """Return the file's key as listed, without a second call to the disk.

    For a thousand files, such calls would dominate the time.
    """
    return str(file.path), file.size, file.mtime_ns, file.ctime_ns


class Stores:
    """Stores of one data folder. Each is opened at its first use, since the start of a WebUI does without them."""

    def __init__(self, folder: Path, catalogue: Callable[[], Catalogue], *, is_persistent: bool = True) -> None:
        """Set up; `folder` is made when something is first written there, and never unless `is_persistent`."""
        self.folder = folder
        self._catalogue = catalogue
        self._is_persistent = is_persistent

    @property
    def catalogue(self) -> Catalogue:
        """Catalogue as it is now."""
        return self._catalogue()

    @functools.cached_property
    def records(self) -> RecordStore:
        """Everything about files that can be computed again."""
        from ..records import RecordStore

        return RecordStore(self.folder if self._is_persistent else None)

    @functools.cached_property
    def hashes(self) -> HashStore:
        """Known SHA-256 of files."""
        from ..records import HashStore

        return HashStore(self.records)

    @functools.cached_property
    def index(self) -> Index:
        """Inspections and fingerprints of the library's files."""
        from .index import Index

        return Index(self.records, self.hashes)

    @functools.cached_property
    def overrides(self) -> FamilyOverrides:
        """Families that the user has set."""
        from .family_evidence import FamilyOverrides

        return FamilyOverrides(self.folder / "families.json")

    @functools.cached_property
    def guesses(self) -> FamilyGuesses:
        """Results of the latent test."""
        from .family_evidence import FamilyGuesses

        return FamilyGuesses(self.records)

    @functools.cached_property
    def verifications(self) -> VerificationStore:
        """Last verification of each file."""
        from .verification import VerificationStore

        return VerificationStore(lambda: self.records)

    @functools.cached_property
    def journal(self) -> Journal:
        """Notes of operations on several files."""
        from .operations import Journal

        return Journal(self.folder)

    @property
    def trash(self) -> Path:
        """Folder of removed files that the system's own trash does not take."""
        return self.folder / "trash"

    def memories(self) -> Sequence[Memory]:
        """Return the stores that follow a file to its new path."""
        return self.hashes, self.index, self.overrides, self.guesses, self.records, self.verifications


class InspectionCache:
    """All methods may be called from any thread."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._lock = threading.Lock()
        self._seen: Mapping[FileKey, FileRecord] = {}
        self._last: _Last | None = None
        self._last_basis: _Basis | None = None
        self._whole: tuple[Sequence[VaeFile], Mapping[FileKey, FileRecord]] | None = None
        """Files that have all been inspected, and the records of that check."""

    def lacking(self, files: Sequence[VaeFile]) -> list[VaeFile]:
        """Return the files that were not inspected in their present state."""
        seen = self._seen
        if self._whole is not None and self._whole[0] is files and self._whole[1] is seen:
            return []
        lacking = [file for file in files if bound(file) not in seen]
        if not lacking:
            self._whole = files, seen
        return lacking

    def take(self, files: Sequence[VaeFile], stop: threading.Event | None = None) -> None:
        """Inspect the lacking files; forget those that are not among `files`."""
        lacking = self.lacking(files)
        for start in range(0, len(lacking), AT_ONCE):
            if stop is not None and stop.is_set():
                return
            self._look(lacking[start : start + AT_ONCE])
        wanted = {bound(file) for file in files}
        with self._lock:
            self._seen = {key: record for key, record in self._seen.items() if key in wanted}

    def again(self, file: VaeFile) -> None:
        """Update the record of `file`, of which new facts are known."""
        self._look([file])

    def _look(self, files: Sequence[VaeFile]) -> None:
        by_path = {file.path: file for file in files}
        self._add([(by_path[record.path], record) for record in self._stores.index.inspect_all(files)])

    def _add(self, found: Sequence[tuple[VaeFile, FileRecord]]) -> None:
        with self._lock:
            self._seen = {**self._seen, **{bound(file): record for file, record in found}}

    def seen(self, files: Sequence[VaeFile]) -> list[tuple[VaeFile, FileRecord]]:
        """Return files and records with the present hashes and fingerprints; the same records while no fact changes."""
        found = [(file, record) for file in files if (record := self._seen.get(bound(file))) is not None]
        renewed = [(file, self._renewed(record)) for file, record in found]
        newer = [now for now, before in zip(renewed, found, strict=True) if now[1] is not before[1]]
        if newer:
            self._add(newer)
        return renewed

    def _renewed(self, record: FileRecord) -> FileRecord:
        if record.identity is None:
            return record
        sha256 = self._stores.hashes.known_of(record.identity)
        fingerprints = self._stores.index.known_fingerprints_of(record.identity)
        failure = self._stores.index.failure_of(record.identity)
        is_reported = failure is None or failure in record.problems
        if is_reported and (sha256, fingerprints) == (record.sha256, record.fingerprints):
            return record
        problems = record.problems if is_reported or failure is None else (*record.problems, failure)
        return replace(record, sha256=sha256, fingerprints=fingerprints, problems=problems)

    def records(self, files: Sequence[VaeFile]) -> Mapping[Path, FileRecord]:
        """Return the record of each file, with its family and its entry."""
        return self._now(files).records

    def twins(self, files: Sequence[VaeFile]) -> Mapping[Path, Sequence[VaeFile]]:
        """Return, for each file with duplicates, the other files with the same weights."""
        return self._now(files).twins

    def _now(self, files: Sequence[VaeFile]) -> _Last:
        """Return the last conclusions while their inputs are the same, else new ones."""
        catalogue, stamps = self._stores.catalogue, (self._stores.overrides.stamp, self._stores.guesses.stamp)
        revisions = self._stores.hashes.revision, self._stores.index.revision
        basis = _Basis(files, self._seen, catalogue, stamps, revisions)
        last = self._last
        if last is not None and self._last_basis is not None and self._last_basis.is_same(basis):
            return last
        seen = self.seen(files)
        if last is None or not last.stands_on(seen, catalogue, stamps):
            last = self._last = self._conclude(seen, catalogue, stamps)
        self._last_basis = basis
        return last

    def _conclude(self, seen: Sequence[tuple[VaeFile, FileRecord]], catalogue: Catalogue, stamps: object) -> _Last:
        from .family_evidence import entries_by_weights, entry_of, families_of, group_by_weights

        found = [record for _, record in seen]
        guesses = families_of(found, catalogue, self._stores.overrides, self._stores.guesses)
        entries = entries_by_weights(found, catalogue)
        records = {
            file.path: replace(
                record,
                family=guess,
                entry=entry_of(record, catalogue, entries),
                is_arriving=file.is_arriving,
            )
            for (file, record), guess in zip(seen, guesses, strict=True)
        }
        files = {file.path: file for file, _ in seen}
        twins = {
            one.path: tuple(files[other.path] for other in group if other is not one)
            for group in group_by_weights(found)
            for one in group
        }
        return _Last(seen, catalogue, stamps, records, twins)


@dataclass(frozen=True)
class _Basis:
    """Inputs of cached conclusions, compared by object identity: quick for any number of files."""

    files: Sequence[VaeFile]
    seen: Mapping[FileKey, FileRecord]
    catalogue: Catalogue
    stamps: object
    revisions: tuple[int, int]

    def is_same(self, other: _Basis) -> bool:
        return (
            self.files is other.files
            and self.seen is other.seen
            and self.catalogue is other.catalogue
            and (self.stamps, self.revisions) == (other.stamps, other.revisions)
        )


@dataclass(frozen=True)
class _Last:
    """Conclusions, and their inputs."""

    seen: Sequence[tuple[VaeFile, FileRecord]]
    catalogue: Catalogue
    stamps: object
    """Stamps of the files with persons' settings and test results."""
    records: Mapping[Path, FileRecord]
    twins: Mapping[Path, Sequence[VaeFile]]

    def stands_on(self, seen: Sequence[tuple[VaeFile, FileRecord]], catalogue: Catalogue, stamps: object) -> bool:
        return (
            catalogue is self.catalogue
            and stamps == self.stamps
            and len(seen) == len(self.seen)
            and all(
                now[1] is then[1] and now[0].is_arriving is then[0].is_arriving
                for now, then in zip(seen, self.seen, strict=True)
            )
        )
