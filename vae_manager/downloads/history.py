"""What was fetched: one line of JSON for each download that has ended, in `history.jsonl`.

Lines are only ever added, each in one write, so that several processes share the file and a `kill -9` costs the line
that was being written and no other. A file that has grown too long becomes `history.old.jsonl`, in place of the one
before it: both together are the history. Nothing secret is in it: of an address, no query and no user.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from ..files.writing import rename_over
from ..sentences import Sentence, from_data, to_data

logger = logging.getLogger(__name__)

MOST_BYTES: Final = 256_000
"""Of one file; a line has some 600."""
_SECRET_PART: Final = re.compile(r"(https?://)(?:[^/\s@?#]*@)?([^\s?#]*)(?:[?#]\S*)?", re.IGNORECASE)


class Ending(Enum):
    """How a download ended."""

    DELIVERED = "delivered"
    ALREADY_THERE = "already there"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Past:
    """A download that has ended."""

    ended_at: float
    """Seconds since 1970."""
    name: str
    """Of the VAE, or of its file."""
    file_name: str
    folder: str
    sources: tuple[str, ...]
    """Where it was asked for, without queries."""
    ending: Ending
    size: int | None = None
    sha256: str | None = None
    proven: bool = False
    """The bytes are those of a published SHA-256."""
    seconds: float = 0.0
    """How long it ran, pauses left out."""
    fetched: int = 0
    """Bytes that came over the network in that time."""
    problem: Sentence | None = None
    """Why it failed; or, of what was delivered, what is wrong with it."""

    @property
    def speed(self) -> float | None:
        """Bytes per second, on average."""
        return self.fetched / self.seconds if self.fetched and self.seconds > 0 else None


class History:
    """Newest first, whoever wrote it. What cannot be read or written is left out: a history never stops a download."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._old = file.with_name(f"{file.stem}.old{file.suffix}")
        self._lock = threading.Lock()
        self._seen: tuple[object, tuple[Past, ...]] | None = None

    def add(self, past: Past) -> None:
        line = json.dumps(_to_data(past), ensure_ascii=False).encode() + b"\n"
        with self._lock:
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._make_room()
                with self._file.open("ab+", buffering=0) as file:
                    file.write(line if _ends_a_line(file) else b"\n" + line)
            except OSError as error:
                logger.warning("%s cannot be written: %s", self._file, error)

    def entries(self) -> tuple[Past, ...]:
        """All that is known, newest first. Looks at the files again only when they have changed."""
        stamp = (_stamp(self._old), _stamp(self._file))
        with self._lock:
            if self._seen is None or self._seen[0] != stamp:
                found = [*_read(self._old), *_read(self._file)]
                self._seen = stamp, tuple(sorted(found, key=lambda past: past.ended_at, reverse=True))
            return self._seen[1]

    def _make_room(self) -> None:
        stamp = _stamp(self._file)
        if stamp is not None and stamp[1] > MOST_BYTES:
            rename_over(self._file, self._old)


def now() -> float:
    return time.time()


def without_secrets(text: str) -> str:
    """`text` with every address in it cut down to host and path."""
    return _SECRET_PART.sub(r"\1\2", text)


def _ends_a_line(file: Any) -> bool:
    """False after a line that was cut off, by a `kill -9` or a full disk."""
    if file.seek(0, 2) == 0:
        return True
    file.seek(-1, 2)
    return bool(file.read(1) == b"\n")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> list[Past]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    pasts = (_from_line(line) for line in lines)
    return [past for past in pasts if past is not None]


def _to_data(past: Past) -> dict[str, Any]:
    return {
        "ended_at": round(past.ended_at, 3),
        "name": past.name,
        "file_name": past.file_name,
        "folder": past.folder,
        "sources": [without_secrets(source) for source in past.sources],
        "ending": past.ending.value,
        "size": past.size,
        "sha256": past.sha256,
        "proven": past.proven,
        "seconds": round(past.seconds, 3),
        "fetched": past.fetched,
        "problem": None if past.problem is None else to_data(past.problem, without_secrets),
    }


def _from_line(line: bytes) -> Past | None:
    """None for what is no entry: a torn line, or one by a later version that means something else."""
    try:
        data = json.loads(line)
        problem = data["problem"]
        past = Past(
            ended_at=float(data["ended_at"]),
            name=str(data["name"]),
            file_name=str(data["file_name"]),
            folder=str(data["folder"]),
            sources=tuple(str(source) for source in data["sources"]),
            ending=Ending(data["ending"]),
            size=None if data["size"] is None else int(data["size"]),
            sha256=None if data["sha256"] is None else str(data["sha256"]),
            proven=data["proven"] is True,
            seconds=float(data["seconds"]),
            fetched=int(data["fetched"]),
            problem=None if problem is None else from_data(problem),
        )
        time.localtime(past.ended_at)
    except (ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError):
        return None
    return past
