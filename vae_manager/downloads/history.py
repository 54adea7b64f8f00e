"""History of downloads: one line of JSON for each download that has ended, in `history.jsonl`.

Lines are only ever added, each in one write, so that several processes share the file and a `kill -9` costs only the
line that was being written. A file that has grown too long becomes `history.old.jsonl`, in place of the one before it:
both together are the history. It contains no secrets: of an address, no query and no user.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..files.disk import rename_over
from ..files.state_file import UNREADABLE, StateFile, finite, parse_json, text, whole
from ..library.verification import Reference
from ..messages import Message, from_data, to_data

if TYPE_CHECKING:
    from ..transfer import DownloadRequest, DownloadResult

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 256_000
"""Of one file; a line has some 600."""
MIN_SECONDS: Final = 0.001
"""Resolution of recorded times; a shorter time gives no speed."""
_QUERY: Final = re.compile(r"https?://[^?#]*\?[^#]", re.IGNORECASE)
_SECRET_PART: Final = re.compile(r"(https?://)(?:[^/\s@?#]*@)?([^\s?#]*)(?:[?#]\S*)?", re.IGNORECASE)


class DownloadOutcome(Enum):
    """The outcome of a download."""

    DELIVERED = "delivered"
    ALREADY_THERE = "already there"
    FAILED = "failed"
    CANCELLED = "cancelled"
    KEPT = "kept"
    """No download: the owner keeps the present bytes of a file."""


@dataclass(frozen=True)
class PastDownload:
    """A download that has ended."""

    ended_at: float
    """Seconds since 1970."""
    name: str
    """Of the VAE, or of its file."""
    file_name: str
    folder: str
    sources: tuple[str, ...]
    """The requested sources, without queries."""
    ending: DownloadOutcome
    size: int | None = None
    sha256: str | None = None
    proven: bool = False
    """The bytes are those of a published SHA-256."""
    seconds: float = 0.0
    """Duration without pauses."""
    fetched: int = 0
    """Bytes that came over the network in that time."""
    problem: Message | None = None
    """The reason of a failure, or the problem of a downloaded file."""
    taken_from: str | None = None
    """The path of the file of this machine that had the bytes; None for a download."""
    taken_as: str | None = None
    """A `transfer.Way`."""
    cut: tuple[str, ...] = ()
    """Those of `sources` that had a query: what is left of them was never asked for these bytes."""

    @property
    def speed(self) -> float | None:
        """Bytes per second, on average."""
        return self.fetched / self.seconds if self.fetched and self.seconds >= MIN_SECONDS else None


_WITH_BYTES: Final = (DownloadOutcome.DELIVERED, DownloadOutcome.ALREADY_THERE, DownloadOutcome.KEPT)


class History:
    """Ended downloads of all processes, newest first.

    Unreadable and unwritable entries are left out: a history never stops a download.
    """

    NAME: Final = "history.jsonl"
    """Its name in the data folder."""

    def __init__(self, file: Path) -> None:
        self._file = StateFile(file, _past_downloads, parse=bytes)
        self._old = StateFile(file.with_name(f"{file.stem}.old{file.suffix}"), _past_downloads, parse=bytes)
        self._lock = threading.Lock()
        self._seen: tuple[PastDownload, ...] = ()
        self._is_read = False

    def add(self, past: PastDownload) -> None:
        """Append one line, its addresses without queries and users; an OSError is logged and costs the entry."""
        with self._lock:
            try:
                self._make_room()
                self._file.append(json.dumps(_to_data(past)).encode("ascii") + b"\n")
            except OSError as error:
                logger.warning("%s cannot be written: %s", self._file.path, error)
            self._is_read = False

    def entries(self) -> tuple[PastDownload, ...]:
        """Return all entries, newest first. The files are read again only when they have changed."""
        with self._lock:
            if not self._is_read or self._file.has_changed or self._old.has_changed:
                found = [*self._old.items(_as_it_is), *self._file.items(_as_it_is)]
                self._seen = tuple(sorted(found, key=lambda past: past.ended_at, reverse=True))
                self._is_read = True
            return self._seen

    def _make_room(self) -> None:
        self._file.guard()
        with suppress(FileNotFoundError):
            if self._file.path.stat().st_size > MAX_BYTES:
                self._old.guard()
                rename_over(self._file.path, self._old.path)


def _as_it_is(past: PastDownload | None) -> PastDownload | None:
    return past


def now() -> float:
    """Return the wall-clock time in seconds since 1970, for `PastDownload.ended_at`."""
    return time.time()


def without_secrets(text: str) -> str:
    """Return `text` with every address in it cut down to host and path."""
    return _SECRET_PART.sub(r"\1\2", text)


def cut_sources(texts: Iterable[str]) -> tuple[str, ...]:
    """Return what `without_secrets` leaves of the addresses with a query; not what is there without a query too."""
    all_texts = list(texts)
    whole_ones = {without_secrets(text) for text in all_texts if not _QUERY.match(text)}
    cut = (without_secrets(text) for text in all_texts if _QUERY.match(text))
    return tuple(dict.fromkeys(text for text in cut if text not in whole_ones))


def _past_downloads(data: bytes) -> list[PastDownload | None]:
    """Return a record for each line; None for an unreadable line, which stays in the file.

    Raises `ValueError` if no line can be read.
    """
    pasts = [_from_line(line) for line in data.splitlines() if line.strip()]
    if pasts and not any(pasts):
        raise ValueError("no history")
    return pasts


def _to_data(past: PastDownload) -> dict[str, Any]:
    return {
        "ended_at": round(past.ended_at, 3),
        "name": past.name,
        "file_name": past.file_name,
        "folder": past.folder,
        "sources": [without_secrets(source) for source in past.sources],
        "cut": list(dict.fromkeys([*past.cut, *cut_sources(past.sources)])),
        "ending": past.ending.value,
        "size": past.size,
        "sha256": past.sha256,
        "proven": past.proven,
        "seconds": round(past.seconds, 3),
        "fetched": past.fetched,
        "problem": None if past.problem is None else to_data(past.problem, without_secrets),
        "taken_from": past.taken_from,
        "taken_as": past.taken_as,
    }


def _from_line(line: bytes) -> PastDownload | None:
    """Return None for an invalid entry: a torn line, or one by a later version with another meaning."""
    try:
        data = parse_json(line)
        problem = data["problem"]
        past = PastDownload(
            ended_at=finite(data["ended_at"]),
            name=text(data["name"]),
            file_name=text(data["file_name"]),
            folder=text(data["folder"]),
            sources=tuple(text(source) for source in data["sources"]),
            ending=DownloadOutcome(data["ending"]),
            size=None if data["size"] is None else whole(data["size"]),
            sha256=None if data["sha256"] is None else text(data["sha256"]),
            proven=data["proven"] is True,
            seconds=max(0.0, finite(data["seconds"])),
            fetched=whole(data["fetched"]),
            problem=None if problem is None else from_data(problem),
            taken_from=_text_or_none(data.get("taken_from")),
            taken_as=_text_or_none(data.get("taken_as")),
            cut=tuple(text(source) for source in data.get("cut", ())),
        )
        time.strftime("%Y-%m-%d %H:%M", time.localtime(past.ended_at))
    except UNREADABLE:
        return None
    return past


def _text_or_none(value: object) -> str | None:
    return None if value is None else text(value)


def references_of(history: Iterable[PastDownload]) -> dict[Path, Reference]:
    """Return the bytes that each path should have: those that its newest delivery proved, or that its owner keeps.

    A newer delivery without a proof ends the older one's: the path has another file since then.
    """
    found: dict[Path, Reference | None] = {}
    for past in sorted(history, key=lambda past: past.ended_at):
        if past.ending in _WITH_BYTES and past.sha256 is not None:
            is_kept = past.ending is DownloadOutcome.KEPT
            reference = Reference(past.sha256.lower(), is_kept) if past.proven or is_kept else None
            found[Path(past.folder) / past.file_name] = reference
    return {path: reference for path, reference in found.items() if reference is not None}


def kept_version(path: Path, sha256: str, size: int) -> PastDownload:
    """Return the entry of a file whose owner keeps its present bytes, whatever was downloaded to its path."""
    return PastDownload(
        ended_at=now(),
        name=path.name,
        file_name=path.name,
        folder=str(path.parent.absolute()),
        sources=(),
        ending=DownloadOutcome.KEPT,
        size=size,
        sha256=sha256,
    )


def past_delivery(request: DownloadRequest, delivery: DownloadResult) -> PastDownload:
    """Return the entry of a file that has come outside of the queue, with the sources that its bytes have."""
    sources = request.sources if request.sha256 is not None or delivery.source is None else (delivery.source,)
    texts = [str(source) for source in sources]
    return PastDownload(
        ended_at=now(),
        name=request.file_name,
        file_name=request.file_name,
        folder=str(request.folder.absolute()),  # a later command may run in another folder
        sources=tuple(map(without_secrets, texts)),
        ending=DownloadOutcome.ALREADY_THERE if delivery.already_there else DownloadOutcome.DELIVERED,
        size=delivery.size,
        sha256=delivery.sha256,
        proven=delivery.proven,
        fetched=delivery.fetched,
        taken_from=str(delivery.taken.path) if delivery.taken is not None else None,
        taken_as=delivery.taken.way if delivery.taken is not None else None,
        cut=cut_sources(texts),
    )
