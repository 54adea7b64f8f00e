"""A file that is arriving.

    <folder>/.<16 digits>.vae-manager.part       the bytes, from the first one on
    <folder>/.<16 digits>.vae-manager.journal    what they are a part of (see `journal`)
    <folder>/.<16 digits>.vae-manager.lock       held by the process that writes

The digits are the first ones of the expected hash, so that the bytes go on from whatever source has the same hash. No
host lists these names. The bytes are on the disk before the journal counts them, so a `kill -9` or a power cut loses no
more than what came after the last checkpoint.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from io import FileIO
from pathlib import Path

from ..errors import TransientNetworkError
from ..sentences import say
from .disk import hash_first, put_under, sync
from .journal import Journal, nameable, read
from .order import Order

CHECKPOINT_BYTES = 16_000_000
CHECKPOINT_SECONDS = 1.0


class Partial:
    """A partial file and its journal; `path` need not exist yet."""

    def __init__(self, stem: Path) -> None:
        self.path = stem.with_name(stem.name + ".part")
        self.journal_path = stem.with_name(stem.name + ".journal")
        self.lock_path = stem.with_name(stem.name + ".lock")
        self.done = 0
        self._file: FileIO | None = None
        self._digest = hashlib.sha256()
        self._journal: Journal | None = None
        self._saved_done = 0
        self._saved_at = 0.0

    @classmethod
    def of(cls, order: Order) -> Partial:
        """Return the partial file that belongs to an order."""
        if order.sha256 is not None:
            return cls(order.folder / f".{order.sha256[:16]}.vae-manager")
        names = "\n".join([order.file_name, *(str(nameable(source)) for source in order.sources)])
        return cls(order.folder / f".{hashlib.sha256(names.encode()).hexdigest()[:16]}.vae-manager")

    @property
    def is_open(self) -> bool:
        return self._file is not None

    def state(self) -> Journal | None:
        """Return what is kept, as far as it is really there."""
        if self._file is not None and self._journal is not None:
            return replace(self._journal, segments=((0, self.done),))
        journal = read(self.journal_path)
        return None if journal is None else replace(journal, segments=((0, min(journal.done, self._size())),))

    def resume(self, journal: Journal, stop: threading.Event, *, locked: bool) -> None:
        """Make ready to write after the kept bytes; they are hashed first, unless this object has written them.

        Without a lock they are copied: another process may be writing to the file that has them.
        """
        self._journal = journal
        if self._file is not None:
            return
        with FileIO(self.path, "rb") as kept, ExitStack() as undo:
            new = self.path if locked else self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}")
            file = undo.enter_context(FileIO(new, "r+b" if locked else "x+b"))
            if not locked:
                undo.callback(self._remove, new)
            digest, done = hash_first(kept.fileno(), journal.done, stop, None if locked else file)
            if not locked:
                new.replace(self.path)
            undo.pop_all()
        file.seek(done)
        self._file, self._digest, self.done, self._saved_done = file, digest, done, done

    def start_over(self, journal: Journal) -> None:
        """Make ready to write from the first byte on, into a new file: the old one may be open elsewhere."""
        self.throw_away()
        self._file = FileIO(self.path, "x+b")
        self._journal = journal

    def describe(self, journal: Journal) -> None:
        """Replace what the journal says of the bytes."""
        self._journal = journal

    def write(self, data: bytes) -> None:
        """Append, hashing what has really been written."""
        assert self._file is not None
        rest = memoryview(data)  # counted piece by piece, so that hash and count agree with the disk when it is full
        while rest:
            count = self._file.write(rest)
            self._digest.update(rest[:count])
            self.done += count
            rest = rest[count:]

    def is_checkpoint_due(self) -> bool:
        behind = self.done - self._saved_done
        late = time.monotonic() - self._saved_at > CHECKPOINT_SECONDS
        return behind >= CHECKPOINT_BYTES or (behind > 0 and late)

    def checkpoint(self) -> None:
        """Have the disk hold the bytes so far, then the journal that counts them."""
        journal = self.state()
        if self._file is None or journal is None:
            return
        self._check_ours()
        sync(self._file.fileno())
        new = self.journal_path.with_name(self.journal_path.name + ".new")
        with new.open("w", encoding="utf-8") as file:
            file.write(journal.to_json())
            file.flush()
            sync(file.fileno())
        try:
            new.replace(self.journal_path)
        except FileNotFoundError:
            raise self._lost() from None
        self._saved_done, self._saved_at = self.done, time.monotonic()

    def sha256(self) -> str:
        """Return the hash of all bytes written and kept."""
        return self._digest.hexdigest()

    def publish(self, target: Path) -> None:
        """Move the file to its final name."""
        assert self._file is not None
        self._check_ours()
        self._file.truncate(self.done)
        sync(self._file.fileno())
        self.close()
        put_under(target, self.path)
        self._remove(self.journal_path)

    def close(self) -> None:
        """Let go of the file; it stays."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def throw_away(self) -> None:
        """Remove the file and its journal."""
        self.close()
        self._remove(self.journal_path)
        self._remove(self.path)
        self.done = self._saved_done = 0
        self._digest = hashlib.sha256()
        self._journal = None

    def _check_ours(self) -> None:
        """Raise if the file has been replaced or published by another process, against a lock that lies."""
        assert self._file is not None
        try:
            is_ours = os.path.samestat(os.fstat(self._file.fileno()), self.path.lstat())
        except FileNotFoundError:
            is_ours = False
        if not is_ours:
            raise self._lost()

    def _lost(self) -> TransientNetworkError:
        self.close()
        return TransientNetworkError(say("Another process has taken over {name}.", name=self.path.name))

    def _remove(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            path.unlink()

    def _size(self) -> int:
        """Return the size of the file; 0 also for what is no plain file, a link say."""
        try:
            found = self.path.lstat()
        except OSError:
            return 0
        return found.st_size if stat.S_ISREG(found.st_mode) else 0
