"""Partial file of a download.

    <folder>/.<16 digits>.vae-manager.part       the bytes, each at its final offset
    <folder>/.<16 digits>.vae-manager.journal    ranges that the disk holds, and the file that they are part of
    <folder>/.<16 digits>.vae-manager.recent     ranges written since the journal (see `resume_journal`)
    <folder>/.<16 digits>.vae-manager.lock       held by the process that writes

The digits are the first ones of the expected hash, so that a download resumes from any source with the same hash. No
host lists these names. The order of writing is: the bytes, their fsync, the journal that counts them under a temporary
name, its fsync, its rename. After a power cut at any moment, the journal counts only bytes that are on the disk.
"""

from __future__ import annotations

import functools
import glob
import hashlib
import os
import secrets
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path

from ..errors import TransientNetworkError
from ..files.disk import are_hard_links, rename_new, rename_over, retry_while_busy, sync, sync_folder
from ..messages import msg
from . import resume_journal
from .request import DownloadRequest
from .resume_journal import (
    ByteRanges,
    Journal,
    add_range,
    clip_ranges,
    contiguous_end,
    copy_ranges,
    count_bytes,
    read_journal,
    redacted,
    write_all_at,
)

BLOCK_BYTES = 1 << 22
"""Bytes that are hashed at once: many, since the thread yields to the others after each block."""
RESULT_TIMEOUT_S = 0.1

SAVE_BYTES, SAVE_SECONDS = 4_000_000, 0.5
"""The most bytes and seconds that may be fetched twice after a `kill -9`."""
SYNC_BYTES, SYNC_SECONDS = 64_000_000, 5.0
"""The most bytes and seconds that may be fetched twice after a power cut. On a machine without a boot id this holds for
a `kill -9` too: `SAVE_…` is the limit for both then."""


class StreamingHasher:
    """SHA-256 of a growing file, read back from its start up to the last contiguous byte."""

    def __init__(self, file: FileIO) -> None:
        """Start hashing; `file` is at its first byte and belongs to this object from now on."""
        self._file = file
        self._changed = threading.Condition()
        self._digest = hashlib.sha256()
        self._limit = 0
        self._done = 0
        self._closed = False
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="vae-manager proof", daemon=True)
        self._thread.start()

    @property
    def done(self) -> int:
        """The number of hashed bytes."""
        return self._done

    def advance(self, contiguous_end: int) -> None:
        """Allow hashing up to `contiguous_end`: these bytes are there and final."""
        with self._changed:
            self._limit = contiguous_end
            self._changed.notify_all()

    def result(self, timeout: float = RESULT_TIMEOUT_S) -> str | None:
        """Return the hash of all bytes up to the allowed end; None if it takes longer than `timeout` seconds."""
        until = time.monotonic() + timeout
        with self._changed:
            while self._done < self._limit:
                if self._error is not None:
                    raise self._error
                if not self._changed.wait(max(0.0, until - time.monotonic())):
                    return None
            return self._digest.hexdigest()

    def close(self) -> None:
        """Close the file, which Windows neither renames nor removes before."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        buffer = memoryview(bytearray(BLOCK_BYTES))
        with self._file:
            while (contiguous_end := self._wait_for_bytes()) is not None:
                try:
                    count = self._file.readinto(buffer[: min(BLOCK_BYTES, contiguous_end - self._done)])
                    if not count:
                        raise OSError("the partial file has become shorter")
                except OSError as error:
                    self._record(0, error)
                    return
                self._digest.update(buffer[:count])
                self._record(count, None)

    def _wait_for_bytes(self) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._done < self._limit)
            return None if self._closed else self._limit

    def _record(self, count: int, error: OSError | None) -> None:
        with self._changed:
            self._done += count
            self._error = error
            self._changed.notify_all()


@dataclass(frozen=True)
class SavePoint:
    """A count of bytes and its time."""

    done: int = 0
    at: float = 0.0

    def is_due(self, done: int, count: int, seconds: float) -> bool:
        """Return True if `count` more bytes are there since then, or any more and `seconds` have passed."""
        return done - self.done >= count or (done > self.done and time.monotonic() - self.at >= seconds)


class PartialFile:
    """A partial file and its journal; `path` need not exist yet.

    `write` may be called from any thread, everything else from the one that made this object.
    """

    def __init__(self, stem: Path) -> None:
        self.path = stem.with_name(stem.name + ".part")
        self.journal_path = stem.with_name(stem.name + ".journal")
        self.recent_path = stem.with_name(stem.name + ".recent")
        self.lock_path = stem.with_name(stem.name + ".lock")
        self._changed = threading.Condition()
        self._writers = 0
        self._file: FileIO | None = None
        self._hasher: StreamingHasher | None = None
        self._byte_ranges: ByteRanges = ()
        self.kept = 0
        """The number of bytes that were there when the file was opened."""
        self._journal: Journal | None = None
        self._saved = self._synced = SavePoint()
        self._syncing: _SyncThread | None = None

    @classmethod
    def of(cls, request: DownloadRequest) -> PartialFile:
        """Return the partial file of a request."""
        if request.sha256 is not None:
            return cls(request.folder / f".{request.sha256[:16]}.vae-manager")
        names = "\n".join([request.file_name, *(str(redacted(source)) for source in request.sources)])
        return cls(request.folder / f".{hashlib.sha256(names.encode()).hexdigest()[:16]}.vae-manager")

    @property
    def is_open(self) -> bool:
        """True from `resume` or `start_over` up to `close`; only then can bytes be written."""
        return self._file is not None

    @property
    def byte_ranges(self) -> ByteRanges:
        """The byte ranges that are there, as long as the file is open."""
        return self._byte_ranges

    @property
    def done(self) -> int:
        """The number of bytes that are there, as long as the file is open."""
        return count_bytes(self._byte_ranges)

    @property
    def saved(self) -> int:
        """The number of bytes that the journal counts: those from which the next start goes on."""
        return self._saved.done

    def state(self) -> Journal | None:
        """Return the journal, limited to the bytes that exist in the file."""
        if self._file is not None and self._journal is not None:
            return replace(self._journal, segments=self._byte_ranges, owner=resume_journal.current_process())
        journal = read_journal(self.journal_path)
        if journal is None:
            return None
        byte_ranges = journal.segments
        for start, end in resume_journal.read_unsynced(self.recent_path):
            byte_ranges = add_range(byte_ranges, start, end)
        return replace(journal, segments=clip_ranges(byte_ranges, self._size()))

    # -- opening -----------------------------------------------------------------------------------------------------
    def resume(self, journal: Journal, stop: threading.Event, *, in_place: bool) -> None:
        """Open the file to write the bytes that `journal` does not list.

        Unless writing `in_place` is safe, the file is copied first: another process may be writing to it.
        """
        self._journal = journal
        if self._file is not None:
            return
        copied = None if in_place else self._copy_kept(journal.segments, stop)
        file = FileIO(self.path, "r+b")
        if copied is not None and not os.path.samestat(os.fstat(file.fileno()), copied):
            file.close()
            raise self.taken_over_error()
        self._open(file, journal.segments)
        self._saved = self._synced = SavePoint(self.done)

    def _copy_kept(self, byte_ranges: ByteRanges, stop: threading.Event) -> os.stat_result:
        """Replace the file by a copy that no process has open; return the copy's identity."""
        self.sweep_copies()
        new = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}")
        try:
            with FileIO(self.path, "rb") as kept, FileIO(new, "x+b") as copy:
                copy_ranges(kept, copy, byte_ranges, stop)
                copied = os.fstat(copy.fileno())
            rename_over(new, self.path)
        except BaseException:
            self._remove(new)
            raise
        return copied

    def sweep_copies(self) -> None:
        """Remove incomplete copies of processes that were killed."""
        for left in self.path.parent.glob(f"{glob.escape(self.path.name)}.*"):
            self._remove(left)

    def start_over(self, journal: Journal) -> None:
        """Open a new file to write from the first byte: the old one may be open elsewhere."""
        self.discard()
        self._open(FileIO(self.path, "x+b"), ())
        self._journal = journal

    def describe(self, journal: Journal) -> None:
        """Replace the journal's description of the file."""
        self._journal = journal

    def _open(self, file: FileIO, byte_ranges: ByteRanges) -> None:
        with self._changed:
            self._file, self._byte_ranges, self.kept = file, byte_ranges, count_bytes(byte_ranges)
            # A handle of its own: Windows has no positioned read, and the writers move their handle's position.
            self._hasher = StreamingHasher(FileIO(self.path, "rb"))
            self._hasher.advance(contiguous_end(byte_ranges))

    # -- writing -----------------------------------------------------------------------------------------------------
    def write(self, offset: int, data: bytes) -> None:
        """Write `data` at `offset`; a no-op once the file is closed."""
        with self._changed:
            if self._file is None:
                return
            assert offset >= contiguous_end(self._byte_ranges), "what the proof may have seen is never written again"
            file = self._file
            self._writers += 1  # counted, not locked out: several threads may write at once
        end = offset
        try:
            for written in write_all_at(file, offset, data):  # counted as the disk takes it, until the disk is full
                end += written
        finally:
            with self._changed:
                self._writers -= 1
                self._byte_ranges = add_range(self._byte_ranges, offset, end)
                if self._hasher is not None and contiguous_end(self._byte_ranges) >= end:
                    self._hasher.advance(contiguous_end(self._byte_ranges))
                if not self._writers:
                    self._changed.notify_all()

    def is_save_due(self) -> bool:
        """Return True if `save` has unsaved ranges to record."""
        return self._file is not None and self._saved.is_due(self.done, SAVE_BYTES, SAVE_SECONDS)

    def save(self) -> None:
        """Record the written ranges, at intervals with a checkpoint."""
        if not self._synced.done or resume_journal.boot_id() is None:
            self.checkpoint()
            return
        self._check_owner()
        byte_ranges = self._byte_ranges
        resume_journal.write_unsynced(self.recent_path, byte_ranges)
        self._saved = SavePoint(count_bytes(byte_ranges), time.monotonic())
        self._collect_sync()
        if self._syncing is None and self._synced.is_due(self.done, SYNC_BYTES, SYNC_SECONDS):
            journal = self.state()
            assert self._file is not None and journal is not None
            self._syncing = _SyncThread(functools.partial(self._sync_and_save, self._file, journal), journal.done)

    def _collect_sync(self) -> None:
        if (syncing := self._syncing) is not None and not syncing.is_alive():
            self._join_sync()
            self._synced = SavePoint(syncing.done, time.monotonic())

    def _join_sync(self) -> None:
        """Wait for the running sync and raise its error, which the system reports only once."""
        if (syncing := self._syncing) is not None:
            self._syncing = None
            syncing.join()
            if syncing.error is not None:
                raise syncing.error

    def checkpoint(self) -> None:
        """Sync the bytes to the disk, then the journal that counts them."""
        journal = self.state()
        if self._file is None or journal is None:
            return
        self._check_owner()
        self._join_sync()
        self._sync_and_save(self._file, journal)
        self._saved = self._synced = SavePoint(journal.done, time.monotonic())

    def _sync_and_save(self, file: FileIO, journal: Journal) -> None:
        """Sync the bytes that `journal` counts, then the journal."""
        sync(file.fileno())
        self._save_journal(journal)

    def _save_journal(self, journal: Journal) -> None:
        new = _temporary_path(self.journal_path)
        self._remove(new)  # left by a process that was killed, or a hard link to another file
        with new.open("x", encoding="utf-8") as file:
            file.write(journal.to_json())
            file.flush()
            sync(file.fileno())
        rename_over(new, self.journal_path)

    # -- completion ----------------------------------------------------------------------------------------------------
    def sha256(self) -> str | None:
        """Return the hash of all bytes, which must be complete; None: it is not ready yet."""
        assert self._hasher is not None
        return self._hasher.result()

    @property
    def hashed(self) -> int:
        """The number of hashed bytes."""
        return self._hasher.done if self._hasher is not None else 0

    def truncate(self) -> None:
        """Truncate the file to its final size."""
        assert self._file is not None
        self._check_owner()
        self._join_sync()
        self._file.truncate(self.done)

    def publish(self, target: Path) -> None:
        """Move the file to its final name. Raises FileExistsError if the name is taken."""
        self.truncate()
        assert self._file is not None
        sync(self._file.fileno())
        self._check_owner()  # again: the sync took time, and without working locks the file may have been replaced
        whole = self.state()
        self.close()
        try:
            rename_new(self.path, target)
            # a name that the disk does not hold yet costs another download after a power cut
            sync_folder(target.parent)
        except OSError as error:
            if whole is not None and not isinstance(error, FileNotFoundError):  # the next start need not download again
                with suppress(OSError):
                    self._save_journal(whole)
            raise
        self.remove_leftovers()

    @property
    def has_other_names(self) -> bool:
        """True if the file has another hard link, whose bytes a write would change too."""
        try:
            return self.path.lstat().st_nlink > 1
        except OSError:
            return False

    def is_published(self, target: Path) -> bool:
        """Return True if the whole file has its final name: the process was killed before it removed this one."""
        return are_hard_links(self.path, target)

    def remove_published(self, target: Path) -> None:
        """Remove this name of a file that has its final one."""
        if self.is_published(target):
            self._remove(self.path)
        self.remove_leftovers()

    def remove_leftovers(self, *, lock: bool = False) -> None:
        """Remove the files that belong to a missing partial file, as far as possible."""
        if self.path.exists():
            return
        notes = [self.journal_path, self.recent_path]
        for path in [*notes, *map(_temporary_path, notes), *([self.lock_path] if lock else [])]:
            with suppress(OSError):
                path.unlink()

    def close(self) -> None:
        """Close the file; it stays on the disk."""
        with suppress(OSError):
            self._join_sync()
        with self._changed:
            self._changed.wait_for(lambda: not self._writers)
            file, hasher, self._file, self._hasher = self._file, self._hasher, None, None
        if file is not None:
            file.close()
        if hasher is not None:
            hasher.close()

    def discard(self) -> None:
        """Remove the file and its journal."""
        self.close()
        self._remove(self.journal_path)
        self._remove(self.recent_path)
        self._remove(self.path)
        self.remove_leftovers()
        self._byte_ranges = ()
        self._saved = self._synced = SavePoint()
        self._journal = None

    def _check_owner(self) -> None:
        """Raise if another process has replaced or published the file, on a file system that does not honour locks."""
        assert self._file is not None
        try:
            is_same_file = os.path.samestat(os.fstat(self._file.fileno()), self.path.lstat())
        except FileNotFoundError:
            is_same_file = False
        if not is_same_file:
            raise self.taken_over_error()

    def taken_over_error(self) -> TransientNetworkError:
        """Close the file; return the error for another process that writes under the same names."""
        self.close()
        return TransientNetworkError(msg("Another process has taken over {name}.", name=self.path.name))

    def _remove(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            retry_while_busy(path.unlink)

    def _size(self) -> int:
        """Return the size of the file; 0 for any other kind of file, such as a link."""
        try:
            found = self.path.lstat()
        except OSError:
            return 0
        return found.st_size if stat.S_ISREG(found.st_mode) else 0


class _SyncThread(threading.Thread):
    """A checkpoint of `done` bytes in a thread, so that a slow disk does not delay the notes."""

    def __init__(self, work: Callable[[], None], done: int) -> None:
        super().__init__(name="vae-manager sync", daemon=True)
        self.done = done
        self.error: OSError | None = None
        self._work = work
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except OSError as error:
            self.error = error


def _temporary_path(path: Path) -> Path:
    """Return the temporary name for the next version of a file."""
    return path.with_name(path.name + ".new")
