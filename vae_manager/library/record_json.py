"""The part of a record that an inspection gives, as JSON. The table of tensors is kept apart, by its digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, get_args

from ..errors import VaeManagerError
from ..files import Container, FileRecord, Problem
from ..sentences import from_data, to_data

__all__ = ["read_record", "record_to_data", "unreadable"]

_CONTAINERS: Final = frozenset(get_args(Container))


def unreadable(path: Path, size: int, error: VaeManagerError) -> FileRecord:
    """Return the record of a file that is there and cannot be read."""
    return FileRecord(path, size, "unknown", problems=(Problem("unreadable", error.sentence),))


def record_to_data(record: FileRecord) -> dict[str, Any]:
    """Return what JSON can hold of the record."""
    data: dict[str, Any] = {"container": record.container}
    if record.metadata:
        data["metadata"] = dict(record.metadata)
    if record.problems:
        data["problems"] = [{"code": problem.code, **to_data(problem.sentence)} for problem in record.problems]
    return data


def read_record(data: Any) -> FileRecord:
    """Read what `record_to_data` gave: a record without path, size and table.

    Raises ValueError, TypeError, KeyError or AttributeError for anything else.
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
