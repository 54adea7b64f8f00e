"""The orders in the queue, in `queue.json`: what had not begun when a process ended has left no other trace.

A record is a line: an order that was queued, or the digest of one that is settled. Lines are added, so that a queue of
thousands is written once and not thousands of times; when most lines are out of date the file is written anew.

Only a hint. It is read once, by the next process, and offered to the person; nothing starts by itself.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..catalogue import HttpsSource
from ..files.json_text import hexadecimal, parse_json, path_of, text, whole
from ..files.state_file import StateFile, list_of

if TYPE_CHECKING:
    from ..transfer import Order

logger = logging.getLogger(__name__)

OUTDATED_LINES: Final = 64
"""So many, and as many as there are orders, before the file is written anew."""


@dataclass(frozen=True)
class _Settled:
    """The record of an order that has come to its end."""

    digest: str


class Pending:
    """Orders of this process, and those that an earlier one left. All methods may be called from any thread."""

    def __init__(self, file: Path) -> None:
        self._file = StateFile(file, list_of, parse=_records)
        self._lock = threading.Lock()
        self._earlier: dict[str, Order] | None = None
        self._live: dict[str, Order] = {}
        self._asked: Counter[str] = Counter()
        """How often each live order was queued and is not settled: one that is stopping may be followed by another."""
        self._lines = 0
        self._is_ours = False
        """The file was written by this process: lines can be added to it."""

    def earlier(self) -> tuple[Order, ...]:
        """What an earlier process had in its queue and nobody has dealt with; what is there by now needs nobody."""
        with self._lock:
            return tuple(order for order in self._recalled().values() if not _is_there(order))

    def add(self, order: Order) -> None:
        """Note an order that has been queued."""
        if not _can_be_noted(order):
            return
        digest = _digest(order)
        with self._lock:
            is_noted = self._recalled().pop(digest, None) is not None or digest in self._live
            self._live[digest] = order
            self._asked[digest] += 1
            if not is_noted:
                self._write(lambda: self._append(_data(order)))

    def settle(self, order: Order) -> None:
        """Note that an order has come to its end, or that somebody has decided on it."""
        digest = _digest(order)
        with self._lock:
            if digest in self._live:
                self._asked[digest] -= 1
                if self._asked[digest] > 0:
                    return
                del self._live[digest], self._asked[digest]
            elif self._recalled().pop(digest, None) is None:
                return
            self._write(lambda: self._append({"settled": digest}))

    def _append(self, record: dict[str, Any]) -> None:
        count = len(self._recalled()) + len(self._live)
        if not self._is_ours or not count or self._lines > 2 * count + OUTDATED_LINES:
            left = [*self._recalled().values(), *self._live.values()]
            self._is_ours, self._lines = bool(left), len(left)
            self._file.write_bytes(b"".join(_line(_data(order)) for order in left) or None)
        else:
            self._file.append(_line(record))
            self._lines += 1

    def _write(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            logger.warning("%s cannot be written: %s", self._file.path, error)

    def _recalled(self) -> dict[str, Order]:
        if self._earlier is None:
            records: list[Order | _Settled] = self._file.items(_record)
            found: dict[str, Order] = {}
            for record in records:
                if isinstance(record, _Settled):
                    found.pop(record.digest, None)
                else:
                    found[_digest(record)] = record
            self._earlier, self._lines = found, len(records)
        return self._earlier


def _can_be_noted(order: Order) -> bool:
    """An address with a query may hold what opens a door: it is not written down."""
    return not any(isinstance(source, HttpsSource) and "?" in source.url for source in order.sources)


def _is_there(order: Order) -> bool:
    return os.path.exists(order.folder / order.file_name)  # noqa: PTH110 - it never raises, for any path


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode("ascii") + b"\n"


def _digest(order: Order) -> str:
    return hashlib.sha256(_line(_data(order))).hexdigest()[:16]


def _data(order: Order) -> dict[str, Any]:
    return {
        "file_name": order.file_name,
        "folder": str(order.folder),
        "sources": [str(source) for source in order.sources],
        "sha256": order.sha256,
        "size": order.size,
    }


def _records(data: bytes) -> list[Any]:
    """The records of a file: a line each, or one list, as earlier versions wrote it. Raises `ValueError`."""
    try:
        return list(list_of(parse_json(data)))
    except ValueError as error:
        if b"\n" not in data.strip() and not data.lstrip().startswith(b"{"):
            raise error from None
    found: list[Any] = []
    lines: Iterable[bytes] = [line for line in data.splitlines() if line.strip()]
    for line in lines:
        try:
            found.append(parse_json(line))
        except ValueError:
            found.append(None)  # it counts as damaged
    if not any(isinstance(record, dict) for record in found):
        raise ValueError("no queue")
    return found


def _record(data: Any) -> Order | _Settled:
    """Read an order, or the digest of a settled one. Raises for any other value."""
    from ..catalogue.file_names import safe_file_name
    from ..catalogue.parsing import parse_source
    from ..transfer import Order

    if "settled" in data:
        return _Settled(text(data["settled"]))
    return Order(
        tuple(parse_source(text(source)) for source in list_of(data["sources"])),
        path_of(data["folder"]),
        safe_file_name(text(data["file_name"])),
        None if data["sha256"] is None else hexadecimal(data["sha256"]),
        None if data["size"] is None else whole(data["size"]),
    )
