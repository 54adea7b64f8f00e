"""SHA-256 of files, and a memory of those that are known."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypedDict

from ..errors import Cancelled
from ..sentences import say
from .headers import disk_error
from .identity import Identity, identity_of
from .state_file import StateFile, pairs_of

__all__ = ["HashStore", "sha256_of"]

CHUNK: Final = 4 << 20
"""Bytes read at once: large enough that Python's share of the time is small, small enough to stop quickly."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def sha256_of(path: Path, *, report: Callable[[int], None] | None = None, stop: threading.Event | None = None) -> str:
    """The SHA-256 of a file, in lower-case hexadecimal.

    `report` is told after each chunk how many bytes are done in all; setting `stop` ends the work within one chunk,
    with `Cancelled`. Raises `NotFoundError` and `DiskError`.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    done = 0
    try:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                if stop is not None and stop.is_set():
                    raise Cancelled(say("Hashing {file} was stopped.", file=path.name))
                digest.update(buffer[:count])
                done += count
                if report is not None:
                    report(done)
    except OSError as error:
        raise disk_error(path, error) from error
    return digest.hexdigest()


class _Bound(TypedDict):
    """A hash, and what it is bound to: any change of these makes it unknown."""

    size: int
    mtime_ns: int
    inode: int
    sha256: str


class _Known(_Bound, total=False):
    ctime_ns: int
    """Missing in what earlier versions wrote: such a hash is no proof of what the file holds now."""
    first: str
    """The hash of before, where another one was read later: what the bytes should be."""


class HashStore:
    """Hashes of files, remembered in one JSON file.

        {"/models/VAE/a.safetensors": {"size": 334641190, "mtime_ns": …, "inode": …, "ctime_ns": …,
                                        "sha256": "735e…"}, …}

    The file is made at the first `remember`. It is a cache: if it is damaged or cannot be written, hashes are
    computed again. An entry with another ctime, or without one (from earlier versions), is not used either: its hash
    is the `last_of` a file, and is kept until the bytes are read again. Safe to use from several threads; of two
    processes that write at once, one may lose a hash.

    The WebUI has a memory of its own, which is neither read nor written: it keeps every VAE's hash under one and the
    same key, so what it says may be another VAE's (modules/hashes.py, modules/sd_vae.py get_loaded_vae_hash).
    """

    def __init__(self, file: Path | None) -> None:
        """`file` is None for a memory that ends with this object."""
        self._file = StateFile(file, pairs_of) if file is not None else None
        self._lock = threading.Lock()
        self._known: dict[str, _Known] | None = None
        self.revision = 0
        """Another one after each change of what is known."""

    def known(self, path: Path) -> str | None:
        """The hash of `path`, if it was remembered and the file has not changed since."""
        now = identity_of(path)
        return self.known_of(now) if now is not None else None

    def known_of(self, identity: Identity) -> str | None:
        """The hash of the file that `identity` stands for, even if the file has gone or is another one now."""
        with self._lock:
            then = self._of(identity)
        return then["sha256"] if then is not None else None

    def last_of(self, identity: Identity) -> str | None:
        """The hash of this file under an earlier ctime, or from before ctimes were kept. It is no proof: a mode or a
        second name may have changed, or the bytes under an old mtime."""
        with self._lock:
            then = self._last(identity)
        return then["sha256"] if then is not None else None

    def remember(self, path: Path, sha256: str) -> None:
        """Bind `sha256` to `path` as it is now."""
        now = identity_of(path)
        if now is not None:
            self._write(now.path, _bound(now, sha256))

    def read_again(self, identity: Identity, sha256: str) -> bool:
        """Remember what the file that `identity` stands for gave when it was read, whatever was known of it.

        Returns whether that is what it gave first. Where it is not, the new hash is known from then on, since those are
        its bytes now; the first one is kept beside it, and the next reading is held against that one too.
        """
        with self._lock:
            then = self._last(identity)  # with another ctime too: bytes can be exchanged under the old mtime
        first = _first(then, sha256)
        self._write(identity.path, _with_first(_bound(identity, sha256), first))
        return first == sha256

    def carry(self, before: Identity, after: Path) -> None:
        """What is known of the file that `before` stands for holds for `after` too: the caller says that it has the
        same bytes, under another name or as a proven copy."""
        with self._lock:
            then, last = self._of(before), self._last(before)
        now = identity_of(after)
        if now is None or now.size != before.size:
            return
        if then is not None:
            self._write(now.path, {**then, **_bound(now, then["sha256"])})
        elif last is not None:
            untimed = _bound(now, last["sha256"])
            del untimed["ctime_ns"]
            self._write(now.path, _with_first(untimed, _first(last, last["sha256"])))

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
            with self._lock:
                then = self._untimed(before)
            self._write(before.path, _with_first(_bound(before, sha256), _first(then, sha256)))
        return sha256

    def _of(self, identity: Identity) -> _Known | None:
        """What is known of that file; the lock is held."""
        then = self._last(identity)
        return then if then is not None and then.get("ctime_ns") == identity.ctime_ns else None

    def _untimed(self, identity: Identity) -> _Known | None:
        """Return the entry of an earlier version for that file; the lock is held."""
        then = self._last(identity)
        return then if then is not None and "ctime_ns" not in then else None

    def _last(self, identity: Identity) -> _Known | None:
        """Return the entry of that file with any ctime; the lock is held."""
        if self._known is None:
            self._known = self._read()
        then = self._known.get(identity.path)
        is_it = then is not None and (then["size"], then["mtime_ns"], then["inode"]) == identity[1:4]
        return then if is_it else None

    def _write(self, path: str, known: _Known) -> None:
        with self._lock:
            has_others = self._known is None or (self._file is not None and self._file.has_changed)
            self._known = {**(self._known or {}), **(self._read() if has_others else {}), path: known}
            self.revision += 1
            if self._file is not None:
                with contextlib.suppress(OSError):  # read-only: this process still remembers
                    self._file.write(dict(sorted(self._known.items())), indent=1)

    def _read(self) -> dict[str, _Known]:
        return dict(self._file.items(_item)) if self._file is not None else {}


def _first(then: _Known | None, sha256: str) -> str:
    return then.get("first", then["sha256"]) if then is not None else sha256


def _with_first(known: _Known, first: str) -> _Known:
    return known if first == known["sha256"] else {**known, "first": first}


def _bound(identity: Identity, sha256: str) -> _Known:
    return {
        "size": identity.size,
        "mtime_ns": identity.mtime_ns,
        "inode": identity.inode,
        "ctime_ns": identity.ctime_ns,
        "sha256": sha256,
    }


def _item(item: tuple[str, Any]) -> tuple[str, _Known] | None:
    """Read an entry; None for one that another version of this program has written."""
    path, known = item
    if not isinstance(known, dict):
        raise ValueError("no entry")
    return (path, known) if _is_known(known) else None  # type: ignore[return-value]


def _is_known(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() - {"first", "ctime_ns"} == _Bound.__annotations__.keys()
        and all(type(value[key]) is int for key in ("size", "mtime_ns", "inode", "ctime_ns") if key in value)
        and all(_is_sha256(value[key]) for key in ("sha256", "first") if key in value)
    )


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None
