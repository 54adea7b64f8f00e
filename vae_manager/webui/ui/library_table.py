"""The rows that an open page has, and those that it lacks: a thousand files are sent once, then what changes.

Each row's HTML gets a number when it changes. The browser says the number of what it has; it gets the rows with a
higher one, and the order of all where a row has come or gone.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypedDict

from .library_facts import LibraryRow

MAX_DIGITS: Final = 18
"""Digits of a stamp at most, since Python limits the length of numbers that it parses."""


class Rows(TypedDict):
    """What the browser gets."""

    stamp: str
    rows: dict[str, str]
    """HTML by key, of each row that is new or has changed."""
    order: list[str] | None
    """All keys; None where they are those that the browser has."""


@dataclass(frozen=True)
class _Sent:
    row: LibraryRow
    seen_with: object
    html: str
    serial: int
    """When its HTML was made, counted in changes of the table."""


class RowLog:
    """The rows of one page as they were sent last. Several browsers may ask: each brings the stamp of what it has."""

    def __init__(self) -> None:
        self._life = secrets.token_hex(4)  # after a Reload UI, what an open page has means nothing
        self._lock = threading.Lock()
        self._serial = 0
        self._ordered_at = 0
        self._sent: dict[str, _Sent] = {}
        self._rows: Sequence[LibraryRow] | None = None
        self._seen_with: object = None

    def since(
        self, stamp: str, rows: Sequence[LibraryRow], seen_with: object, html: Callable[[LibraryRow], str]
    ) -> Rows:
        """What a browser with `stamp` lacks of `rows`. `html` makes a row's HTML, from the row and from `seen_with`
        alone: where both are what they were, it is not asked."""
        with self._lock:
            if rows is not self._rows or seen_with != self._seen_with:
                self._take(rows, seen_with, html)
                self._rows, self._seen_with = rows, seen_with
            life, _, number = stamp.partition(".")
            is_number = number.isascii() and number.isdecimal() and len(number) <= MAX_DIGITS
            had = int(number) if life == self._life and is_number else 0
            sent_since = self._sent.items() if had < self._serial else ()
            lacking = {key: sent.html for key, sent in sent_since if sent.serial > had}
            order = list(self._sent) if self._ordered_at > had or not had else None
            return {"stamp": f"{self._life}.{self._serial}", "rows": lacking, "order": order}

    def _take(self, rows: Sequence[LibraryRow], seen_with: object, html: Callable[[LibraryRow], str]) -> None:
        serial = self._serial + 1
        sent: dict[str, _Sent] = {}
        for row in rows:
            old = self._sent.get(row.key)
            if old is not None and old.row == row and old.seen_with == seen_with:
                sent[row.key] = old
                continue
            made = html(row)
            when = old.serial if old is not None and old.html == made else serial
            sent[row.key] = _Sent(row, seen_with, made, when)
        moved = list(sent) != list(self._sent) or not self._serial
        if moved:
            self._ordered_at = serial
        if moved or any(one.serial == serial for one in sent.values()):
            self._serial = serial
        self._sent = sent
