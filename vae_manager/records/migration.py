"""Records in the JSON files of earlier versions: hashes.json, library.json and guesses.json.

They are read once. After their records are in the database, each is renamed to `NAME.migrated`: a person who goes back
to an earlier version loses only what that version computes again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ..files.disk import patiently
from ..files.fingerprints import Fingerprints
from ..files.identity import Identity
from ..files.json_text import finite, text, whole
from ..files.state_file import StateFile, list_of, pairs_of
from .rows import (
    GUESSES,
    HASHES,
    INSPECTIONS,
    UNTIMED,
    GuessRecord,
    HashRecord,
    InspectionRecord,
    binding_key,
    sha256_of_text,
)

__all__ = ["Earlier"]

_IDENTITY: Final = ("size", "mtime_ns", "inode")


class Earlier:
    """The JSON files of one data folder."""

    def __init__(self, folder: Path) -> None:
        self._hashes = StateFile(folder / "hashes.json", pairs_of)
        self._library = StateFile(folder / "library.json", _files)
        self._guesses = StateFile(folder / "guesses.json", list_of)
        self._read: list[Path] = []

    def records(self) -> Mapping[str, list[Any]] | None:
        """The records by the name of their table; None if there are no such files. A damaged file is set aside."""
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
            with suppress(OSError):  # then they are read again, which changes nothing
                patiently(lambda path=path: path.replace(path.with_name(f"{path.name}.migrated")))  # type: ignore[misc]
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
            _identity(path, data), sha256_of_text(data["sha256"]), None if first is None else sha256_of_text(first)
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
            _identity(path, data),
            whole(reader),
            json.dumps(summary) if summary is not None else None,
            None,
            _prints(data["fingerprints"]),
            _prints(data.get("last")),
        )
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _guess(item: Any) -> GuessRecord:
    """Raises for what binds no guess to a file."""
    for kind in ("sha256", "weights"):
        if kind in item:
            binding: tuple[object, ...] = kind, text(item[kind])
            break
    else:
        identity = _identity(item["path"], item)
        binding = tuple(identity) if identity.ctime_ns != UNTIMED else tuple(identity)[:-1]
    value = item["value"]
    return GuessRecord(binding_key(binding), text(value["family"]), finite(value["figure"]))


def _identity(path: str, data: Mapping[str, Any]) -> Identity:
    numbers = [*(data[name] for name in _IDENTITY), data.get("ctime_ns", UNTIMED)]
    if not all(type(number) is int for number in numbers):
        raise ValueError("no identity")
    os.fsencode(path)  # raises for half a character
    return Identity(path, *numbers)


def _prints(data: Any) -> Fingerprints | None:
    if not data:
        return None
    encoder = data["encoder"]
    return Fingerprints(sha256_of_text(data["weights"]), sha256_of_text(encoder) if encoder is not None else None)
