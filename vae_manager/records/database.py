"""One SQLite file, shared by several processes: opening, schema, transactions, and the reasons why it is unusable.

    <data>/records.sqlite3     the database; `records.sqlite3-journal` exists during a transaction only

A rollback journal is used, since a write-ahead log needs shared memory, which network mounts lack. A damaged file, or
one of another program, is set aside and a new one is begun, into which the caller writes its records again.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ..files.disk import partial_file
from ..files.state_file import set_aside
from ..messages import Message, msg

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "Database", "ReplacedError", "UnavailableError"]

APPLICATION_ID: Final = 0x5641454D
"""`application_id` of the file, which distinguishes it from other programs' databases."""
SCHEMA_VERSION: Final = 1
"""`user_version` of the file."""
BUSY_TIMEOUT_S: Final = 0.8
"""Wait for another process. It is short, since a page may be waiting."""
YOUNG_NS: Final = 2_100_000_000
"""A file that was written within this time may be written again within the same tick of its file system's clock."""

_META: Final = "CREATE TABLE meta (id TEXT NOT NULL)"
_BUSY_MESSAGE: Final = "locked"
_ENVIRONMENT_MESSAGES: Final = (
    "unable to open",
    "readonly",
    "full",
    "disk I/O",
    "locking protocol",
    "permission",
    "memory",
)
"""Parts of SQLite's messages that concern the system, not the file's content. Python 3.10 has no error codes."""

_CONTENT_ERRORS: Final = (sqlite3.OperationalError, sqlite3.IntegrityError)
"""Errors that damaged content can cause, besides the plain `DatabaseError`."""

_creation_lock = threading.Lock()
"""Held while a file is created: POSIX drops all locks of a process on a file when it closes any handle of it."""

_FileId = tuple[int, int]
_Stamp = tuple[int, int]


class UnavailableError(Exception):
    """The database cannot be used now, for a reason outside its content."""

    def __init__(self, reason: Message | str, *, is_busy: bool = False, is_newer: bool = False) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.is_busy = is_busy
        """Another process is using the file."""
        self.is_newer = is_newer
        """A newer version of this program has written the file."""


class ReplacedError(Exception):
    """The file was damaged and is set aside: the same transaction can be run again on a new one."""


class _DamagedError(Exception):
    def __init__(self, reason: Message | str) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Database:
    """A connection to one database file. Not safe for threads: the caller holds a lock."""

    def __init__(self, path: Path, schema: Sequence[str]) -> None:
        """Make the object without opening the file.

        Args:
            path: The file, which need not exist.
            schema: Statements that create the tables. A file with other tables fails at their first use, as damaged.
        """
        self.path = path
        self._schema = (_META, *schema)
        self._connection: sqlite3.Connection | None = None
        self._process = 0
        self._file_id: _FileId | None = None
        self._version = 0
        self._unchanged: _Stamp | None = None
        """Time and size of the file when it was found unchanged: SQLite is not queried while they stay the same."""
        self.id: str | None = None
        """Random name of the opened database: after a change the records have to be read and written anew."""

    @property
    def exists(self) -> bool:
        """True if any entry of the folder has its name: a broken link, and a file that is no database, too."""
        return os.path.lexists(self.path)

    def version(self) -> int | None:
        """Return a number that changes after each commit of another connection; None if no such file is open.

        Raises UnavailableError and ReplacedError.
        """
        status = _status_of(self.path)
        if self._connection is None or status is None or self._is_stale(status):
            return None
        stamp = status.st_mtime_ns, status.st_size
        if stamp != self._unchanged:
            with self._errors():
                self._version = _pragma(self._connection, "data_version")
            self._unchanged = stamp if time.time_ns() - stamp[0] > YOUNG_NS else None
        return self._version

    @contextmanager
    def transaction(self, *, is_writing: bool) -> Iterator[sqlite3.Connection]:
        """Run one transaction, which is rolled back after an exception; a missing file is created.

        Raises UnavailableError and ReplacedError.
        """
        with self._errors():
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE" if is_writing else "BEGIN")
            try:
                self._check_version(connection)  # a newer version may have changed the schema meanwhile
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connection; the next transaction opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None and self._process == os.getpid():  # a fork must leave its parent's alone
            with suppress(sqlite3.Error):
                connection.close()

    # -- errors ----------------------------------------------------------------------------------------------------
    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except _DamagedError as error:
            self._set_aside(error.reason)
        except sqlite3.Error as error:
            if type(error) is not sqlite3.DatabaseError:  # else it is malformed, or no database at all
                if _BUSY_MESSAGE in str(error):
                    raise self._busy_error() from error
                if not isinstance(error, _CONTENT_ERRORS) or any(part in str(error) for part in _ENVIRONMENT_MESSAGES):
                    self.close()
                    raise UnavailableError(str(error)) from error
            self._set_aside(str(error))
        except UnicodeDecodeError:  # in a message that quotes the schema
            self._set_aside(msg("it is not what this program writes"))
        except OSError as error:
            self.close()
            raise UnavailableError(error.strerror or str(error)) from error

    def _busy_error(self) -> UnavailableError:
        if not _has_locks(self.path.parent):
            self.close()
            return UnavailableError(msg("its file system has no locks"))
        return UnavailableError(msg("another program keeps it locked"), is_busy=True)

    def _set_aside(self, reason: Message | str) -> None:
        file_id = self._file_id
        self.close()
        with _creation_lock:
            # At another inode, another process has set it aside.
            is_there = file_id is None or file_id == _file_id_of(_status_of(self.path))
            if is_there and not set_aside(self.path, reason):
                raise UnavailableError(reason)
        raise ReplacedError

    # -- opening ---------------------------------------------------------------------------------------------------
    def _is_stale(self, status: os.stat_result | None) -> bool:
        """Return True if the connection is not one of this process to the file that has the name now."""
        return self._process != os.getpid() or self._file_id != _file_id_of(status)

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and not self._is_stale(_status_of(self.path)):
            return self._connection
        self.close()
        self._file_id = self._unchanged = None
        with _creation_lock:
            _create_file(self.path)
            self._file_id = _file_id_of(_status_of(self.path))
            connection = sqlite3.connect(
                self.path.absolute(), timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
        self._connection, self._process = connection, os.getpid()
        try:
            self._check(connection)
        except BaseException:
            self._connection = None
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        """Check the owner of the database, and create the tables of an empty one."""
        connection.execute("PRAGMA trusted_schema = OFF")  # views and triggers of a foreign file run no functions
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        if _is_empty(connection):
            self._create_tables(connection)
        self._check_version(connection)
        row = connection.execute("SELECT id FROM meta").fetchone()
        if row is None or not isinstance(row[0], str):
            raise _DamagedError(msg("it is not what this program writes"))
        self.id = row[0]

    def _check_version(self, connection: sqlite3.Connection) -> None:
        application, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
        if application != APPLICATION_ID or version < 1:
            raise _DamagedError(msg("it is another program's database"))
        if version > SCHEMA_VERSION:
            raise UnavailableError(msg("a newer version of this program has written it"), is_newer=True)

    def _create_tables(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _is_empty(connection):  # another process may have been quicker
                for statement in self._schema:
                    connection.execute(statement)
                connection.execute("INSERT INTO meta VALUES (lower(hex(randomblob(16))))")
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


def _is_empty(connection: sqlite3.Connection) -> bool:
    return _pragma(connection, "application_id") == _pragma(connection, "user_version") == 0 and not (
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    )


def _pragma(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _create_file(path: Path) -> None:
    """Create an empty file for its owner alone; raise _DamagedError if the name has something else than a file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise _DamagedError(msg("it is a link to a file that is not there")) from None
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        return
    except OSError as error:
        if os.path.lexists(path):
            raise _DamagedError(error.strerror or str(error)) from None
        raise
    if status.st_size == 1:  # SQLite would take it for an empty file, and write over it
        raise _DamagedError(msg("it is not what this program writes"))
    if not stat.S_ISREG(status.st_mode):
        raise _DamagedError(msg("it is a folder") if stat.S_ISDIR(status.st_mode) else msg("it is no plain file"))


def _status_of(path: Path) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - called for each rendering of a page
    except OSError:
        return None


def _file_id_of(status: os.stat_result | None) -> _FileId | None:
    return (status.st_dev, status.st_ino) if status is not None else None


def _has_locks(folder: Path) -> bool:
    """Return True if files in `folder` can be locked; SQLite reports a missing lock service as a busy file."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        with partial_file(folder) as (_, file):
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (PermissionError, BlockingIOError):
        return True
    except OSError:
        return False
    return True
