"""The opening of a body at a place: what is asked for, and what the answer is."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...catalogue.entry import BucketSource, LocalSource
from ...errors import ExpiredAddressError, IntegrityError, NetworkError, NotFoundError
from ...sentences import say
from ..sources import bucket
from ..sources.location import Location, shown_source
from ..wire.http_client import Wire, reader, status_error
from ..wire.urls import host

if TYPE_CHECKING:
    from requests import Response

CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
PAGE = re.compile(rb"\s*<(!doctype html|html|head|script)", re.IGNORECASE)
POINTER = b"version https://git-lfs.github.com/spec/"
HEAD = 1 << 14
"""Bytes that are read at once to see what has come."""


@dataclass
class Body:
    """A body that is about to come."""

    start: int
    """Which byte of the file its first one is."""
    end: int | None
    """Where it ends; None: nobody says."""
    total: int | None
    """Bytes of the whole file."""
    read: Callable[[int], bytes]
    """Gives the next bytes, about so many at most; b"" is the end."""
    close: Callable[[], None]
    abort: Callable[[], None] = lambda: None
    """Ends a read that another thread waits in, where the system can do that."""
    etag: str | None = None
    is_part: bool = False
    """The source gives parts when it is asked for them."""
    is_page: bool = False
    head: bytes = b""
    """The first bytes, which `read` does not give again."""


def open_at(wire: Wire, location: Location, start: int, end: int | None, etag: str | None) -> Body | None:
    """Ask for the bytes from `start` up to `end` (None: all that follow), or for the whole if both are 0 and None.

    Returns None if what came is neither that part nor the whole: the whole can then be asked for. `etag` is what the
    kept bytes are of: the whole comes if it has changed.
    """
    if isinstance(location.source, LocalSource):
        return _with_head(_open_file(location.source.path, start, end))
    if isinstance(location.source, BucketSource):
        return _with_head(_open_object(location.source, start, end))
    response = _get(wire, location, start, end, etag)
    try:
        body = _interpret(response, location, start)
        if body is None or (body.start == start and response.status_code == 416):
            response.close()
            return body
        return _with_head(body)
    except BaseException:
        response.close()
        raise


def refuse_misfit(body: Body, location: Location) -> None:
    """Raise `IntegrityError` if what came is a web page or a pointer, and no file."""
    misfit = _misfit(body)
    source = shown_source(location.source)
    if misfit == "page":
        raise IntegrityError(
            say(
                "A web page came instead of the file, from {source}. Perhaps this network wants you to sign in first "
                "(hotel, campus), or the address is that of a page. Nothing of it is used.",
                source=source,
            )
        )
    if misfit == "pointer":
        raise IntegrityError(
            say(
                "Only a Git LFS pointer came instead of the file, from {source}. Ask for the file itself (an address "
                "with “resolve” in it, not “raw”). Nothing of it is used.",
                source=source,
            )
        )


def _misfit(body: Body) -> str | None:
    """Tell what came in place of a file: "page", "pointer", or None."""
    if body.is_page or PAGE.match(body.head):
        return "page"
    return "pointer" if body.start == 0 and body.head.startswith(POINTER) else None


def _with_head(body: Body) -> Body:
    wanted = HEAD if body.end is None else min(HEAD, body.end - body.start)
    return replace(body, head=body.read(wanted) if wanted else b"")


def _open_file(path: Path, start: int, end: int | None) -> Body:
    try:
        file = path.open("rb")
        file.seek(start)
        total = path.stat().st_size
    except OSError:
        raise NotFoundError(say("{path} cannot be read.", path=path)) from None

    def read(count: int) -> bytes:
        try:
            return file.read(count)
        except OSError:
            raise NotFoundError(say("{path} cannot be read.", path=path)) from None

    return Body(start, total, total, read, file.close, is_part=end is not None)


def _open_object(source: BucketSource, start: int, end: int | None) -> Body:
    total, chunks = bucket.open_at(source, start, end)
    stops = total if end is None else min(end, total)
    return Body(start, stops, total, lambda _: next(chunks, b""), lambda: None, is_part=end is not None)


def _get(wire: Wire, location: Location, start: int, end: int | None, etag: str | None) -> Response:
    headers = dict(location.headers)
    if start or end is not None:
        headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        if etag is not None:
            headers["If-Range"] = etag
    return wire.follow(location.address, headers)


def _interpret(response: Response, location: Location, start: int) -> Body | None:
    """Read the head of an answer."""
    status, headers = response.status_code, response.headers
    if status == 416:
        complete = start > 0 and _content_range(response) == (None, None, start)
        return Body(start, start, start, lambda _: b"", response.close, is_part=True) if complete else None
    if status not in (200, 206):
        raise _refusal(response, location)
    if headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise NetworkError(say("{host} sends the file compressed, unasked.", host=host(location.address)))
    etag = headers.get("ETag")
    length = _length(response)
    body = Body(
        0,
        length,
        length,
        reader(response, location.address),
        response.close,
        _abort(response),
        etag if etag and not etag.startswith("W/") else None,
        is_page="html" in headers.get("Content-Type", "").lower(),
    )
    if status == 200:
        return body
    first, end, total = _content_range(response)
    if first != start or end is None:
        return None
    return replace(body, start=start, end=end, total=total, is_part=True)


def _abort(response: Response) -> Callable[[], None]:
    shutdown = getattr(response.raw, "shutdown", None)  # urllib3 has it from 2.3 on

    def abort() -> None:
        if shutdown is not None:
            with suppress(OSError, ValueError, RuntimeError):
                shutdown()

    return abort


def _length(response: Response) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isdecimal() and "Transfer-Encoding" not in response.headers else None


def _content_range(response: Response) -> tuple[int | None, int | None, int | None]:
    """Return where a part starts, where it ends (the byte after its last), and how long the whole is."""
    match = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    first, last, total = match.groups() if match else (None, None, None)
    return (
        int(first) if first else None,
        int(last) + 1 if last else None,
        int(total) if total and total != "*" else None,
    )


def _refusal(response: Response, location: Location) -> NetworkError | NotFoundError:
    status, name = response.status_code, host(location.address)
    if location.expires and 400 <= status < 500 and status not in (408, 425, 429):
        return ExpiredAddressError(
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
