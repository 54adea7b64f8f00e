"""Records of the files of a library, kept so that a thousand of them are listed at once.

Each record is bound to the file's identity: a file that was written to, replaced or moved is inspected again. A record
that is damaged or cannot be written costs only its computation.
"""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol, get_args

from ..errors import NotFoundError, VaeManagerError
from ..files import Container, FileRecord, Identity, Problem, TensorTable, identity_of, inspect
from ..files.record import Fingerprints
from ..files.state_file import UNREADABLE
from ..files.tensor_data import fingerprints
from ..messages import from_data, renamed, to_data
from ..records import Failure, HashStore, InspectionRecord, RecordStore, binding_key
from .folders import VaeFile

__all__ = ["Index", "read_record", "record_to_data", "unreadable"]


_CONTAINERS: Final = frozenset(get_args(Container))

READER: Final = 7
"""Increased whenever an inspection has another result for the same bytes: earlier results are then left out."""

MAX_READ: Final = 32_768
"""Parsed results of inspections that are kept in memory."""


def unreadable(path: Path, size: int, error: VaeManagerError) -> FileRecord:
    """Return the record of a file that exists and cannot be read."""
    return FileRecord(path, size, "unknown", problems=(Problem("unreadable", error.message),))


def record_to_data(record: FileRecord) -> dict[str, Any]:
    """Return the record as JSON data."""
    data: dict[str, Any] = {"container": record.container}
    if record.metadata:
        data["metadata"] = dict(record.metadata)
    if record.problems:
        data["problems"] = [{"code": problem.code, **to_data(problem.message)} for problem in record.problems]
    return data


def read_record(data: Any) -> FileRecord:
    """Read the output of `record_to_data`: a record without path, size and table.

    Raises ValueError, TypeError, KeyError or AttributeError for any other data.
    """
    container = data["container"]
    if container not in _CONTAINERS:
        raise ValueError("no container")
    return FileRecord(
        Path(),
        0,
        container,
        None,
        {_text(key): _text(value) for key, value in data.get("metadata", {}).items()},
        tuple(Problem(_text(one["code"]), from_data(one)) for one in data.get("problems", ())),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


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
    """The store of a library's records. All methods may be called from any thread, and by several processes at once."""

    def __init__(
        self,
        records: RecordStore | None = None,
        hashes: HashStore | None = None,
        taking: _Fingerprinting = fingerprints,
    ) -> None:
        """Make the index.

        Args:
            records: The store; None for one that ends with this object.
            hashes: The store of SHA-256, by default that of `records`.
            taking: Takes fingerprints.
        """
        records = records if records is not None else hashes.records if hashes is not None else RecordStore()
        self._store = records
        self._section = records.inspections
        self._failures = records.failures
        self._hashes = hashes or HashStore(records)
        self._taking = taking

    @property
    def revision(self) -> int:
        """A number that differs after each change of the records."""
        return self._section.revision + self._failures.revision

    def inspect_all(self, files: Iterable[VaeFile]) -> Sequence[FileRecord]:
        """Return the record of each of `files`; deleted ones are left out. Only unknown files are opened."""
        fresh: list[InspectionRecord] = []
        tables: dict[str, bytes] = {}
        found = []
        for file in files:
            identity = identity_of(file.path)
            if identity is None:
                self._section.forget(str(file.path.absolute()))
                continue
            record = self._of(identity)
            header = self._header(record)
            if header is None:
                try:
                    header = inspect(file.path)
                except NotFoundError:
                    continue
                except VaeManagerError as error:  # not stored: it may be readable the next time
                    header = unreadable(file.path, identity.size, error)
                else:
                    fresh.append(_with_header(record, header))
                    if header.table is not None:
                        tables[header.table.digest] = header.table.to_json()
            header = replace(header, is_arriving=file.is_arriving)
            found.append(self._record(file.path, identity, header, record))
        if fresh:
            self._section.put(*fresh, tensors=tables)
        return found

    def note_failure(self, identity: Identity, problem: Problem) -> None:
        """Record the problem that reading the weights of this file has shown.

        It holds for these bytes under any name, as far as their hash is known, but not for other bytes under this name.
        """
        data = {"code": problem.code, "name": Path(identity.path).name, **to_data(problem.message)}
        text, now = json.dumps(data), time.time()
        self._failures.put(*(Failure(binding_key(binding), now, text) for binding in self._bindings(identity)))

    def failure_of(self, identity: Identity) -> Problem | None:
        """Return the problem that reading the weights of this file, or of one with its bytes, has shown."""
        if self._failures.is_empty:
            return None
        found = (self._failures.get(binding_key(binding)) for binding in self._bindings(identity))
        failure = next((failure for failure in found if failure is not None), None)
        return _problem(failure.message, Path(identity.path).name) if failure is not None else None

    def _bindings(self, identity: Identity) -> list[tuple[object, ...]]:
        """Return the bindings of a failure: the file, and its bytes.

        A mode or a second name changes the ctime alone, so the last hash counts too.
        """
        sha256 = self._hashes.known_of(identity) or self._hashes.last_of(identity)
        return [tuple(identity), *([("sha256", sha256)] if sha256 is not None else [])]

    def completed(self, header: FileRecord, identity: Identity) -> FileRecord:
        """Add all stored facts of a file to the record of an inspection."""
        return self._record(header.path, identity, header, self._of(identity))

    def _record(self, path: Path, identity: Identity, header: FileRecord, known: InspectionRecord) -> FileRecord:
        sha256 = self._hashes.known_of(identity)
        failure = self.failure_of(identity)
        return replace(
            header,
            problems=(*header.problems, failure) if failure is not None else header.problems,
            path=path,
            size=identity.size,
            identity=identity,
            sha256=sha256,
            fingerprints=known.fingerprints,
            last_sha256=self._hashes.last_of(identity) if sha256 is None else None,
            last_fingerprints=known.last,
        )

    def _header(self, record: InspectionRecord) -> FileRecord | None:
        """Return the result of the inspection; None without one of this exact version of the reader."""
        if record.summary is None or record.reader != READER:
            return None
        table = self._table(record.tensors) if record.tensors is not None else None
        if record.tensors is not None and table is None:
            return None
        header = _read(record.summary)
        return replace(header, table=table) if header is not None else None

    def _table(self, digest: str) -> TensorTable | None:
        known = TensorTable.known(digest)
        if known is not None:
            return known
        data = self._store.tensor_table(digest)
        try:
            return TensorTable.from_json(data) if data is not None else None
        except ValueError:
            return None

    def known_fingerprints(self, path: Path) -> Fingerprints | None:
        """Return the fingerprints of `path`, if they are stored and it has not changed since."""
        identity = identity_of(path)
        return self.known_fingerprints_of(identity) if identity is not None else None

    def known_fingerprints_of(self, identity: Identity) -> Fingerprints | None:
        """Return the fingerprints of the file `identity`, without reading the disk."""
        return self._of(identity).fingerprints

    def fingerprints_of(
        self,
        path: Path,
        *,
        report: Callable[[int, int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Fingerprints:
        """Return the fingerprints of `path`: stored ones, or new ones, which are then stored.

        `report` receives the bytes done and in all. Raises as `files.tensor_data.fingerprints` does.
        """
        before = identity_of(path)
        known = self._of(before).fingerprints if before is not None else None
        if known is not None:
            return known
        taken = self._taking(path, report=report, stop=stop)
        if before is not None:  # a file that was written to meanwhile has another identity now, so stays unknown
            self._section.put(self._of(before)._replace(fingerprints=taken, last=None))
        return taken

    def carry(self, before: Identity, after: Path) -> None:
        """Copy the facts of the file `before` to `after`.

        The caller guarantees the same bytes, under another name or as a verified copy.
        """
        record, now = self._of(before), identity_of(after)
        failure = self._failures.get(binding_key(tuple(before)))
        if failure is not None and now is not None and now.size == before.size:
            self._failures.put(failure._replace(key=binding_key(tuple(now))))
        if now is None or now.size != before.size or not (record.summary or record.fingerprints or record.last):
            return
        header = self._header(record)
        if header is None or header.problems:
            # The sentence of a problem names the file, so the file is inspected again under its new name.
            record = record._replace(reader=0, summary=None, tensors=None)
        self._section.put(record._replace(identity=now))

    def _of(self, identity: Identity) -> InspectionRecord:
        """Return the stored record of an identity; an empty one if there is no record."""
        record = self._section.get(identity.path)
        if record is None or record.identity[:-1] != identity[:-1]:
            return InspectionRecord(identity)
        if record.identity != identity:
            return InspectionRecord(identity, last=record.fingerprints or record.last)
        return record


def _with_header(record: InspectionRecord, header: FileRecord) -> InspectionRecord:
    """Return the row of an inspection that was just made."""
    digest = header.table.digest if header.table is not None else None
    return record._replace(reader=READER, summary=json.dumps(record_to_data(header)), tensors=digest)


@functools.lru_cache(maxsize=MAX_READ)
def _read(text: str) -> FileRecord | None:
    """Parse the result of an inspection, without path, size and table; None for any other text."""
    try:
        return read_record(json.loads(text))
    except UNREADABLE:
        return None


@functools.lru_cache(maxsize=1024)
def _problem(text: str, name: str) -> Problem | None:
    """Parse the problem of a failure, for a file that is called `name` now; None for any other text."""
    try:
        data = json.loads(text)
        return Problem(str(data["code"]), renamed(from_data(data), str(data["name"]), name))
    except (*UNREADABLE, KeyError, TypeError):
        return None
