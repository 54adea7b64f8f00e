"""The rows that an open page has, and those that it lacks: a thousand files are sent once, then what changes.

Each row's HTML gets a number when it changes. The browser says the number of what it has; it gets the rows with a
higher one, and the order of all where a row has come or gone.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from typing import TypedDict


class Rows(TypedDict):
    """What the browser gets."""

    stamp: str
    rows: dict[str, str]
    """HTML by key, of each row that is new or has changed."""
    order: list[str] | None
    """All keys; None where they are those that the browser has."""


class RowLog:
    """The rows of one page as they were sent last. Several browsers may ask: each brings the stamp of what it has."""

    def __init__(self) -> None:
        self._life = secrets.token_hex(4)  # after a Reload UI, what an open page has means nothing
        self._lock = threading.Lock()
        self._serial = 0
        self._ordered_at = 0
        self._order: list[str] = []
        self._rows: dict[str, tuple[str, int]] = {}

    def since(self, stamp: str, rows: Mapping[str, str]) -> Rows:
        """What a browser with `stamp` lacks of `rows`, the HTML of all rows in their order by their keys."""
        with self._lock:
            self._take(rows)
            life, _, number = stamp.partition(".")
            had = int(number) if life == self._life and number.isdecimal() else 0
            lacking = {key: html for key, (html, serial) in self._rows.items() if serial > had}
            order = list(self._order) if self._ordered_at > had or not had else None
            return {"stamp": f"{self._life}.{self._serial}", "rows": lacking, "order": order}

    def _take(self, rows: Mapping[str, str]) -> None:
        order: Sequence[str] = list(rows)
        changed = {key for key, html in rows.items() if key not in self._rows or self._rows[key][0] != html}
        if not changed and order == self._order and self._serial:
            return
        self._serial += 1
        if order != self._order:
            self._order, self._ordered_at = list(order), self._serial
        self._rows = {
            key: (html, self._serial) if key in changed else self._rows[key] for key, html in rows.items()
        }
