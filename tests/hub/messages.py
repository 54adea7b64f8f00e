"""A request, an answer, and byte ranges (RFC 9110, section 14). Pure: nothing here touches a socket."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

from .content import Content

Headers = tuple[tuple[str, str], ...]

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_LONGEST_LINE = 1 << 16
_NOTHING = Content(b"")


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    target: str
    """Path and query, still encoded."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""
    keep_alive: bool = True

    @property
    def path(self) -> str:
        """The target without its query, still encoded."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def token(self) -> str | None:
        """What stands behind `Authorization: Bearer`."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    def without(self, *names: str) -> Request:
        return replace(self, headers={name: value for name, value in self.headers.items() if name not in names})


@dataclass(frozen=True)
class Answer:
    """An answer before anything goes wrong with it: the body is `content[start:stop]`."""

    status: int
    headers: Headers = ()
    content: Content = _NOTHING
    start: int = 0
    stop: int = 0

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return self.stop - self.start

    def framing(self) -> Headers:
        """The headers that follow from what is sent."""
        framing: Headers = (("Content-Length", str(self.length)),)
        if self.status == 206:
            framing += (("Content-Range", f"bytes {self.start}-{self.stop - 1}/{self.content.size}"),)
        return framing


def read_request(reader: BinaryIO) -> Request | None:
    """The next request of a connection, or None when the client has hung up."""
    line = reader.readline(_LONGEST_LINE).decode("latin-1")
    if not line.strip():
        return None
    method, target, version = line.split()
    parsed = http.client.parse_headers(reader)
    headers = {name.lower(): value for name, value in parsed.items()}
    body = reader.read(int(headers.get("content-length", 0)))
    keep_alive = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
    return Request(method, target, headers, body, keep_alive)


def page(status: int, body: bytes, content_type: str, headers: Headers = ()) -> Answer:
    """An answer whose body is a few bytes made on the spot."""
    return Answer(status, (("Content-Type", content_type), *headers), Content(body), 0, len(body))


def ranged(request: Request, content: Content, etag: str, headers: Headers = ()) -> Answer:
    """Serve a content: 200, 206 for one range, or 416 with `bytes */size`.

    A range is honoured only if `If-Range` is absent or repeats the ETag (RFC 9110, 13.1.5). A header that asks for
    several ranges, or cannot be read, is ignored, which the same document allows (14.2).
    """
    headers = (("Accept-Ranges", "bytes"), ("ETag", etag), *headers)
    bounds = asked_range(request, content.size)
    if bounds is None or request.headers.get("if-range", etag) != etag:
        return Answer(200, headers, content, 0, content.size)
    start, stop = bounds
    if start >= stop:
        return page(416, b"", "text/plain", (("Content-Range", f"bytes */{content.size}"), *headers))
    return Answer(206, headers, content, start, stop)


def asked_range(request: Request, size: int) -> tuple[int, int] | None:
    """The first byte and the byte after the last of the one range asked for, or None when the whole is meant.

    An empty range (start >= stop) is one that cannot be satisfied.
    """
    match = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if match is None or match.group() == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size
