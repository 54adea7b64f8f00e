"""What is known of the files of a library, remembered, so that a thousand of them are listed at once.

Each record is bound to the file's identity: what has been written to, replaced or moved is looked at anew. It is only a
memory: if it is damaged or cannot be written, the work is done again.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from ..errors import NotFoundError, VaeManagerError
from ..files import Identity, identity_of, inspect
from ..files.state_file import UNREADABLE
from ..files.weights import Fingerprints, fingerprints
from ..records import HashStore, InspectionRecord, RecordStore
from .folders import VaeFile
from .summary import Summary

__all__ = ["Index", "IndexedFile"]

READER: Final = 2
"""Raised whenever an inspection says something else of the same bytes: summaries of before are then left out."""

MAX_READ: Final = 32_768
"""Summaries that are kept as they were read."""


@dataclass(frozen=True)
class IndexedFile:
    """One file of the library, and all that is known of it."""

    file: VaeFile
    identity: Identity
    summary: Summary
    sha256: str | None = None
    fingerprints: Fingerprints | None = None
    last_sha256: str | None = None
    """The hash under an earlier ctime, if the present one is not known. It is no proof."""
    last_fingerprints: Fingerprints | None = None
    """The fingerprints under an earlier ctime, in the same way."""


class _Fingerprinting(Protocol):
    def __call__(
        self,
        path: Path,
        /,
        *,
        report: Callable[[int, int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Fingerprints: ...


class Index:
    """The memory of a library. All methods may be called from any thread, and by several processes at once."""

    def __init__(
        self,
        records: RecordStore | None = None,
        hashes: HashStore | None = None,
        taking: _Fingerprinting = fingerprints,
    ) -> None:
        """
        Args:
            records: Where it remembers; None for a memory that ends with this object.
            hashes: The memory of SHA-256, by default that of `records`.
            taking: Takes fingerprints.
        """
        records = records if records is not None else hashes.records if hashes is not None else RecordStore()
        self._section = records.inspections
        self._hashes = hashes or HashStore(records)
        self._taking = taking

    @property
    def revision(self) -> int:
        """Another one after each change of what is known."""
        return self._section.revision

    def look(self, files: Iterable[VaeFile]) -> Sequence[IndexedFile]:
        """Say what each of `files` is; those that are gone are left out. Only what is not known yet is opened."""
        fresh: list[InspectionRecord] = []
        found = []
        for file in files:
            identity = identity_of(file.path)
            if identity is None:
                self._section.forget(str(file.path.absolute()))
                continue
            record = self._of(identity)
            summary = _summary(record)
            if summary is None:
                try:
                    summary = Summary.of(inspect(file.path))
                except NotFoundError:
                    continue
                except VaeManagerError as error:  # not remembered: it may be readable the next time
                    summary = Summary.of_unreadable(error)
                else:
                    fresh.append(record._replace(reader=READER, summary=json.dumps(summary.to_data())))
            found.append(self._indexed(file, identity, summary, record))
        if fresh:
            self._section.put(*fresh)
        return found

    def indexed(self, file: VaeFile, identity: Identity, summary: Summary) -> IndexedFile:
        """All that is remembered of a file that somebody else has looked at."""
        return self._indexed(file, identity, summary, self._of(identity))

    def _indexed(
        self, file: VaeFile, identity: Identity, summary: Summary, record: InspectionRecord
    ) -> IndexedFile:
        sha256 = self._hashes.known_of(identity)
        last = self._hashes.last_of(identity) if sha256 is None else None
        return IndexedFile(file, identity, summary, sha256, record.fingerprints, last, record.last)

    def known_fingerprints(self, path: Path) -> Fingerprints | None:
        """Those of `path`, if they are remembered and it has not changed since."""
        identity = identity_of(path)
        return self.known_fingerprints_of(identity) if identity is not None else None

    def known_fingerprints_of(self, identity: Identity) -> Fingerprints | None:
        """Those of the file that `identity` stands for; the disk is not asked."""
        return self._of(identity).fingerprints

    def fingerprints_of(
        self,
        path: Path,
        *,
        report: Callable[[int, int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Fingerprints:
        """Those of `path`: remembered, or taken and then remembered. `report` is told bytes done and in all.

        Raises as `files.weights.fingerprints` does.
        """
        before = identity_of(path)
        known = self._of(before).fingerprints if before is not None else None
        if known is not None:
            return known
        taken = self._taking(path, report=report, stop=stop)
        if before is not None:  # one that was written to meanwhile has another identity now, so stays unknown
            self._section.put(self._of(before)._replace(fingerprints=taken, last=None))
        return taken

    def carry(self, before: Identity, after: Path) -> None:
        """What is known of the file that `before` stands for holds for `after` too: the caller says that it has the
        same bytes, under another name or as a proven copy."""
        record, now = self._of(before), identity_of(after)
        if now is None or now.size != before.size or not (record.summary or record.fingerprints or record.last):
            return
        summary = _summary(record)
        if summary is None or summary.problems:
            # A sentence of the summary names the file: what is wrong with it is found anew under the new name.
            record = record._replace(reader=0, summary=None, tensors=None)
        self._section.put(record._replace(identity=now))

    def _of(self, identity: Identity) -> InspectionRecord:
        """What is remembered of an identity; an empty record if nothing is."""
        record = self._section.get(identity.path)
        if record is None or record.identity[:-1] != identity[:-1]:
            return InspectionRecord(identity)
        if record.identity != identity:
            return InspectionRecord(identity, last=record.fingerprints or record.last)
        return record


def _summary(record: InspectionRecord) -> Summary | None:
    """The summary of a record; None if there is none of this very version of the reader."""
    return _read(record.summary) if record.summary is not None and record.reader == READER else None


@functools.lru_cache(maxsize=MAX_READ)
def _read(text: str) -> Summary | None:
    """Read a summary once; None for what is none."""
    try:
        return Summary.from_data(json.loads(text))
    except UNREADABLE:
        return None
