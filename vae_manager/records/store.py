"""Store of file records, and of the SHA-256 of files.

The records of one data folder are kept in memory and shared with other processes through the database. Every rendering
of a page needs records, so they are read once, and then only those that another process has changed. If the database
cannot be used, or is locked for long, the program continues with the records in memory and tries again.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Generic, Protocol

from ..files import Identity, identity_of, sha256_of
from ..files.state_file import report_damage
from ..messages import from_data, msg, renamed, to_data
from .database import Database, ReplacedError, UnavailableError
from .rows import (
    FAILURES,
    GUESSES,
    HASHES,
    INSPECTIONS,
    TENSOR_TABLES,
    UNTIMED,
    VERIFICATIONS,
    AnyKey,
    Earlier,
    HashRecord,
    InspectionRecord,
    Record,
    Table,
)

__all__ = ["DATABASE", "HashStore", "RecordStore", "Section"]

DATABASE: Final = "records.sqlite3"
ATTEMPTS: Final = 3
"""Databases that one exchange tries: each may turn out to be damaged."""
MIN_PAUSE_S: Final = 1.0
MAX_PAUSE_S: Final = 60.0
"""Longest pause between attempts at an unusable database; the pause doubles from the first on."""
BUSY_IS_LONG: Final = 7
"""Consecutive attempts at a locked database before a notice is shown: about a minute."""
SWEEP_EVERY_S: Final = 600.0
"""Interval of searches for records of deleted files."""
MAX_GONE: Final = 2_000
"""Records of each kind that are kept of deleted files: a disk may be absent, and come back."""

_TABLES: Final = (HASHES, INSPECTIONS, VERIFICATIONS, FAILURES, GUESSES)
_SCHEMA: Final = (*(table.create for table in _TABLES), TENSOR_TABLES)
_TIDY: Final = """
DELETE FROM tensor_tables WHERE digest NOT IN (SELECT tensors FROM inspections WHERE tensors IS NOT NULL)
"""


class Store(Protocol):
    """The owner of all sections."""

    def load(self) -> None:
        """Read all records, once."""

    def refresh(self) -> None:
        """Read the records that other processes have written."""

    def changing(self, tensors: Mapping[str, bytes]) -> AbstractContextManager[None]:
        """Open a context in which sections change; all changes are written at the end."""


class Section(Generic[AnyKey, Record]):
    """The records of one table.

    All methods may be called from any thread, and no error of the database is raised.
    """

    def __init__(
        self, store: Store, table: Table[AnyKey, Record], merge: Callable[[Record, Record], Record] | None = None
    ) -> None:
        """Make an empty section; `merge` joins an older and a newer record of one key, by default to the newer one."""
        self._store = store
        self._merge = merge
        self.table = table
        self._rows: dict[AnyKey, Record] = {}
        self._unwritten: dict[AnyKey, None] = {}
        self._removed: dict[AnyKey, None] = {}
        self._seen = 0
        self._revision = 0

    @property
    def is_empty(self) -> bool:
        """True if there is no record in memory."""
        self._store.load()
        return not self._rows

    @property
    def revision(self) -> int:
        """A number that differs after each change of a record, by any process."""
        self._store.refresh()
        return self._revision

    def get(self, key: AnyKey) -> Record | None:
        """Return the record of this key in memory."""
        self._store.load()
        return self._rows.get(key)

    def put(self, *records: Record, tensors: Mapping[str, bytes] | None = None) -> None:
        """Store records in place of earlier ones with their keys; `tensors` are the tables that they refer to."""
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
        """Store or merge a record in memory alone; the end of `Store.changing` writes it."""
        key = self.table.key(record)
        self._rows[key] = self._together(self._rows.get(key), record)
        self._unwritten[key] = None
        self._removed.pop(key, None)
        self._revision += 1

    def knows(self, key: AnyKey) -> bool:
        """Return True if memory has a record of this key; unlike `get`, this does not load the store."""
        return key in self._rows

    def drop(self, keys: Iterable[AnyKey]) -> None:
        """Remove records from memory, and from the database at the next write; unknown keys are skipped."""
        for key in keys:
            if self._rows.pop(key, None) is not None:
                self._unwritten.pop(key, None)
                self._removed[key] = None
                self._revision += 1

    def all_records(self) -> list[Record]:
        """Return the records in memory, the oldest first."""
        self._store.load()
        return list(self._rows.values())

    def all_keys(self) -> list[AnyKey]:
        """Return the keys, the oldest first."""
        return list(self._rows)

    @property
    def unwritten(self) -> int:
        """Number of changed and removed records that the database does not have yet."""
        return len(self._unwritten) + len(self._removed)

    def begin_anew(self) -> None:
        """Prepare for another database: all of it will be read, and all records written to it."""
        self._seen = 0
        self._unwritten = dict.fromkeys(self._rows)
        self._removed = {}

    def read(self, connection: sqlite3.Connection) -> None:
        """Read the changed rows; a row that this program does not write counts as missing."""
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
        """Write the changes in the caller's transaction; they count as unwritten until `written` is called."""
        column, pack, rows = self.table.column, self.table.pack, self._rows
        connection.executemany(self.table.delete, [(column(key),) for key in self._removed])
        connection.executemany(self.table.insert, [pack(rows[key]) for key in self._unwritten])

    def written(self, last: int) -> None:
        """Record that all changes are committed; `last` is the highest number of a change now."""
        self._unwritten, self._removed, self._seen = {}, {}, last

    def _together(self, old: Record | None, new: Record) -> Record:
        return self._merge(old, new) if old is not None and self._merge is not None else new


class RecordStore:
    """All records of one data folder. All methods may be called from any thread, and by several processes at once."""

    def __init__(self, folder: Path | None = None) -> None:
        """Make a store; `folder` is created at the first write; None for records that end with this object."""
        self._database = Database(folder / DATABASE, _SCHEMA) if folder is not None else None
        self._earlier = Earlier(folder) if folder is not None else None
        self._lock = threading.RLock()
        self._is_loaded = False
        self._id: str | None = None
        self._version: int | None = None
        self._tensors: dict[str, bytes] = {}
        """Tables of tensors that are not written yet."""
        self._failed = 0
        self._is_busy = False
        self._try_at = 0.0
        self._sweep_at = 0.0
        self._is_tidy = True
        self.hashes = Section(self, HASHES)
        self.inspections = Section(self, INSPECTIONS, joined)
        self.verifications = Section(self, VERIFICATIONS)
        self.failures = Section(self, FAILURES)
        self.guesses = Section(self, GUESSES)
        self._of_files: tuple[Section[str, Any], ...] = (
            self.hashes, self.inspections, self.verifications,
        )  # fmt: skip
        self._sections: tuple[Section[Any, Any], ...] = (*self._of_files, self.failures, self.guesses)

    @property
    def path(self) -> Path | None:
        """The database; None for records that end with this object."""
        return self._database.path if self._database is not None else None

    @property
    def is_busy(self) -> bool:
        """True if another program kept the database locked at the last attempt."""
        return self._is_busy

    @property
    def unwritten(self) -> int:
        """Number of changes that are in memory alone so far."""
        return sum(section.unwritten for section in self._sections) + len(self._tensors)

    def tensor_table(self, digest: str) -> bytes | None:
        """Return a table of tensors that was stored with a record; None if it is missing, or cannot be read now.

        A record may outlive its table: after damage, records in memory are written to a new database, tables are not.
        """
        with self._lock:
            if digest in self._tensors or self._database is None or not self._database.exists:
                return self._tensors.get(digest)
            if time.monotonic() < self._try_at:
                return None
            try:
                with self._database.transaction(is_writing=False) as connection:
                    row = connection.execute("SELECT data FROM tensor_tables WHERE digest = ?", (digest,)).fetchone()
            except ReplacedError:
                return None
            except UnavailableError as error:
                self._postpone(error)
                return None
            return bytes(row[0]) if row is not None and isinstance(row[0], bytes) else None

    def carry(self, before: Identity, after: Path) -> None:
        """Copy the verification of the file `before` to `after`, which has the same bytes."""
        verification, now = self.verifications.get(before.path), identity_of(after)
        if verification is None or now is None:
            return
        if verification.identity == before and now.size == before.size:
            problem = _about(verification.problem, Path(before.path).name, after.name)
            self.verifications.put(verification._replace(identity=now, problem=problem))

    # -- for the sections ------------------------------------------------------------------------------------------
    def load(self) -> None:
        """Read all records, once; records in the files of earlier versions move into the database."""
        if self._is_loaded:
            return
        with self._lock:
            if self._is_loaded:
                return
            earlier = self._earlier.records() if self._earlier is not None else None
            if self._database is not None and self._database.exists:
                self._exchange(is_writing=False)
            for section in self._sections:
                for record in earlier.get(section.table.name, ()) if earlier is not None else ():
                    if not section.knows(section.table.key(record)):
                        section.add(record)
            self._is_loaded = True
            if earlier is not None:
                self._exchange(is_writing=True)

    def refresh(self) -> None:
        """Read the records that other processes have written, unless that would block."""
        self.load()
        if self._database is None or time.monotonic() < self._try_at or not self._lock.acquire(blocking=False):
            return
        try:
            if self._failed and self.unwritten:
                self._exchange(is_writing=True)
            elif self._is_newer():
                self._exchange(is_writing=False)
        finally:
            self._lock.release()

    @contextmanager
    def changing(self, tensors: Mapping[str, bytes]) -> Iterator[None]:
        """Open a context in which sections change; all changes are written in one transaction at the end."""
        self.load()
        with self._lock:
            yield
            self._tensors.update(tensors)
            self._exchange(is_writing=True)
        self._sweep()

    # -- the database ----------------------------------------------------------------------------------------------
    def _is_newer(self) -> bool:
        assert self._database is not None
        try:
            version = self._database.version()
        except ReplacedError:
            return True
        except UnavailableError as error:
            self._postpone(error)
            return False
        return version != self._version if version is not None else self._database.exists

    def _exchange(self, *, is_writing: bool) -> None:
        """Read the new rows; with `is_writing`, write the unwritten ones. The lock is held."""
        if self._database is None or time.monotonic() < self._try_at:
            return
        for _ in range(ATTEMPTS):
            try:
                with self._database.transaction(is_writing=is_writing) as connection:
                    lasts = self._exchanged(connection, self._database, is_writing)
            except ReplacedError:
                continue
            except UnavailableError as error:
                self._postpone(error)
            else:
                self._failed, self._is_busy = 0, False
                if is_writing:
                    self._written(lasts)
            return

    def _exchanged(self, connection: sqlite3.Connection, database: Database, is_writing: bool) -> list[int]:
        if database.id != self._id:
            self._id = database.id
            for section in self._sections:
                section.begin_anew()
        self._version = int(connection.execute("PRAGMA data_version").fetchone()[0])
        for section in self._sections:
            section.read(connection)
        if not is_writing:
            return []
        for section in self._sections:
            section.write(connection)
        connection.executemany("INSERT OR IGNORE INTO tensor_tables VALUES (?, ?)", self._tensors.items())
        if not self._is_tidy:
            connection.execute(_TIDY)
        return [
            connection.execute(f"SELECT max(changed) FROM {section.table.name}").fetchone()[0] or 0
            for section in self._sections
        ]

    def _written(self, lasts: Iterable[int]) -> None:
        self._tensors, self._is_tidy = {}, True
        for section, last in zip(self._sections, lasts, strict=True):
            section.written(last)
        if self._earlier is not None:
            self._earlier.retire()

    def _postpone(self, error: UnavailableError) -> None:
        assert self._database is not None
        self._try_at = time.monotonic() + min(MIN_PAUSE_S * 2**self._failed, MAX_PAUSE_S)
        self._failed = min(self._failed + 1, 30)
        self._is_busy = error.is_busy
        if error.is_busy and self._failed < BUSY_IS_LONG:
            return
        message = msg(
            "{file} cannot be used: {reason}. What becomes known of VAE files is kept in memory until the program "
            "ends, and no VAE file is affected. {advice}",
            file=self._database.path,
            reason=error.reason,
            advice=msg("Update this extension.")
            if error.is_newer
            else msg("Make its folder writable, free disk space, or put the data folder on another disk."),
        )
        report_damage(self._database.path, message)

    # -- deleted files -------------------------------------------------------------------------------------------------
    def _sweep(self) -> None:
        """Forget deleted files, except the latest. The disk is read without the lock: it may be slow."""
        if time.monotonic() < self._sweep_at:
            return
        self._sweep_at = time.monotonic() + SWEEP_EVERY_S
        for section in self._of_files:
            gone = [path for path in section.all_keys() if not os.path.exists(path)]  # noqa: PTH110 - thousands of them
            with self._lock:
                section.drop(gone[:-MAX_GONE])
        self._is_tidy = False


def _about(problem: str | None, old: str, new: str) -> str | None:
    """Return the JSON of a sentence about a file that is called `new` now; a damaged text stays unchanged."""
    if problem is None:
        return None
    try:
        data = json.loads(problem)
        return json.dumps({**data, **to_data(renamed(from_data(data), old, new))})
    except (ValueError, TypeError, LookupError, RecursionError):
        return problem


def joined(old: InspectionRecord, new: InspectionRecord) -> InspectionRecord:
    """Return all facts in two records of one file; the newer one alone if the file has changed."""
    if old.identity != new.identity:
        return new
    prints = new.fingerprints or old.fingerprints
    header = new if new.summary is not None else old
    return new._replace(
        reader=header.reader,
        summary=header.summary,
        tensors=header.tensors,
        fingerprints=prints,
        last=None if prints is not None else new.last or old.last,
    )


class HashStore:
    """The stored hashes of files. Safe to use from several threads.

    A record with another ctime, or without one (from early versions), is not used: its hash is the `last_of` a file,
    and is kept until the bytes are read again.

    The WebUI has a store of its own, which is neither read nor written: it keeps every VAE's hash under one and the
    same key, so its answer may be another VAE's (modules/hashes.py, modules/sd_vae.py get_loaded_vae_hash).
    """

    def __init__(self, records: RecordStore | None = None) -> None:
        """Make a store; `records` is None for one that ends with this object."""
        self.records = records if records is not None else RecordStore()
        self._section = self.records.hashes

    @property
    def revision(self) -> int:
        """A number that differs after each change of the hashes."""
        return self._section.revision

    def known(self, path: Path) -> str | None:
        """Return the hash of `path`, if it is stored and the file has not changed since."""
        now = identity_of(path)
        return self.known_of(now) if now is not None else None

    def known_of(self, identity: Identity) -> str | None:
        """Return the hash of the file `identity`, even if the file has been deleted or changed."""
        then = self._of(identity)
        return then.sha256 if then is not None else None

    def last_of(self, identity: Identity) -> str | None:
        """Return the hash of this file under an earlier ctime, or from before ctimes were kept.

        It is no proof: a mode or a second name may have changed, or the bytes under an old mtime.
        """
        then = self._last(identity)
        return then.sha256 if then is not None else None

    def read_at(self, path: Path) -> str | None:
        """Return the hash of the last reading under this path, of any file there at that time. It is no proof."""
        then = self._section.get(str(path.absolute()))
        return then.sha256 if then is not None else None

    def all_known(self) -> frozenset[str]:
        """Return the hash of the last reading of each path."""
        return frozenset(record.sha256 for record in self._section.all_records())

    def remember(self, path: Path, sha256: str) -> None:
        """Bind `sha256` to `path` at its present identity."""
        now = identity_of(path)
        if now is not None:
            self._section.put(HashRecord(now, sha256))

    def read_again(self, identity: Identity, sha256: str) -> bool:
        """Store the hash of a new reading of the file `identity`, independent of its stored one.

        Returns True if it equals the hash of the first reading. Otherwise the new hash is the known one from then on,
        since those are the present bytes; the first one is kept beside it, and the next reading is compared with that
        one too.
        """
        first = _first(self._last(identity), sha256)  # with another ctime too: bytes can change under the old mtime
        self._section.put(_with_first(identity, sha256, first))
        return first == sha256

    def carry(self, before: Identity, after: Path) -> None:
        """Copy the hash of the file `before` to `after`.

        The caller guarantees the same bytes, under another name or as a verified copy.
        """
        then, last, now = self._of(before), self._last(before), identity_of(after)
        if now is None or now.size != before.size:
            return
        if then is not None:
            self._section.put(then._replace(identity=now))
        elif last is not None:
            self._section.put(last._replace(identity=now._replace(ctime_ns=UNTIMED)))

    def compute(
        self, path: Path, *, report: Callable[[int], None] | None = None, stop: threading.Event | None = None
    ) -> str:
        """Return the hash of `path`: a stored one, or a computed one, which is then stored.

        Otherwise as `sha256_of`.
        """
        remembered = self.known(path)
        if remembered is not None:
            return remembered
        before = identity_of(path)
        sha256 = sha256_of(path, report=report, stop=stop)
        if before is not None:  # a file that was written to meanwhile is another one now, so stays unknown
            self._section.put(_with_first(before, sha256, _first(self._untimed(before), sha256)))
        return sha256

    def _of(self, identity: Identity) -> HashRecord | None:
        """Return the record of that file."""
        then = self._section.get(identity.path)
        return then if then is not None and then.identity == identity else None

    def _untimed(self, identity: Identity) -> HashRecord | None:
        """Return the record of an early version for that file."""
        then = self._last(identity)
        return then if then is not None and then.identity.ctime_ns == UNTIMED else None

    def _last(self, identity: Identity) -> HashRecord | None:
        """Return the record of that file with any ctime."""
        then = self._section.get(identity.path)
        return then if then is not None and then.identity[:-1] == identity[:-1] else None


def _first(then: HashRecord | None, sha256: str) -> str:
    return (then.first or then.sha256) if then is not None else sha256


def _with_first(identity: Identity, sha256: str, first: str) -> HashRecord:
    return HashRecord(identity, sha256, first if first != sha256 else None)
