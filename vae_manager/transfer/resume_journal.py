"""Journal of a partial file: the byte ranges that are on the disk, the process that writes it, and its allocation.

The journal counts the bytes that the disk is known to hold, for which it waits for a sync. A note beside it counts the
bytes written since; it costs little, is written often, and is valid until the machine restarts. A killed process loses
no byte that it has written, but a power cut may lose those that are only in the note.

The journal also names the process that writes to the file. File locks are unreliable on network file systems, so a
partial file is resumed in place only if its last writer cannot write any more: a process of the same boot that has
ended. The bytes of any other writer are copied first, so that no other process has the verified and published file
open.

Sources are written kind by kind: one without a branch of its own would be read as a local file.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import secrets
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from ..catalogue.entry import (
    BucketSource,
    CivitaiSource,
    HttpsSource,
    HubSource,
    LocalSource,
    Source,
    bucket_source,
    safe_file_name,
)
from ..errors import Cancelled, DiskError
from ..files.disk import DISK_FULL_ERRORS, rename_over, retry_while_busy, write_error
from ..files.state_file import (
    UNREADABLE,
    DamagedError,
    bytes_of,
    hexadecimal,
    list_of,
    parse_json,
    path_of,
    report_damage,
    text,
    whole,
)
from ..messages import msg
from .request import DownloadRequest
from .urls import without_secrets

ByteRange = tuple[int, int]
ByteRanges = tuple[ByteRange, ...]

VERSION = 1

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""A file whose content changes with each boot (random(4)); only Linux has it."""

PROCESSES = Path("/proc")
"""Only Linux has it; elsewhere this process is the only one that is known to have ended."""
_RANDOM_ID = secrets.token_hex(8)

BLOCK_BYTES = 1 << 20

_positions = threading.Lock()


def add_range(byte_ranges: ByteRanges, start: int, end: int) -> ByteRanges:
    """Return `byte_ranges` with the bytes from `start` up to `end`.

    >>> add_range(((0, 10), (20, 30)), 10, 20)
    ((0, 30),)
    >>> add_range(((0, 10),), 15, 20)
    ((0, 10), (15, 20))
    """
    if start >= end:
        return byte_ranges
    before = [span for span in byte_ranges if span[1] < start]
    after = [span for span in byte_ranges if span[0] > end]
    touched = byte_ranges[len(before) : len(byte_ranges) - len(after)]
    joined = (min([start, *(span[0] for span in touched)]), max([end, *(span[1] for span in touched)]))
    return (*before, joined, *after)


def missing_ranges(byte_ranges: ByteRanges, total: int) -> ByteRanges:
    """Return the missing ranges of a file of `total` bytes.

    >>> missing_ranges(((5, 10),), 20)
    ((0, 5), (10, 20))
    """
    edges = [0, *(edge for span in byte_ranges for edge in span), total]
    return tuple((start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end)


def count_bytes(byte_ranges: Iterable[ByteRange]) -> int:
    """Return the number of bytes in the ranges."""
    return sum(end - start for start, end in byte_ranges)


def contiguous_end(byte_ranges: ByteRanges) -> int:
    """Return the number of bytes from the first one up to the first hole."""
    return byte_ranges[0][1] if byte_ranges and byte_ranges[0][0] == 0 else 0


def clip_ranges(byte_ranges: ByteRanges, size: int) -> ByteRanges:
    """Return the part of `byte_ranges` that lies in a file of `size` bytes.

    >>> clip_ranges(((0, 10), (20, 30)), 25)
    ((0, 10), (20, 25))
    """
    return tuple((start, min(end, size)) for start, end in byte_ranges if start < size)


def are_valid_ranges(byte_ranges: ByteRanges) -> bool:
    """Return False for impossible ranges, as in a damaged journal."""
    edges = [edge for span in byte_ranges for edge in span]
    apart = all(before < after for before, after in itertools.pairwise(edges))
    return apart and (not edges or edges[0] >= 0)


@dataclass(frozen=True)
class Journal:
    """The state of a partial file."""

    request: DownloadRequest
    sha256: str | None
    """The expected hash: the request's, or the hub's own."""
    total: int | None = None
    source: Source | None = None
    """The source of `etag`."""
    etag: str | None = None
    segments: ByteRanges = ()
    """The byte ranges that are there."""
    owner: str | None = None
    """The process that wrote them (see `current_process`)."""

    @property
    def done(self) -> int:
        """The number of bytes that are there."""
        return count_bytes(self.segments)

    def to_json(self) -> str:
        """Return the text for `read_journal`. It holds no query of an address, which may be a secret."""
        return json.dumps(
            {
                "version": VERSION,
                "file_name": self.request.file_name,
                "sources": [_source_to_data(source) for source in self.request.sources],
                "order_sha256": self.request.sha256,
                "order_size": self.request.size,
                "sha256": self.sha256,
                "total": self.total,
                "source": None if self.source is None else _source_to_data(self.source),
                "etag": self.etag,
                "segments": self.segments,
                "owner": self.owner,
            },
            indent=1,
        )


def read_journal(path: Path) -> Journal | None:
    """Return the journal; None if it is missing or invalid.

    A damaged journal is logged, and the download restarts at the next request.
    """
    try:
        written, _ = bytes_of(path)
        if written is None:
            return None
        data = parse_json(written)
        return _from_data(data, path.parent) if data["version"] == VERSION else None
    except (DamagedError, *UNREADABLE):
        message = msg(
            "{file}, the notes of an unfinished download, cannot be read. The download begins anew when it is asked "
            "for again.",
            file=path,
        )
        report_damage(path, message)
        return None


def redacted(source: Source) -> Source:
    """Return `source` as it may be stored: without the keys in its address."""
    return HttpsSource(without_secrets(source.url)) if isinstance(source, HttpsSource) else source


def _source_to_data(source: Source) -> dict[str, str | int | None]:
    if isinstance(source, HubSource):
        return {"hub": source.repo, "path": source.path, "revision": source.revision}
    if isinstance(source, HttpsSource):
        return {"https": without_secrets(source.url)}
    if isinstance(source, BucketSource):
        return {"bucket": str(source)}
    if isinstance(source, CivitaiSource):
        return {"civitai": source.version, "file": source.file}
    return {"local": str(source.path)}


def _source_from_data(data: dict[str, Any]) -> Source:
    if "hub" in data:
        revision = data["revision"]
        return HubSource(text(data["hub"]), text(data["path"]), None if revision is None else text(revision))
    if "https" in data:
        return HttpsSource(text(data["https"]))
    if "bucket" in data:
        return bucket_source(text(data["bucket"]))
    if "civitai" in data:
        return CivitaiSource(whole(data["civitai"]), _text(data["file"]))
    return LocalSource(path_of(data["local"]))


def _from_data(data: dict[str, Any], folder: Path) -> Journal:
    request = DownloadRequest(
        tuple(_source_from_data(one) for one in list_of(data["sources"])),
        folder,
        safe_file_name(text(data["file_name"])),
        _sha256(data["order_sha256"]),
        _number(data["order_size"]),
    )
    source = data["source"]
    segments = tuple((whole(start), whole(end)) for start, end in data["segments"])
    if not are_valid_ranges(segments):
        raise ValueError("segments that overlap")
    return Journal(
        request,
        _sha256(data["sha256"]),
        _number(data["total"]),
        None if source is None else _source_from_data(source),
        _etag(data["etag"]),
        segments,
        _text(data.get("owner")),
    )


def _text(value: object) -> str | None:
    return None if value is None else text(value)


def _sha256(value: object) -> str | None:
    return None if value is None else hexadecimal(value)


def _etag(value: object) -> str | None:
    """Return the ETag; None for one that is invalid in a header, in which it will be sent."""
    return value if isinstance(value, str) and value.isascii() and value.isprintable() else None


def _number(value: object) -> int | None:
    return None if value is None else whole(value)


@functools.cache
def boot_id() -> str | None:
    """Return an identifier of this boot of the machine; None if the system has no identifier."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None


def write_unsynced(path: Path, byte_ranges: ByteRanges) -> None:
    """Write the note of the written ranges."""
    new = path.with_name(path.name + ".new")
    retry_while_busy(lambda: new.unlink(missing_ok=True))  # left by a killed process, or a hard link to another file
    with new.open("x", encoding="utf-8") as file:
        file.write(json.dumps({"boot": boot_id(), "written": byte_ranges}))
    rename_over(new, path)


def read_unsynced(path: Path) -> ByteRanges:
    """Return the ranges of the note, if it is of this boot."""
    try:
        written, _ = bytes_of(path)
        data = parse_json(written or b"")
        byte_ranges = tuple((whole(start), whole(end)) for start, end in data["written"])
        return (
            byte_ranges if boot_id() is not None and data["boot"] == boot_id() and are_valid_ranges(byte_ranges) else ()
        )
    except (DamagedError, *UNREADABLE):
        return ()


def current_process() -> str:
    """Return a name of this process that no other process has, had or will have."""
    return _process_name(os.getpid()) or f"{_RANDOM_ID} {os.getpid()}"


def has_ended(owner: str | None) -> bool:
    """Return True if `owner`, named by `current_process`, is this process itself or has ended."""
    if owner is None:
        return False
    if owner == current_process():
        return True
    here, _, process = owner.rpartition(" ")
    pid = process.partition("-")[0]
    return here == _pid_namespace() and pid.isdecimal() and _process_name(int(pid)) != owner


def _pid_namespace() -> str | None:
    """Return a name of this boot and of the PID namespace (namespaces(7))."""
    run = boot_id()
    try:
        return f"{run} {(PROCESSES / 'self/ns/pid').readlink()}" if run is not None else None
    except OSError:
        return None


def _process_name(pid: int) -> str | None:
    """Return the name of a running process; numbers are reused, so the name contains its start time."""
    here = _pid_namespace()
    try:
        facts = (PROCESSES / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    after_name = facts.rpartition(")")[2].split()  # proc_pid_stat(5): the name before it may contain any character
    return f"{here} {pid}-{after_name[19]}" if here is not None and len(after_name) > 19 else None


def partial_write_error(folder: Path, error: OSError) -> DiskError:
    """Return the project's error for a failure to write a partial file to `folder`."""
    if error.errno in DISK_FULL_ERRORS:
        return DiskError(
            msg("{folder} is full. What has arrived is kept; make room and try again.", code="disk-full", folder=folder)
        )
    return write_error(folder, error)


def make_folder(folder: Path) -> None:
    """Create `folder` and its missing parents."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise partial_write_error(folder, error) from error


def hash_of(path: Path, stop: threading.Event) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(BLOCK_BYTES):
            if stop.is_set():
                raise Cancelled(msg("Stopped."))
            digest.update(block)
    return digest.hexdigest()


def copy_ranges(kept: FileIO, copy: FileIO, byte_ranges: ByteRanges, stop: threading.Event) -> None:
    """Copy the given ranges of a file to the same offsets in another."""
    for start, end in byte_ranges:
        kept.seek(start)
        while (left := end - kept.tell()) and (block := kept.read(min(BLOCK_BYTES, left))):
            if stop.is_set():
                raise Cancelled(msg("Stopped."))
            for _ in write_all_at(copy, kept.tell() - len(block), block):
                pass


def write_all_at(file: FileIO, offset: int, data: bytes) -> Iterator[int]:
    """Write `data` at `offset`, from any thread; yield the number of bytes after each write, which may be partial."""
    rest = memoryview(data)
    while rest:
        written = _write_at(file, offset, rest)
        yield written
        rest, offset = rest[written:], offset + written


def _write_at(file: FileIO, offset: int, data: memoryview) -> int:
    if sys.platform != "win32":
        return os.pwrite(file.fileno(), data, offset)
    with _positions:  # Windows has no pwrite, and all threads share the position
        file.seek(offset)
        return file.write(data)
