"""Rows of the records' database, and their migration from earlier formats.

A record of a file is found by its path and bound to the file's identity: a file that was written to, replaced or moved
has no record. Texts of other layers (summaries, sentences) are opaque JSON here.

Earlier versions kept their records in JSON files: hashes.json, library.json and guesses.json. They are read once. After
their records are in the database, each is renamed to `NAME.migrated`: a person who goes back to an earlier version
loses only the data that it computes again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from ..catalogue.entry import SHA256
from ..files.disk import retry_while_busy
from ..files.record import Fingerprints, Identity
from ..files.state_file import StateFile, finite, list_of, pairs_of, text, whole

__all__ = [
    "FAILURES",
    "GUESSES",
    "HASHES",
    "INSPECTIONS",
    "TENSOR_TABLES",
    "UNTIMED",
    "VERIFICATIONS",
    "AnyKey",
    "Earlier",
    "Failure",
    "GuessRecord",
    "HashRecord",
    "InspectionRecord",
    "Record",
    "Table",
    "Verification",
    "binding_key",
    "sha256_of_text",
]


UNTIMED: Final = -1
"""In place of a ctime, which early versions did not keep: no file has it."""
MAX_TEXT: Final = 1 << 20
"""Characters of one opaque text."""
_HALF: Final = 1 << 63

Record = TypeVar("Record")
AnyKey = TypeVar("AnyKey", bound=Hashable)

_FILE: Final = "path BLOB, size INTEGER, mtime_ns INTEGER, inode INTEGER, ctime_ns INTEGER"

TENSOR_TABLES: Final = "CREATE TABLE tensor_tables (digest TEXT PRIMARY KEY, data BLOB NOT NULL)"

_IDENTITY: Final = ("size", "mtime_ns", "inode")


class HashRecord(NamedTuple):
    """The SHA-256 of a file."""

    identity: Identity
    sha256: str
    first: str | None = None
    """The hash of an earlier reading, if a later one differs: that of the expected bytes."""


class InspectionRecord(NamedTuple):
    """Facts of a file's header, and the fingerprints of its weights."""

    identity: Identity
    reader: int = 0
    """Version of the reader that found the summary."""
    summary: str | None = None
    """JSON."""
    tensors: str | None = None
    """Digest of the table of its tensors, a key of `tensor_tables`."""
    fingerprints: Fingerprints | None = None
    last: Fingerprints | None = None
    """Fingerprints under an earlier ctime, or from before ctimes were kept."""


class Verification(NamedTuple):
    """Result of reading all of a file."""

    identity: Identity
    at: float
    """Seconds since 1970."""
    problem: str | None
    """A sentence as JSON; None for a good file."""


class Failure(NamedTuple):
    """A file whose weights failed when they were used or checked."""

    key: bytes
    """The bytes or the identity of the file."""
    at: float
    """Seconds since 1970."""
    message: str
    """JSON."""


class GuessRecord(NamedTuple):
    """The latent test's guess of a family."""

    key: bytes
    """The bytes, weights or identity that the guess is bound to."""
    family: str | None
    """None for a removed guess."""
    figure: float = 0.0


class FileRow(Protocol):
    @property
    def identity(self) -> Identity:
        """The file that the record is bound to; its path is the key of the table."""


@dataclass(frozen=True)
class Table(Generic[AnyKey, Record]):
    """A table, and the conversion of its rows."""

    name: str
    columns: str
    """Names and types of all columns behind `changed`, the first of them the key."""
    key: Callable[[Record], AnyKey]
    column: Callable[[AnyKey], bytes]
    """Converts a key to its form in the database."""
    pack: Callable[[Record], tuple[Any, ...]]
    unpack: Callable[..., Record]
    """Converts a row; raises ValueError for one that this program does not write."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names in the order of `pack` and `unpack`; the first is the key."""
        return tuple(column.split()[0] for column in self.columns.split(", "))

    @property
    def create(self) -> str:
        """The statement that creates the table.

        `changed` grows with each change of any row, so that other processes find the new rows.
        """
        key, rest = self.columns.split(", ", 1)
        return f"CREATE TABLE {self.name} (changed INTEGER PRIMARY KEY AUTOINCREMENT, {key} NOT NULL UNIQUE, {rest})"

    @property
    def select(self) -> str:
        """The statement that reads the rows behind a change number, its one parameter, oldest change first."""
        return f"SELECT changed, {', '.join(self.names)} FROM {self.name} WHERE changed > ? ORDER BY changed"

    @property
    def insert(self) -> str:
        """The statement that writes one row, in place of the one with its key; its parameters are those of `pack`."""
        marks = ", ".join("?" * len(self.names))
        return f"INSERT OR REPLACE INTO {self.name} ({', '.join(self.names)}) VALUES ({marks})"

    @property
    def delete(self) -> str:
        """The statement that removes the row of a key, its one parameter in the form of `column`."""
        return f"DELETE FROM {self.name} WHERE {self.names[0]} = ?"


def binding_key(binding: tuple[object, ...]) -> bytes:
    """Return the key of a guess or a failure.

    It is bound to ("sha256", …), to ("weights", …), or to a path with its size, times and inode. Raises ValueError for
    a text that is no valid path.
    """
    if len(binding) == 2:
        return os.fsencode(f"{binding[0]} {binding[1]}")
    path, *numbers = binding
    return os.fsencode(" ".join(map(str, ["file", *numbers, path])))


def _signed(number: int) -> int:
    """Convert an inode to SQLite's signed 64 bits."""
    return (number + _HALF) % (2 * _HALF) - _HALF


def _bound(identity: Identity) -> tuple[Any, ...]:
    return os.fsencode(identity.path), *map(_signed, identity[1:])


def _identity(path: Any, *numbers: Any) -> Identity:
    size, mtime_ns, inode, ctime_ns = numbers
    if not isinstance(path, bytes) or not all(type(number) is int for number in numbers):
        raise ValueError("no identity")
    return Identity(os.fsdecode(path), size, mtime_ns, inode % (2 * _HALF), ctime_ns)


def _text(value: Any) -> Any:
    if value is not None and (not isinstance(value, str) or len(value) > MAX_TEXT):
        raise ValueError("no text")
    return value


def sha256_of_text(value: Any) -> str:
    """Check a SHA-256 in lower-case hexadecimal; raises ValueError."""
    if not isinstance(value, str) or not SHA256.fullmatch(value):
        raise ValueError("no SHA-256")
    return value


def _sha256_or_none(value: Any) -> str | None:
    return sha256_of_text(value) if value is not None else None


def _time(value: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError("no time")
    return float(value)


def _prints(weights: Any, encoder: Any) -> Fingerprints | None:
    return Fingerprints(sha256_of_text(weights), _sha256_or_none(encoder)) if weights is not None else None


def _printed(prints: Fingerprints | None) -> tuple[str | None, str | None]:
    return (prints.weights, prints.encoder) if prints is not None else (None, None)


def _path_of(record: FileRow) -> str:
    return record.identity.path


HASHES: Final = Table[str, HashRecord](
    "hashes",
    f"{_FILE}, sha256 TEXT, first TEXT",
    _path_of,
    os.fsencode,
    lambda record: (*_bound(record.identity), record.sha256, record.first),
    lambda *row: HashRecord(_identity(*row[:5]), sha256_of_text(row[5]), _sha256_or_none(row[6])),
)
INSPECTIONS: Final = Table[str, InspectionRecord](
    "inspections",
    f"{_FILE}, reader INTEGER, summary TEXT, tensors TEXT, weights TEXT, encoder TEXT, last_weights TEXT, "
    "last_encoder TEXT",
    _path_of,
    os.fsencode,
    lambda record: (
        *_bound(record.identity), record.reader, record.summary, record.tensors, *_printed(record.fingerprints),
        *_printed(record.last),
    ),
    lambda *row: InspectionRecord(
        _identity(*row[:5]), int(row[5]), _text(row[6]), _text(row[7]), _prints(*row[8:10]), _prints(*row[10:12])
    ),
)  # fmt: skip
VERIFICATIONS: Final = Table[str, Verification](
    "verifications",
    f"{_FILE}, at REAL, problem TEXT",
    _path_of,
    os.fsencode,
    lambda record: (*_bound(record.identity), record.at, record.problem),
    lambda *row: Verification(_identity(*row[:5]), _time(row[5]), _text(row[6])),
)
FAILURES: Final = Table[bytes, Failure](
    "failures",
    "key BLOB, at REAL, sentence TEXT",
    lambda record: record.key,
    bytes,
    lambda record: tuple(record),
    lambda *row: Failure(bytes(row[0]), _time(row[1]), _text(row[2]) or ""),
)
GUESSES: Final = Table[bytes, GuessRecord](
    "guesses",
    "key BLOB, family TEXT, figure REAL",
    lambda record: record.key,
    bytes,
    lambda record: tuple(record),
    lambda *row: GuessRecord(bytes(row[0]), _text(row[1]), _time(row[2])),
)


class Earlier:
    """The JSON files of one data folder."""

    def __init__(self, folder: Path) -> None:
        self._hashes = StateFile(folder / "hashes.json", pairs_of)
        self._library = StateFile(folder / "library.json", _files)
        self._guesses = StateFile(folder / "guesses.json", list_of)
        self._read: list[Path] = []

    def records(self) -> Mapping[str, list[Any]] | None:
        """Return the records by the name of their table; None without such files. A damaged file is set aside."""
        files = (self._hashes, self._library, self._guesses)
        there = [file.path for file in files if os.path.lexists(file.path)]
        if not there:
            return None
        found: dict[str, list[Any]] = {
            HASHES.name: self._hashes.items(_hash),
            INSPECTIONS.name: self._library.items(_inspection),
            GUESSES.name: self._guesses.items(_guess),
        }
        self._read = [file.path for file in files if file.path in there and not file.is_blocked]
        return found

    def retire(self) -> None:
        """Rename the files that were read: all of their records are committed."""
        for path in self._read:
            with suppress(OSError):  # then they are read again, which changes no record
                retry_while_busy(lambda path=path: path.replace(path.with_name(f"{path.name}.migrated")))  # type: ignore[misc]
        self._read = []


def _hash(item: tuple[str, Any]) -> HashRecord | None:
    """Read an entry; None for one that another version of this program has written."""
    path, data = item
    if not isinstance(data, dict):
        raise ValueError("no entry")
    if data.keys() - {"first", "ctime_ns"} != {*_IDENTITY, "sha256"}:
        return None
    try:
        first = data.get("first")
        return HashRecord(
            _old_identity(path, data), sha256_of_text(data["sha256"]), None if first is None else sha256_of_text(first)
        )
    except ValueError:
        return None


def _files(root: Any) -> Iterable[tuple[str, Any, Any]]:
    return [(path, data, root["reader"]) for path, data in pairs_of(root["files"])]


def _inspection(item: tuple[str, Any, Any]) -> InspectionRecord | None:
    """Read an entry; None for one of another version, whose file is then inspected anew."""
    path, data, reader = item
    if not isinstance(data, dict):
        raise ValueError("no entry")
    try:
        summary = data["summary"]
        return InspectionRecord(
            _old_identity(path, data),
            whole(reader),
            json.dumps(summary) if summary is not None else None,
            None,
            _old_prints(data["fingerprints"]),
            _old_prints(data.get("last")),
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _guess(item: Any) -> GuessRecord:
    """Read an entry; raise for one without a file's binding."""
    for kind in ("sha256", "weights"):
        if kind in item:
            binding: tuple[object, ...] = kind, text(item[kind])
            break
    else:
        identity = _old_identity(item["path"], item)
        binding = tuple(identity) if identity.ctime_ns != UNTIMED else tuple(identity)[:-1]
    value = item["value"]
    return GuessRecord(binding_key(binding), text(value["family"]), finite(value["figure"]))


def _old_identity(path: str, data: Mapping[str, Any]) -> Identity:
    numbers = [*(data[name] for name in _IDENTITY), data.get("ctime_ns", UNTIMED)]
    if not all(type(number) is int for number in numbers):
        raise ValueError("no identity")
    os.fsencode(path)  # raises for a lone surrogate
    return Identity(path, *numbers)


def _old_prints(data: Any) -> Fingerprints | None:
    if not data:
        return None
    encoder = data["encoder"]
    return Fingerprints(sha256_of_text(data["weights"]), sha256_of_text(encoder) if encoder is not None else None)
