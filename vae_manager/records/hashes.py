"""The SHA-256 of files, as far as it is known."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from ..files import Identity, identity_of, sha256_of
from .rows import UNTIMED, HashRecord
from .store import RecordStore

__all__ = ["HashStore"]


class HashStore:
    """Hashes of files, remembered.

    A record with another ctime, or without one (from early versions), is not used: its hash is the `last_of` a file,
    and is kept until the bytes are read again. Safe to use from several threads.

    The WebUI has a memory of its own, which is neither read nor written: it keeps every VAE's hash under one and the
    same key, so its answer may be another VAE's (modules/hashes.py, modules/sd_vae.py get_loaded_vae_hash).
    """

    def __init__(self, records: RecordStore | None = None) -> None:
        """`records` is None for a memory that ends with this object."""
        self.records = records if records is not None else RecordStore()
        self._section = self.records.hashes

    @property
    def revision(self) -> int:
        """Another one after each change of what is known."""
        return self._section.revision

    def known(self, path: Path) -> str | None:
        """The hash of `path`, if it was remembered and the file has not changed since."""
        now = identity_of(path)
        return self.known_of(now) if now is not None else None

    def known_of(self, identity: Identity) -> str | None:
        """The hash of the file that `identity` stands for, even if the file has gone or is another one now."""
        then = self._of(identity)
        return then.sha256 if then is not None else None

    def last_of(self, identity: Identity) -> str | None:
        """The hash of this file under an earlier ctime, or from before ctimes were kept. It is no proof: a mode or a
        second name may have changed, or the bytes under an old mtime."""
        then = self._last(identity)
        return then.sha256 if then is not None else None

    def read_at(self, path: Path) -> str | None:
        """The hash that the last reading under this path gave, of whatever file was there then. It is no proof."""
        then = self._section.get(str(path.absolute()))
        return then.sha256 if then is not None else None

    def is_known(self, sha256: str) -> bool:
        """Return True if a file with these bytes was read before, under whatever path."""
        return any(record.sha256 == sha256 for record in self._section.all_records())

    def remember(self, path: Path, sha256: str) -> None:
        """Bind `sha256` to `path` as it is now."""
        now = identity_of(path)
        if now is not None:
            self._section.put(HashRecord(now, sha256))

    def read_again(self, identity: Identity, sha256: str) -> bool:
        """Remember what the file that `identity` stands for gave when it was read, whatever was known of it.

        Returns True if that is what it gave first. Otherwise the new hash is known from then on, since those are its
        bytes now; the first one is kept beside it, and the next reading is held against that one too.
        """
        first = _first(self._last(identity), sha256)  # with another ctime too: bytes can change under the old mtime
        self._section.put(_with_first(identity, sha256, first))
        return first == sha256

    def carry(self, before: Identity, after: Path) -> None:
        """What is known of the file that `before` stands for holds for `after` too: the caller says that it has the
        same bytes, under another name or as a proven copy."""
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
        """The hash of `path`: remembered, or computed and then remembered. As `sha256_of` otherwise."""
        remembered = self.known(path)
        if remembered is not None:
            return remembered
        before = identity_of(path)
        sha256 = sha256_of(path, report=report, stop=stop)
        if before is not None:  # a file that was written to meanwhile is no longer this one, so stays unknown
            self._section.put(_with_first(before, sha256, _first(self._untimed(before), sha256)))
        return sha256

    def _of(self, identity: Identity) -> HashRecord | None:
        """What is known of that file."""
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
