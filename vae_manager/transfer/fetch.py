"""One stream of bytes: from a location, after the kept bytes, into the partial file."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..catalogue.sources import LocalSource
from ..errors import IntegrityError, NetworkError, NotFoundError, TransientNetworkError
from ..sentences import megabytes, say
from .addresses import host
from .disk import check_room
from .journal import Journal
from .locate import Location, shown_source
from .partial import Partial
from .pump import pumped
from .wire import CHUNK, Wire, body, status_error

if TYPE_CHECKING:
    from requests import Response

MOST_BYTES = 20_000_000_000
"""The end of a body whose size nobody knows."""
CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")
PAGE = re.compile(rb"\s*<(!doctype html|html|head|script)", re.IGNORECASE)
POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class Opened:
    """A body that is about to come."""

    start: int
    """Which byte of the file its first one is."""
    total: int | None
    """Bytes of the whole file."""
    etag: str | None = None
    is_page: bool = False
    head: bytes = b""


def fetch(
    wire: Wire,
    location: Location,
    journal: Journal,
    partial: Partial,
    *,
    start: int,
    tick: Callable[[int, int | None], None],
    stop: threading.Event,
) -> None:
    """Bring what is missing from `start` on into `partial`. What arrives stays, however this ends.

    `journal` is what is known of the file; `tick` is told how many bytes have come (0 now and then while none come)
    and how many the file has.
    """
    opened: Opened | None = None
    with closing(pumped(lambda: _stream(wire, location, start, journal.etag), stop)) as items:
        try:
            for item in items:
                if isinstance(item, Opened):
                    opened, data = item, item.head
                    journal = _begin(item, location, journal, partial)
                else:
                    data = item or b""
                if data:
                    _limit(partial.done + len(data), journal.total, location, partial)
                    partial.write(data)
                if partial.is_checkpoint_due():
                    partial.checkpoint()
                tick(len(data), journal.total)
        except BaseException:
            with suppress(OSError, TransientNetworkError):
                partial.checkpoint()
            raise
    if opened is None or (journal.total is not None and partial.done < journal.total):
        partial.checkpoint()
        raise TransientNetworkError(say("{source} broke off too early.", source=shown_source(location.source)))


def _begin(opened: Opened, location: Location, journal: Journal, partial: Partial) -> Journal:
    """Look at what is about to come and make the partial file ready for it."""
    _look_at(opened, location)
    for known in (journal.order.size, location.size):
        if None not in (known, opened.total) and known != opened.total:
            raise IntegrityError(
                say(
                    "{source} has {size} bytes, and {file} has {expected}. Nothing of it is used.",
                    source=shown_source(location.source),
                    size=opened.total,
                    file=journal.order.file_name,
                    expected=known,
                )
            )
    total = opened.total if opened.total is not None else journal.total
    journal = replace(journal, total=total, etag=opened.etag, source=location.source)
    if partial.is_open and opened.start == partial.done:
        partial.describe(journal)
    else:
        partial.start_over(journal)
    if total is not None:
        check_room(journal.order.folder, total - partial.done)
    return journal


def _look_at(opened: Opened, location: Location) -> None:
    source = shown_source(location.source)
    if opened.is_page or PAGE.match(opened.head):
        raise IntegrityError(
            say(
                "A web page came instead of the file, from {source}. Perhaps this network wants you to sign in first "
                "(hotel, campus), or the address is that of a page. Nothing of it is used.",
                source=source,
            )
        )
    if opened.head.startswith(POINTER):
        raise IntegrityError(
            say(
                "Only a Git LFS pointer came instead of the file, from {source}. Ask for the file itself (an address "
                "with “resolve” in it, not “raw”). Nothing of it is used.",
                source=source,
            )
        )


def _limit(done: int, total: int | None, location: Location, partial: Partial) -> None:
    limit = MOST_BYTES if total is None else total
    if done > limit:
        partial.throw_away()
        raise IntegrityError(
            say(
                "{source} does not stop sending after {size}. Nothing of it is used.",
                source=shown_source(location.source),
                size=megabytes(limit),
            )
        )


def _stream(wire: Wire, location: Location, start: int, etag: str | None) -> Generator[Opened | bytes, None, None]:
    if isinstance(location.source, LocalSource):
        return _copy(location.source.path, start)
    return _download(wire, location, start, etag)


def _copy(path: Path, start: int) -> Generator[Opened | bytes, None, None]:
    try:
        with path.open("rb") as file:
            file.seek(start)
            yield Opened(start, path.stat().st_size, head=file.read(CHUNK))
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError:
        raise NotFoundError(say("{path} cannot be read.", path=path)) from None


def _download(wire: Wire, location: Location, start: int, etag: str | None) -> Generator[Opened | bytes, None, None]:
    response = _get(wire, location, start, etag)
    try:
        opened = _interpret(response, location, start)
        if opened is None:
            response.close()
            response = _get(wire, location, 0, None)
            opened = _interpret(response, location, 0)
        if opened is None:
            raise NetworkError(say("{host} answers with a part that nobody asked for.", host=host(location.address)))
        if opened.start == start and response.status_code == 416:
            yield opened
            return
        chunks = body(response, location.address)
        yield replace(opened, head=next(chunks, b""))
        yield from chunks
    finally:
        response.close()


def _get(wire: Wire, location: Location, start: int, etag: str | None) -> Response:
    headers = dict(location.headers)
    if start:
        headers["Range"] = f"bytes={start}-"
        if etag is not None:
            headers["If-Range"] = etag
    return wire.follow(location.address, headers)


def _interpret(response: Response, location: Location, start: int) -> Opened | None:
    """Read the head of an answer; None: what it has is not what follows the kept bytes, so ask for the whole."""
    status, headers = response.status_code, response.headers
    if status == 416 or (status == 206 and not start):
        complete = start > 0 and _content_range(response) == (None, start)
        return Opened(start, start) if complete else None
    if status not in (200, 206):
        raise _refusal(response, location)
    if headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise NetworkError(say("{host} sends the file compressed, unasked.", host=host(location.address)))
    etag = headers.get("ETag")
    opened = Opened(
        0,
        _length(response),
        etag if etag and not etag.startswith("W/") else None,
        "html" in headers.get("Content-Type", "").lower(),
    )
    if status == 200:
        return opened
    first, total = _content_range(response)
    if first != start:
        return None
    if total is None and opened.total is not None:
        total = start + opened.total
    return replace(opened, start=start, total=total)


def _length(response: Response) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isdecimal() and "Transfer-Encoding" not in response.headers else None


def _content_range(response: Response) -> tuple[int | None, int | None]:
    """Return where a part starts and how long the whole is."""
    match = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    first, total = match.groups() if match else (None, None)
    return (int(first) if first else None), (int(total) if total and total != "*" else None)


def _refusal(response: Response, location: Location) -> NetworkError | NotFoundError:
    status, name = response.status_code, host(location.address)
    if location.expires and 400 <= status < 500 and status != 429:
        return TransientNetworkError(
            say("{host} refuses the address that the hub has just given ({status}).", host=name, status=status)
        )
    if status in (404, 410):
        return NotFoundError(say("There is no file at {source}.", source=shown_source(location.source)))
    if status in (401, 403):
        return NetworkError(
            say(
                "{source} may not be fetched without signing in ({status}).",
                source=shown_source(location.source),
                status=status,
            )
        )
    return status_error(response, location.address)
