"""What the commands know of files, and remember where there is a place for it."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ..catalogue import Catalogue
from ..errors import IntegrityError, NotFoundError
from ..files import FileRecord, identity_of, inspect
from ..files.record import Fingerprints
from ..files.weight_checks import find_nan
from ..library import Folder, scan
from ..library.family_evidence import Guesses, OwnWords, entries_by_weights, entry_of, family_of, known_weights
from ..library.index import Index
from ..library.journal import Journal
from ..library.moving import Memory, Surroundings
from ..library.verification import Outcome, Verification, VerificationStore, can_look_at_numbers
from ..records import HashStore, RecordStore
from ..sentences import say
from ..upkeep.startup_recovery import OWN, Recovery
from .shared import print_problem

WEBUIS: Final = "vae-manager"

Report = Callable[[int, int], None]


def with_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="where hashes, fingerprints and removed files are kept (default: the WebUI's vae-manager folder where "
        f"there is one, else {OWN} in the VAE folder)",
    )


def data_of(options: argparse.Namespace, folder: Path) -> Path:
    """Where the state is kept; what only looks makes nothing there."""
    if options.data is not None:
        return Path(options.data)
    webuis = folder.absolute().parent.parent / WEBUIS  # beside `models/VAE`
    return webuis if webuis.is_dir() else folder / OWN


class Known:
    """Files, seen with the memory of one data folder: nothing is written where that is not there."""

    def __init__(self, data: Path | None) -> None:
        self._data = data
        place = data if data is not None and data.is_dir() else None
        if data is not None and place is None and data.name != OWN:  # one that the person has named
            print_problem(say("There is no folder {path}, so nothing that was found out before is known.", path=data))
        self.records = RecordStore(place)
        self.hashes = HashStore(self.records)
        self.index = Index(self.records, self.hashes)
        self.words = OwnWords(place / "families.json") if place is not None else None
        self.guesses = Guesses(self.records)
        self.verifications = VerificationStore(lambda: self.records)
        self.records.load()
        if self.records.is_busy:
            print_problem(
                say("{file} is locked by another program: what it remembers is left out.", file=self.records.path)
            )

    def look(
        self, path: Path, *, reading: bool, report: Report | None = None, stop: threading.Event | None = None
    ) -> FileRecord:
        """Return the record of a file; with `reading`, all of its bytes are read for what is not remembered of it.

        Raises NotFoundError and DiskError where it cannot be read.
        """
        header = inspect(path)
        if reading:
            self.hash(path, report=report, stop=stop)
            if header.has_encoder or header.has_decoder:
                self.fingerprints(path, report=report, stop=stop)
                self._look_at_numbers(header, stop)
        identity = identity_of(path)
        if identity is None:
            raise NotFoundError(say("There is no file {path}.", path=path))
        return self.index.completed(header, identity)

    def neighbours(self, paths: Sequence[Path]) -> Sequence[FileRecord]:
        """Return the records of the other VAE files in the folders of `paths`, as far as a data folder remembers them:
        what is known of their weights is known of these."""
        if self.records.path is None:
            return ()
        folders = dict.fromkeys(path.absolute().parent for path in paths)
        return self.index.look(scan([Folder(folder) for folder in folders]))

    def _look_at_numbers(self, header: FileRecord, stop: threading.Event | None) -> None:
        """Find NaN and infinite values, unless these bytes were looked at before; without numpy nothing is found."""
        identity = identity_of(header.path)
        if identity is None or header.problems or not can_look_at_numbers() or self.index.failure_of(identity):
            return
        verification = self.verifications.of_identity(identity)
        if verification is not None and verification.outcome is Outcome.VERIFIED:
            return
        try:
            problem = find_nan(header.path, stop=stop)
        except (NotFoundError, IntegrityError):
            return
        if problem is not None:
            self.index.note_failure(identity, problem)

    def hash(self, path: Path, *, report: Report | None = None, stop: threading.Event | None = None) -> str:
        """The SHA-256, remembered or computed; `report` is told bytes done and in all."""
        size = path.stat().st_size if report is not None else 0
        return self.hashes.compute(path, report=report and (lambda done: report(done, size)), stop=stop)

    def fingerprints(
        self, path: Path, *, report: Report | None = None, stop: threading.Event | None = None
    ) -> Fingerprints | None:
        """None for what holds no VAE, or is broken: an inspection says why."""
        try:
            return self.index.fingerprints_of(path, report=report, stop=stop)
        except (NotFoundError, IntegrityError):
            return None

    def verification_of(self, record: FileRecord) -> Verification | None:
        """Return the last verification of these very bytes."""
        return self.verifications.of_identity(record.identity) if record.identity is not None else None

    def note(self, path: Path, verification: Verification) -> None:
        """Remember the result of a verification of `path`."""
        identity = identity_of(path)
        if identity is not None:
            self.verifications.put_identity(identity, verification)
        if verification.damage is not None:
            self.index.note_failure(*verification.damage)

    def with_families(
        self, records: Sequence[FileRecord], catalogue: Catalogue, others: Sequence[FileRecord] = ()
    ) -> Sequence[FileRecord]:
        """Add the family and the catalogue's entry to each record; `others` are files that may have its weights."""
        siblings = known_weights([*records, *others], catalogue, self.words)
        entries = entries_by_weights([*records, *others], catalogue)
        return [
            replace(
                record,
                family=family_of(record, catalogue, self.words, siblings, self.guesses),
                entry=entry_of(record, catalogue, entries),
            )
            for record in records
        ]

    def recover(self, folder: Path) -> None:
        """End or take back what commands left half done in a VAE folder when they were killed."""
        Recovery(self._data or folder / OWN, self._memories, print_problem).run([folder])

    def around(self, folder: Path) -> Surroundings:
        """The rest of a VAE folder that no WebUI is known to be using."""
        self.recover(folder)
        folders = [Folder(folder)]
        journal = Journal(self._data) if self._data is not None else None
        return Surroundings(scan(folders), folders, memories=self._memories(), journal=journal)

    def _memories(self) -> Sequence[Memory]:
        words = [self.words] if self.words is not None else []
        return [self.hashes, self.index, self.guesses, self.records, *words]
