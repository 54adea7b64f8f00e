"""Range requests, and the division of a file into segments."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..catalogue.entry import BucketSource, LocalSource
from ..errors import ExpiredAddressError, IntegrityError, NetworkError, NotFoundError, VaeManagerError
from ..files.inspection import LFS_POINTER, WEB_PAGE
from ..messages import msg
from . import buckets
from .http_client import HttpClient, count_of, reader, unpacking_reader
from .refusals import is_explained, status_error
from .resolved_url import ResolvedUrl, shown_source
from .resume_journal import ByteRanges
from .urls import host, origin

if TYPE_CHECKING:
    from requests import Response


MIN_SEGMENT_BYTES = 2 << 20
"""Bytes of the smallest segment: a smaller one is not worth a request."""
USUAL_SEGMENT_BYTES, MAX_SEGMENT_BYTES = 4 << 20, 16 << 20
"""Bytes of a segment if requests cost no time, and of the largest: the contiguous end may lag so far per connection."""
FIRST_SEGMENT_BYTES = 4 << 20
"""Bytes of the first segment of a file whose size is known only from the answer."""
ASSUMED_SPEED = 20_000_000
"""Bytes per second that are assumed for a connection before its first measurement."""
MIN_SPEED_SECONDS = 0.3
"""Seconds of data before a connection's speed is measurable."""
MIN_SEGMENT_SECONDS = 0.01
"""Least seconds of a segment, at the measured speed."""
MIN_LATENCIES, WANTED_LATENCIES = 4, 10
"""Least and wanted duration of a segment, as multiples of the wait for its first byte."""
SLOW_FACTOR = 8
"""Factor to the fastest connection at which a slow one loses its whole segment to a free one."""

FIRST_CONNECTIONS = 4
GROWTH_FACTOR = 8
"""Factor by which the connections grow: one step from the first number to the usual maximum."""
WINDOW = 0.03
"""Least seconds over which the speed of a number of connections is measured."""
MAX_WINDOW = 1.0
MIN_WINDOW_BYTES = 2_000_000
"""Bytes after which a measurement may end early."""
MIN_GAIN = 1.1
"""Least speed-up by more connections, as a factor, at which they are kept."""

MODEL_BEGINNING = re.compile(rb".{7}\x00\{|PK\x03\x04|\x80[\x02-\x05]|GGUF", re.DOTALL)
"""How a file of a model begins: safetensors (a length of 8 bytes, then JSON), a zip or a pickle of torch, GGUF."""
NO_RANGES = frozenset({400, 501})
"""Statuses of servers that refuse a range instead of ignoring it (RFC 9110, 14.2)."""
UNPACKED_CODINGS = frozenset({"gzip", "x-gzip", "deflate"})
"""Codings that some servers apply although no request asks for one (Accept-Encoding: identity)."""
CONTENT_RANGE = re.compile(r"bytes (?:([0-9]{1,19})-([0-9]{1,19})|\*)/([0-9]{1,19}|\*)")
HEAD = 1 << 14
"""Bytes of the first read, by which the content is recognised."""


@dataclass(eq=False)
class Segment:
    """The byte range of one connection, from `at` up to `end`."""

    at: int
    end: int | None
    """None: up to the end of the body, which is unknown."""
    began: float | None = None
    """Time of the first byte, on the caller's clock."""
    start: int = field(init=False)

    def __post_init__(self) -> None:
        self.start = self.at

    @property
    def left(self) -> int | None:
        """Bytes that have not arrived yet; None if the end is unknown."""
        return None if self.end is None else self.end - self.at

    def speed(self, now: float) -> float | None:
        """Return bytes per second; None before it is measurable."""
        if self.began is None or now - self.began < MIN_SPEED_SECONDS:
            return None
        return (self.at - self.start) / (now - self.began)


@dataclass
class Segments:
    """The missing bytes: the waiting ranges, and the segments that connections are fetching."""

    waiting: list[tuple[int, int]]
    active: list[Segment] = field(default_factory=list)
    _latest: float = 0.0
    """The speed of the last finished segments: a slow one is detected by it even when it is the only one left."""

    @classmethod
    def of(cls, missing: ByteRanges) -> Segments:
        """Make them from the ranges that are missing, before any connection has one."""
        return cls(list(missing))

    def take(self, ways: int, now: float, quick: float = 0.0) -> Segment | None:
        """Return a segment for one of `ways` connections; None: no segment is worth a request.

        `quick` is the number of seconds that any request takes before its first byte: a segment that takes less than a
        few times that is not worth a request.
        """
        speeds = [speed for segment in self.active if (speed := segment.speed(now)) is not None]
        fastest = max([*speeds, self._latest])
        segment = self._next(ways, int(quick * (fastest or ASSUMED_SPEED)))
        if segment is None and fastest and self.active:
            segment = self._half_of_the_slowest(now, fastest, quick)
        if segment is not None:
            self.active.append(segment)
        return segment

    def give_back(self, segment: Segment, now: float) -> None:
        """Return the rest of `segment` to the waiting ranges."""
        if segment not in self.active:
            return
        self.active.remove(segment)
        if segment.began is not None and segment.at > segment.start:
            speed = (segment.at - segment.start) / max(now - segment.began, MIN_SEGMENT_SECONDS)
            self._latest = max(speed, self._latest / 2)  # a slow segment does not become the reference
        if segment.end is not None and segment.at < segment.end:
            self.waiting.append((segment.at, segment.end))
            self.waiting.sort()

    def _next(self, ways: int, lost: int) -> Segment | None:
        """Cut off the next segment; `lost` is the number of bytes that could arrive while a request waits."""
        if not self.waiting:
            return None
        start, end = self.waiting[0]
        fair = sum(stop - begin for begin, stop in self.waiting) // ways
        least = max(MIN_SEGMENT_BYTES, MIN_LATENCIES * lost)
        size = max(least, min(fair, MAX_SEGMENT_BYTES, max(USUAL_SEGMENT_BYTES, WANTED_LATENCIES * lost)))
        if end - start < size + least:
            del self.waiting[0]
            return Segment(start, end)
        self.waiting[0] = (start + size, end)
        return Segment(start, start + size)

    def _half_of_the_slowest(self, now: float, usual: float, quick: float) -> Segment | None:
        def seconds_left(segment: Segment) -> float:
            speed = segment.speed(now)
            return (segment.left or 0) / max(usual if speed is None else speed, 1.0)

        slowest = max(self.active, key=seconds_left)
        left, speed, end = slowest.left or 0, slowest.speed(now), slowest.end
        is_slow = speed is not None and speed * SLOW_FACTOR < usual
        if (
            end is None
            or not left
            or not (is_slow or (left >= MIN_SEGMENT_BYTES and seconds_left(slowest) > MIN_LATENCIES * quick))
        ):
            return None
        slowest.end = slowest.at if is_slow else slowest.at + left // 2
        return Segment(slowest.end, end)


@dataclass
class ConcurrencyController:
    """The wanted number of connections, from the measured speed with fewer.

    The number is one until the first answer shows that the source supports ranges, then `FIRST_CONNECTIONS`, then
    `GROWTH_FACTOR` times as many each time, up to `most`, as long as that brings `MIN_GAIN` times the bytes per second;
    otherwise it returns to the previous number.
    """

    most: int
    wanted: int = 1
    _speed: float = 0.0
    _before: int = FIRST_CONNECTIONS
    _since: float | None = None
    _done: int = 0
    _doubted: bool = False
    _settled: bool = False

    @property
    def is_growing(self) -> bool:
        """True while more connections are being tried; the scheduler then checks at shorter intervals."""
        return not self._settled and self.wanted > 1

    def open_up(self) -> None:
        """Allow several connections: the source supports ranges."""
        self.wanted = min(FIRST_CONNECTIONS, self.most)

    def stay_at(self, count: int) -> None:
        """Stop at `count`: a connection was refused or brought no bytes. The limit never grows."""
        self.most = self.wanted = max(1, min(count, self.wanted))
        self._settled = True

    def update(self, now: float, done: int, running: int, quick: float) -> None:
        """Record that `done` bytes have come until `now`, and that `running` connections are fetching more.

        `quick` is the number of seconds that a request takes before its first byte.
        """
        if not self.is_growing or running < self.wanted:
            self._since = None
            return
        if self._since is None:
            self._since, self._done = now, done
            return
        span, came = now - self._since, done - self._done
        if span < max(WINDOW, quick / 2) or (came < MIN_WINDOW_BYTES and span < MAX_WINDOW):
            return
        speed = came / span
        if speed < MIN_GAIN * self._speed:
            # one measurement may have fallen into a pause of the line
            self._settled, self._doubted = self._doubted, True
            self._since = None
            if self._settled:
                self.wanted = self._before
            return
        self._speed, self._since, self._doubted, self._before = speed, None, False, self.wanted
        self._settled = self.wanted == self.most
        self.wanted = min(GROWTH_FACTOR * self.wanted, self.most)


@dataclass
class Body:
    """The body of an answer, before it is read."""

    start: int
    """Offset in the file of its first byte."""
    end: int | None
    """Offset of its end; None: unknown."""
    total: int | None
    """Bytes of the whole file."""
    read: Callable[[int], bytes]
    """Returns the next bytes, about so many at most; b"" is the end."""
    close: Callable[[], None]
    abort: Callable[[], None] = lambda: None
    """Ends a read that another thread waits in, if the system can do that."""
    etag: str | None = None
    is_part: bool = False
    """The source supports ranges."""
    is_labelled_page: bool = False
    """The server calls it a web page, which some do with any file."""
    head: bytes = b""
    """The first bytes, which `read` does not return again."""
    address: str | None = field(default=None, repr=False)
    """The address that gave them, after all redirects; it may be signed. None for what is not fetched by HTTP."""

    def direct(self, location: ResolvedUrl) -> ResolvedUrl:
        """Return `location`, which has given this body, without its redirects; the new address may expire."""
        if self.address is None or self.address == location.address:
            return location
        headers = location.headers if origin(self.address) == origin(location.address) else {}
        return replace(location, address=self.address, headers=headers, expires=True)


def open_range(client: HttpClient, location: ResolvedUrl, start: int, end: int | None, etag: str | None) -> Body | None:
    """Request the bytes from `start` up to `end` (None: to the end), or the whole if both are 0 and None.

    Returns None if the answer is neither that part nor the whole; the caller can then request the whole. `etag` is that
    of the kept bytes: the source sends the whole if it has changed.
    """
    if isinstance(location.source, LocalSource):
        return _with_head(_open_file(location.source.path, start, end))
    if isinstance(location.source, BucketSource):
        return _with_head(_open_object(location.source, start, end))
    response = _get(client, location, start, end, etag)
    try:
        body = _interpret(response, location, start)
        if body is None or (body.start == start and response.status_code == 416):
            response.close()
            return body
        return _with_head(body)
    except BaseException:
        response.close()
        raise


def refuse_misfit(body: Body, location: ResolvedUrl) -> None:
    """Raise `IntegrityError` if the answer is a web page or an LFS pointer instead of a file."""
    misfit = _misfit(body)
    source = shown_source(location.source)
    if misfit == "page":
        raise IntegrityError(
            msg(
                "A web page came instead of the file, from {source}. Perhaps this network wants you to sign in first "
                "(hotel, campus), or the address is that of a page. Nothing of it is used.",
                code="web-page",
                source=source,
            )
        )
    if misfit == "pointer":
        raise IntegrityError(
            msg(
                "Only a Git LFS pointer came instead of the file, from {source}. Ask for the file itself (an address "
                "with “resolve” in it, not “raw”). Nothing of it is used.",
                code="lfs-pointer",
                source=source,
            )
        )


def _misfit(body: Body) -> str | None:
    """Return the kind of an answer that is no file: "page", "pointer", or None."""
    is_page = body.is_labelled_page and body.start == 0 and not MODEL_BEGINNING.match(body.head)
    if is_page or WEB_PAGE.match(body.head):
        return "page"
    return "pointer" if body.start == 0 and body.head.startswith(LFS_POINTER) else None


def _with_head(body: Body) -> Body:
    wanted = HEAD if body.end is None else min(HEAD, body.end - body.start)
    return replace(body, head=body.read(wanted) if wanted else b"")


def _open_file(path: Path, start: int, end: int | None) -> Body:
    try:
        file = path.open("rb")
        file.seek(start)
        total = path.stat().st_size
    except OSError:
        raise NotFoundError(msg("{path} cannot be read.", code="unreadable", path=path)) from None

    def read(count: int) -> bytes:
        try:
            return file.read(count)
        except OSError:
            raise NotFoundError(msg("{path} cannot be read.", code="unreadable", path=path)) from None

    return Body(start, total, total, read, file.close, is_part=end is not None)


def _open_object(source: BucketSource, start: int, end: int | None) -> Body:
    total, chunks = buckets.open_bucket_range(source, start, end)
    stops = total if end is None else min(end, total)
    return Body(start, stops, total, lambda _: next(chunks, b""), lambda: None, is_part=end is not None)


def _get(client: HttpClient, location: ResolvedUrl, start: int, end: int | None, etag: str | None) -> Response:
    headers = dict(location.headers)
    if start or end is not None:
        headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        if etag is not None:
            headers["If-Range"] = etag
    return client.follow(location.address, headers)


def _interpret(response: Response, location: ResolvedUrl, start: int) -> Body | None:
    """Return the body that the headers of an answer describe."""
    status, headers = response.status_code, response.headers
    if status == 416:
        complete = start > 0 and _content_range(response) == (None, None, start)
        return Body(start, start, start, lambda _: b"", response.close, is_part=True) if complete else None
    if status in NO_RANGES and response.request.headers.get("Range"):
        return None
    if status not in (200, 206):
        raise _refusal(response, location)
    coding = headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        if coding not in UNPACKED_CODINGS or not location.is_hash_known:
            raise NetworkError(
                msg("{host} sends the file compressed, unasked.", code="compressed-answer", host=host(location.address))
            )
        if status == 206:
            return None  # a part of the compressed bytes
        unpacked = unpacking_reader(reader(response, location.address), location.address)
        return Body(0, None, None, unpacked, response.close, _abort(response))
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
        is_labelled_page="html" in headers.get("Content-Type", "").lower(),
        address=response.url,
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
    return count_of(value) if "Transfer-Encoding" not in response.headers else None


def _content_range(response: Response) -> tuple[int | None, int | None, int | None]:
    """Return the start of a part, its end (the byte after its last), and the length of the whole."""
    match = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    first, last, total = match.groups() if match else (None, None, None)
    return (
        int(first) if first else None,
        int(last) + 1 if last else None,
        int(total) if total and total != "*" else None,
    )


def _refusal(response: Response, location: ResolvedUrl) -> VaeManagerError:
    status, name = response.status_code, host(location.address)
    if location.expires and 400 <= status < 500 and status not in (408, 425, 429):
        return ExpiredAddressError(
            msg(
                "{host} refuses the address that the hub has just given ({status}).",
                code="address-refused",
                host=name,
                status=status,
            )
        )
    if status in (404, 410):
        return NotFoundError(
            msg("There is no file at {source}.", code="no-such-file", source=shown_source(location.source))
        )
    if status in (401, 403) and not is_explained(response):
        return NetworkError(
            msg(
                "{source} may not be fetched without signing in ({status}).",
                code="sign-in-needed",
                source=shown_source(location.source),
                status=status,
            )
        )
    return status_error(response, location.address)
