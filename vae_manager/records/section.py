"""The records of one table, in memory, with what is not written to the database yet."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Generic, Protocol

from .rows import AnyKey, Record, Table

__all__ = ["Section"]


class Store(Protocol):
    """The owner of all sections."""

    def load(self) -> None:
        """Read everything, once."""

    def refresh(self) -> None:
        """Take in what other processes have written."""

    def changing(self, tensors: Mapping[str, bytes]) -> AbstractContextManager[None]:
        """Context in which sections change; all of it is written at the end."""


class Section(Generic[AnyKey, Record]):
    """The records of one table. All methods may be called from any thread, and none raises for the database."""

    def __init__(
        self, store: Store, table: Table[AnyKey, Record], merge: Callable[[Record, Record], Record] | None = None
    ) -> None:
        """`merge` joins an older and a newer record of one key; by default the newer one alone stays."""
        self._store = store
        self._merge = merge
        self.table = table
        self._rows: dict[AnyKey, Record] = {}
        self._unwritten: dict[AnyKey, None] = {}
        self._removed: dict[AnyKey, None] = {}
        self._seen = 0
        self._revision = 0

    @property
    def revision(self) -> int:
        """Another number after each change of a record, by whichever process."""
        self._store.refresh()
        return self._revision

    def get(self, key: AnyKey) -> Record | None:
        """Return the record of this key, as far as it is known in memory by now."""
        self._store.load()
        return self._rows.get(key)

    def put(self, *records: Record, tensors: Mapping[str, bytes] | None = None) -> None:
        """Keep records in place of earlier ones with their keys; `tensors` are tables of tensors that they refer to."""
        with self._store.changing(tensors or {}):
            for record in records:
                self.add(record)

    def forget(self, *keys: AnyKey) -> None:
        """Remove records. Another process may still hold them in memory."""
        if any(self.get(key) is not None for key in keys):
            with self._store.changing({}):
                self.drop(keys)

    # -- for the store, which holds its lock -----------------------------------------------------------------------
    def add(self, record: Record) -> None:
        key = self.table.key(record)
        self._rows[key] = self._together(self._rows.get(key), record)
        self._unwritten[key] = None
        self._removed.pop(key, None)
        self._revision += 1

    def knows(self, key: AnyKey) -> bool:
        return key in self._rows

    def drop(self, keys: Iterable[AnyKey]) -> None:
        for key in keys:
            if self._rows.pop(key, None) is not None:
                self._unwritten.pop(key, None)
                self._removed[key] = None
                self._revision += 1

    def all_keys(self) -> list[AnyKey]:
        """The keys, the oldest first."""
        return list(self._rows)

    @property
    def unwritten(self) -> int:
        return len(self._unwritten) + len(self._removed)

    def begin_anew(self) -> None:
        """The database is another one: read all of it, and write everything to it."""
        self._seen = 0
        self._unwritten = dict.fromkeys(self._rows)
        self._removed = {}

    def read(self, connection: sqlite3.Connection) -> None:
        """Take in what has changed; a row that this program does not write counts as missing."""
        for changed, *row in connection.execute(self.table.select, (self._seen,)):
            self._seen = changed
            try:
                record = self.table.unpack(*row)
            except (ValueError, TypeError, OverflowError):
                continue
            key = self.table.key(record)
            mine = self._rows.get(key)
            if key in self._removed or record == mine:
                continue
            self._rows[key] = self._together(record, mine) if key in self._unwritten and mine is not None else record
            self._revision += 1

    def write(self, connection: sqlite3.Connection) -> None:
        column, pack, rows = self.table.column, self.table.pack, self._rows
        connection.executemany(self.table.delete, [(column(key),) for key in self._removed])
        connection.executemany(self.table.insert, [pack(rows[key]) for key in self._unwritten])

    def written(self, last: int) -> None:
        """All of it is committed; `last` is the highest number of a change now."""
        self._unwritten, self._removed, self._seen = {}, {}, last

    def _together(self, old: Record | None, new: Record) -> Record:
        return self._merge(old, new) if old is not None and self._merge is not None else new
