"""What is known of the files of a library, remembered, so that a thousand of them are listed at once.

    <data>/library.json    {"reader": 1, "files": {"/models/VAE/a.safetensors":
                            {"size": …, "mtime_ns": …, "inode": …, "ctime_ns": …, "summary": {…},
                             "fingerprints": {…}}, …}}

Each entry is bound to the file's identity: what has been written to, replaced or moved is looked at anew. It is only a
memory: where it is damaged or cannot be written, the work is done again.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from ..errors import NotFoundError, VaeManagerError
from ..files import HashStore, Identity, identity_of, inspect
from ..files.state_file import StateFile, pairs_of
from ..files.weights import Fingerprints, fingerprints
from .folders import VaeFile
from .summary import Summary

__all__ = ["Index", "IndexedFile"]

READER: Final = 2
"""Raised whenever an inspection says something else of the same bytes: summaries of before are then left out."""

UNTIMED: Final = -1
"""In place of a time of change, which earlier versions did not keep: no file has it."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class IndexedFile:
    """One file of the library, and all that is known of it."""

    file: VaeFile
    identity: Identity
    summary: Summary
    sha256: str | None = None
    fingerprints: Fingerprints | None = None
    last_sha256: str | None = None
    """The hash under an earlier ctime, if the present one is not known. It is no proof."""
    last_fingerprints: Fingerprints | None = None
    """The fingerprints under an earlier ctime, in the same way."""


@dataclass(frozen=True)
class _Entry:
    """What is remembered of one identity."""

    identity: Identity
    summary: Summary | None = None
    fingerprints: Fingerprints | None = None
    last: Fingerprints | None = None
    """Fingerprints under an earlier ctime, or from before ctimes were kept."""


_Entries = Mapping[str, _Entry]
"""By path; never changed, only replaced by another."""


class _Fingerprinting(Protocol):
    def __call__(
        self,
        path: Path,
        /,
        *,
        report: Callable[[int, int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Fingerprints: ...


class Index:
    """The memory of a library. All methods may be called from any thread, and by several processes at once."""

    def __init__(
        self, data_folder: Path | None, hashes: HashStore | None = None, taking: _Fingerprinting = fingerprints
    ) -> None:
        """`data_folder` is made at the first writing; None for a memory that ends with this object.

        `hashes` is the memory of SHA-256, the data folder's own by default; `taking` takes fingerprints.
        """
        self._file = StateFile(data_folder / "library.json", _unpacked) if data_folder is not None else None
        self._hashes = hashes or HashStore(data_folder / "hashes.json" if data_folder is not None else None)
        self._taking = taking
        self._lock = threading.Lock()
        self._entries: _Entries | None = None
        self.revision = 0
        """Another one after each change of what is known."""

    def look(self, files: Iterable[VaeFile]) -> Sequence[IndexedFile]:
        """Say what each of `files` is; those that are gone are left out. Only what is not known yet is opened."""
        known = self._known()
        fresh: dict[str, _Entry] = {}
        found = []
        for file in files:
            identity = identity_of(file.path)
            if identity is None:
                continue
            entry = _of(known, identity)
            summary = entry.summary
            if summary is None:
                try:
                    summary = Summary.of(inspect(file.path))
                except NotFoundError:
                    continue
                except VaeManagerError as error:  # not remembered: it may be readable the next time
                    summary = Summary.of_unreadable(error)
                else:
                    fresh[identity.path] = replace(entry, summary=summary)
            found.append(self._indexed(file, identity, summary, entry))
        if fresh:
            self._remember(fresh)
        return found

    def indexed(self, file: VaeFile, identity: Identity, summary: Summary) -> IndexedFile:
        """All that is remembered of a file that somebody else has looked at."""
        return self._indexed(file, identity, summary, _of(self._known(), identity))

    def _indexed(self, file: VaeFile, identity: Identity, summary: Summary, entry: _Entry) -> IndexedFile:
        sha256 = self._hashes.known_of(identity)
        last = self._hashes.last_of(identity) if sha256 is None else None
        return IndexedFile(file, identity, summary, sha256, entry.fingerprints, last, entry.last)

    def known_fingerprints(self, path: Path) -> Fingerprints | None:
        """Those of `path`, if they are remembered and it has not changed since."""
        identity = identity_of(path)
        return self.known_fingerprints_of(identity) if identity is not None else None

    def known_fingerprints_of(self, identity: Identity) -> Fingerprints | None:
        """Those of the file that `identity` stands for; the disk is not asked."""
        return _of(self._known(), identity).fingerprints

    def fingerprints_of(
        self,
        path: Path,
        *,
        report: Callable[[int, int], None] | None = None,
        stop: threading.Event | None = None,
    ) -> Fingerprints:
        """Those of `path`: remembered, or taken and then remembered. `report` is told bytes done and in all.

        Raises as `files.weights.fingerprints` does.
        """
        before = identity_of(path)
        known = _of(self._known(), before).fingerprints if before is not None else None
        if known is not None:
            return known
        taken = self._taking(path, report=report, stop=stop)
        if before is not None:  # one that was written to meanwhile has another identity now, so stays unknown
            self._remember({before.path: replace(_of(self._known(), before), fingerprints=taken, last=None)})
        return taken

    def carry(self, before: Identity, after: Path) -> None:
        """What is known of the file that `before` stands for holds for `after` too: the caller says that it has the
        same bytes, under another name or as a proven copy."""
        entry, now = _of(self._known(), before), identity_of(after)
        if now is not None and now.size == before.size and (entry.summary or entry.fingerprints or entry.last):
            # A sentence of the summary names the file: what is wrong with it is found anew under the new name.
            summary = entry.summary if entry.summary is not None and not entry.summary.problems else None
            self._remember({now.path: _Entry(now, summary, entry.fingerprints, entry.last)})

    def _known(self) -> _Entries:
        with self._lock:
            if self._entries is None:
                self._entries = self._read()
            return self._entries

    def _remember(self, fresh: _Entries) -> None:
        """Add entries, drop those of files that are gone, and write all."""
        with self._lock:
            entries = dict(self._entries or {})
            self.revision += 1
            for more in (self._written_by_others(), fresh):
                for path, entry in more.items():
                    entries[path] = _together(entries.get(path), entry)
            # An entry that was made just now is written, whatever has become of its file.
            self._entries = {path: entry for path, entry in entries.items() if path in fresh or os.path.exists(path)}  # noqa: PTH110 - a thousand of them
            if self._file is not None:
                with suppress(OSError):  # read-only: this process still remembers
                    self._file.write(_to_data(self._entries))

    def _written_by_others(self) -> _Entries:
        """Another process may have written; to read ten thousand entries again after each of one's own writings would
        cost more than all else."""
        if self._entries is not None and self._file is not None and not self._file.has_changed:
            return {}
        return self._read()

    def _read(self) -> _Entries:
        entries = self._file.items(_entry) if self._file is not None else ()
        return {entry.identity.path: entry for entry in entries}


def _of(entries: _Entries, identity: Identity) -> _Entry:
    """What is remembered of an identity; an empty entry where nothing is."""
    entry = entries.get(identity.path)
    if entry is None or entry.identity[:-1] != identity[:-1]:
        return _Entry(identity)
    if entry.identity != identity:
        return _Entry(identity, last=entry.fingerprints or entry.last)
    return entry


def _together(old: _Entry | None, new: _Entry) -> _Entry:
    """All that two entries know of one file; the newer one alone where the file has changed."""
    if old is None or old.identity != new.identity:
        return new
    taken = new.fingerprints or old.fingerprints
    return _Entry(new.identity, new.summary or old.summary, taken, None if taken else new.last or old.last)


def _to_data(entries: _Entries) -> dict[str, Any]:
    files = {}
    for path, entry in entries.items():
        files[path] = {
            "size": entry.identity.size,
            "mtime_ns": entry.identity.mtime_ns,
            "inode": entry.identity.inode,
            "ctime_ns": entry.identity.ctime_ns,
            "summary": entry.summary.to_data() if entry.summary is not None else None,
            "fingerprints": _printed(entry.fingerprints),
            "last": _printed(entry.last),
        }
    return {"reader": READER, "files": files}


def _printed(prints: Fingerprints | None) -> dict[str, str | None] | None:
    return {"weights": prints.weights, "encoder": prints.encoder} if prints is not None else None


def _unpacked(root: Any) -> Iterable[tuple[str, Any, bool]]:
    """Path and entry of each file, and whether this very version of the reader has looked at it."""
    return [(path, data, root["reader"] == READER) for path, data in pairs_of(root["files"])]


def _entry(item: tuple[str, Any, bool]) -> _Entry | None:
    """Read an entry; None for one of another version of this program, whose file is then inspected anew."""
    entry = _from_data(*item)
    if entry is None and not isinstance(item[1], dict):
        raise ValueError("no entry")
    return entry


def _from_data(path: str, data: Any, same_reader: bool) -> _Entry | None:
    """None for what is no entry."""
    try:
        numbers = [data[name] for name in ("size", "mtime_ns", "inode")]
        numbers.append(data.get("ctime_ns", UNTIMED))
        if not all(type(number) is int for number in numbers):
            return None
        summary = data["summary"] if same_reader else None
        return _Entry(
            Identity(path, *numbers),
            Summary.from_data(summary) if summary is not None else None,
            _prints(data["fingerprints"]),
            _prints(data.get("last")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _prints(data: Any) -> Fingerprints | None:
    return Fingerprints(_sha256(data["weights"]), _sha256(data["encoder"], or_none=True)) if data else None


def _sha256(text: Any, *, or_none: bool = False) -> Any:
    if (text is None and or_none) or (isinstance(text, str) and _SHA256.fullmatch(text)):
        return text
    raise ValueError("no SHA-256")
