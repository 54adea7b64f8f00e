"""What can go wrong, as plain data.

A `Fault` spoils one response. Faults combine with `|`, and a `Script` says which requests meet them::

    hub.cdn.fail_next(Fault.reset_after(1_000_000), None, Fault.status(503, retry_after=2))
    hub.cdn.fail_always(Fault.trickle(500) | Fault.chunked())
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import reduce
from operator import or_
from typing import Literal

from .content import Content
from .messages import Answer, Headers, Request, asked_range, page, ranged

PORTAL = b"<!DOCTYPE html><html><body><h1>Welcome to the hotel's network</h1>Please log in.</body></html>"
EXPIRED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
_ENDLESS = 1 << 62
"""An offset that no file reaches."""


@dataclass(frozen=True)
class Fault:
    """What one response does wrong. The default does nothing wrong; make one with the functions below."""

    code: int | None = None
    """The status to answer with, without the body that was asked for."""
    body: bytes | None = None
    """Sent with `code`."""
    added: Headers = ()
    """Headers to add or replace. `{target}` stands for the request's path and query, `{size}` for the file's size."""
    removed: frozenset[str] = frozenset()
    """Headers to leave out, names in lower case."""
    other: Content | None = None
    """Another content than the right one, with its own ETag, length and ranges."""
    filler: bytes = b""
    """Repeated in place of the right bytes, under the right headers."""
    flipped: tuple[int, ...] = ()
    """Offsets in the file of bytes to flip, wherever a range covers them."""
    ignores_range: bool = False
    shift: int = 0
    """Bytes between the start that was asked for and the one that is served."""
    shift_admitted: bool = True
    """Whether Content-Range tells of the shift."""
    length_error: int = 0
    """Bytes by which Content-Length is too long, or too short when negative."""
    coding: Literal["", "chunked", "gzip"] = ""
    delay: float = 0.0
    """Seconds before the status line."""
    stall_after: int | None = None
    """Body bytes before a stall."""
    stall: float = 0.0
    """Seconds; after them the body goes on."""
    rate: float | None = None
    """Bytes per second at most."""
    cut: Literal["", "reset", "close"] = ""
    cut_after: int | None = None
    """Body bytes before the cut; None cuts before the status line."""
    cut_counts_connection: bool = False
    """Count `cut_after` over all that the connection has carried, not over this response alone."""

    def __or__(self, other: Fault) -> Fault:
        """Both at once; where both set the same thing, the right one wins, and headers and flips add up."""
        merged = {f.name: getattr(other, f.name) for f in fields(Fault) if getattr(other, f.name) != f.default}
        merged["added"] = self.added + other.added
        merged["removed"] = self.removed | other.removed
        merged["flipped"] = self.flipped + other.flipped
        return replace(self, **merged)

    # -- the connection ------------------------------------------------------------------------------------------
    @staticmethod
    def reset_after(count: int, *, per_connection: bool = False) -> Fault:
        """A TCP reset after exactly `count` body bytes of this response, or of all that the connection carries."""
        return Fault(cut="reset", cut_after=count, cut_counts_connection=per_connection)

    @staticmethod
    def close_after(count: int, *, per_connection: bool = False) -> Fault:
        """The same with an orderly end of the connection."""
        return Fault(cut="close", cut_after=count, cut_counts_connection=per_connection)

    @staticmethod
    def reset_before_headers() -> Fault:
        return Fault(cut="reset")

    @staticmethod
    def close_before_headers() -> Fault:
        return Fault(cut="close")

    @staticmethod
    def late(seconds: float) -> Fault:
        """Nothing at all for so long, then a right answer."""
        return Fault(delay=seconds)

    @staticmethod
    def stall_at(count: int, seconds: float = 600.0) -> Fault:
        """Nothing for so long after `count` body bytes; it ends early when the client hangs up."""
        return Fault(stall_after=count, stall=seconds)

    @staticmethod
    def trickle(bytes_per_second: float) -> Fault:
        return Fault(rate=bytes_per_second)

    # -- status and headers --------------------------------------------------------------------------------------
    @staticmethod
    def status(code: int, *, retry_after: float | str | None = None, headers: Headers = (), body: bytes = b"") -> Fault:
        """An answer with no file in it; `retry_after` is in seconds or an HTTP date."""
        retry: Headers = () if retry_after is None else (("Retry-After", f"{retry_after}"),)
        return Fault(code=code, body=body, added=retry + headers)

    @staticmethod
    def rate_limited(seconds: int) -> Fault:
        """429 as the hub sends it (draft-ietf-httpapi-ratelimit-headers-09, as huggingface_hub 1.x reads it)."""
        limits = (
            ("RateLimit", f'"resolvers";r=0;t={seconds}'),
            ("RateLimit-Policy", '"fixed window";"resolvers";q=3000;w=300'),
        )
        return Fault.status(429, headers=limits)

    @staticmethod
    def expired() -> Fault:
        """403 as a CDN answers for a signed address whose time is over."""
        return Fault(code=403, body=EXPIRED, added=(("Content-Type", "application/xml"),))

    @staticmethod
    def portal() -> Fault:
        """200 and a log-in page, whatever was asked for: a captive portal."""
        return Fault(code=200, body=PORTAL, added=(("Content-Type", "text/html"),))

    @staticmethod
    def redirect(location: str, status: int = 302) -> Fault:
        """A redirect; `{target}` in the location is the request's own path and query, so that alone it is a loop."""
        return Fault(code=status, body=b"", added=(("Location", location),))

    @staticmethod
    def unsatisfiable(content_range: str | None = "bytes */{size}") -> Fault:
        """416 with this Content-Range, or with none; `{size}` is the file's right size."""
        added: Headers = () if content_range is None else (("Content-Range", content_range),)
        return Fault(code=416, body=b"", added=added)

    @staticmethod
    def with_headers(*headers: tuple[str, str]) -> Fault:
        return Fault(added=headers)

    @staticmethod
    def many_headers(count: int = 150) -> Fault:
        return Fault(added=tuple((f"X-Padding-{number}", "x") for number in range(count)))

    @staticmethod
    def large_header(size: int = 70_000) -> Fault:
        return Fault(added=(("X-Padding", "x" * size),))

    @staticmethod
    def without(*names: str) -> Fault:
        """Leave headers out, as mirrors do; without Content-Length the connection's end ends the body."""
        return Fault(removed=frozenset(name.lower() for name in names))

    # -- the body ------------------------------------------------------------------------------------------------
    @staticmethod
    def range_ignored() -> Fault:
        """200 and the whole file for a request that asked for a part."""
        return Fault(ignores_range=True)

    @staticmethod
    def other_start(shift: int, *, admitted: bool = True) -> Fault:
        """206 from `shift` bytes further on (or back); Content-Range says so, or claims what was asked for."""
        return Fault(shift=shift, shift_admitted=admitted)

    @staticmethod
    def length_off(difference: int) -> Fault:
        """A Content-Length that is too long by so much, or too short when negative; then the connection ends."""
        return Fault(length_error=difference)

    @staticmethod
    def chunked() -> Fault:
        return Fault(coding="chunked")

    @staticmethod
    def gzip() -> Fault:
        """Content-Encoding: gzip, asked for or not, chunked, with no Content-Length."""
        return Fault(coding="gzip")

    @staticmethod
    def flip(*offsets: int) -> Fault:
        return Fault(flipped=offsets)

    @staticmethod
    def other_content(data: bytes) -> Fault:
        """The content has changed: other bytes under another ETag."""
        return Fault(other=Content(data))

    @staticmethod
    def filled(pattern: bytes = PORTAL) -> Fault:
        """The right headers over a body made of the pattern: a segment replaced by HTML, say."""
        return Fault(filler=pattern)

    # -- what it does to a request and to its answer -------------------------------------------------------------
    def distort(self, request: Request) -> Request:
        """The request as the faulty server understands it."""
        return request.without("range", "if-range") if self.ignores_range else request

    def spoil(self, answer: Answer, request: Request) -> Answer:
        """The answer as it is sent; `removed`, `length_error` and all that takes time are left to the sender."""
        if self.other is not None:
            answer = ranged(request, self.other, f'"{self.other.sha256}"')
        size = answer.content.size
        if self.code is not None:
            answer = page(self.code, self.body or b"", "text/plain")
        answer = self._shifted(answer)
        if self.filler:
            answer = _refilled(answer, self.filler)
        added = tuple(
            (name, value.replace("{target}", request.target).replace("{size}", str(size))) for name, value in self.added
        )
        return replace(answer, headers=merge(answer.headers, added))

    def _shifted(self, answer: Answer) -> Answer:
        if not self.shift or answer.status != 206:
            return answer
        start = min(max(0, answer.start + self.shift), answer.content.size - 1)
        if self.shift_admitted:
            return replace(answer, start=start, stop=max(answer.stop, start + 1))
        start = min(start, answer.content.size - answer.length)
        headers = merge(answer.headers, answer.framing())
        return replace(answer, start=start, stop=start + answer.length, headers=headers)


def _refilled(answer: Answer, pattern: bytes) -> Answer:
    """The same headers, with a body of the same length that repeats a pattern."""
    data = (pattern * (answer.length // len(pattern) + 1))[: answer.length]
    headers = merge(answer.headers, answer.framing())
    return replace(answer, content=Content(data), start=0, stop=answer.length, headers=headers)


def merge(headers: Headers, added: Headers) -> Headers:
    """Headers with others added; a name that is there already is replaced."""
    names = {name.lower() for name, _ in added}
    return tuple((name, value) for name, value in headers if name.lower() not in names) + added


@dataclass
class Script:
    """Which requests meet which faults."""

    faults: deque[Fault | None]
    """One for each request that matches, in order; None lets a request pass."""
    then: Fault | None = None
    """What every later one meets."""
    method: str | None = None
    path: str = ""
    """A part of the request's path."""
    covering: int | None = None
    """Only requests whose range holds this offset of the file."""

    def matches(self, request: Request) -> bool:
        if self.method not in (None, request.method) or self.path not in request.path:
            return False
        start, stop = asked_range(request, _ENDLESS) or (0, _ENDLESS)
        return self.covering is None or start <= self.covering < stop

    def take(self) -> Fault | None:
        return self.faults.popleft() if self.faults else self.then


def fault_for(scripts: Iterable[Script], request: Request) -> Fault:
    """All that this request meets, in one; each script that matches moves on by one."""
    met = (script.take() for script in scripts if script.matches(request))
    return reduce(or_, (fault for fault in met if fault is not None), Fault())
