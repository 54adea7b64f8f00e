"""What is in the queue, in `queue.json`: what had not begun when a process ended has left no other trace.

Only a hint. It is read once, by the next process, and offered to the person; nothing starts by itself.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalogue import HttpsSource
from ..errors import VaeManagerError
from ..files.writing import replace_text

if TYPE_CHECKING:
    from ..transfer import Order

logger = logging.getLogger(__name__)


class Pending:
    """Orders of this process, and those that an earlier one left."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._earlier: tuple[Order, ...] | None = None

    def earlier(self) -> tuple[Order, ...]:
        """What an earlier process had in its queue and nobody has dealt with; what is there by now needs nobody."""
        with self._lock:
            return tuple(order for order in self._recalled() if not (order.folder / order.file_name).exists())

    def note(self, live: Iterable[Order], settled: Order | None = None) -> None:
        """Write down what is in the queue; `settled` has come to its end, or somebody has decided on it."""
        with self._lock:
            now = tuple(live)
            known = [_data(order) for order in (*now, *([settled] if settled is not None else []))]
            self._earlier = tuple(order for order in self._recalled() if _data(order) not in known)
            noted = [_data(order) for order in (*self._earlier, *now) if _can_be_noted(order)]
            try:
                self._write(noted)
            except OSError as error:
                logger.warning("%s cannot be written: %s", self._file, error)

    def _recalled(self) -> tuple[Order, ...]:
        if self._earlier is None:
            self._earlier = _read(self._file)
        return self._earlier

    def _write(self, noted: list[dict[str, Any]]) -> None:
        if not noted:
            self._file.unlink(missing_ok=True)
            return
        replace_text(self._file, json.dumps(noted, indent=1))


def _can_be_noted(order: Order) -> bool:
    """An address with a query may hold what opens a door: it is not written down."""
    return not any(isinstance(source, HttpsSource) and "?" in source.url for source in order.sources)


def _data(order: Order) -> dict[str, Any]:
    return {
        "file_name": order.file_name,
        "folder": str(order.folder),
        "sources": [str(source) for source in order.sources],
        "sha256": order.sha256,
        "size": order.size,
    }


def _read(file: Path) -> tuple[Order, ...]:
    if not file.exists():
        return ()
    from ..catalogue.names import safe_file_name
    from ..catalogue.parsing import parse_source
    from ..transfer import Order

    try:
        return tuple(
            Order(
                tuple(parse_source(source) for source in data["sources"]),
                Path(data["folder"]),
                safe_file_name(data["file_name"]),
                None if data["sha256"] is None else str(data["sha256"]),
                None if data["size"] is None else int(data["size"]),
            )
            for data in json.loads(file.read_text(encoding="utf-8"))
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, VaeManagerError):
        return ()
