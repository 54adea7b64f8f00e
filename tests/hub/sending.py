"""The way of an answer onto the wire: pace, latency, framing, and the faults that take time or bytes."""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import select
import socket
import ssl
import sys
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import BinaryIO, Literal
from urllib.parse import urlsplit

from .faults import Fault, merge
from .messages import Answer, Headers, Request

if sys.platform == "linux":
    import fcntl
    import termios

_SLICE = 256 * 1024
"""Bytes handed to the system at once."""
_SLICES_PER_SECOND = 100
_CATCH_UP = 0.05
"""Seconds of sending that may be made up for after the scheduler was late."""
_DRAIN = 5.0
"""Seconds to wait for the last bytes to reach the client before a reset, which would throw them away."""


@dataclass(frozen=True)
class Link:
    """What the line is like; both rates are in body bytes per second, None is no limit."""

    rate_per_connection: float | None = None
    rate_total: float | None = None
    latency: float = 0.0
    """Seconds before the first byte of each answer."""


@dataclass
class Seen:
    """A request as it was recorded, and what was answered. It is there as soon as the request has been read."""

    server: Literal["hub", "cdn"]
    connection: int
    """Counts the connections of this server from 1."""
    method: str
    target: str
    """Path and query, still encoded."""
    headers: Mapping[str, str]
    """Names in lower case."""
    began: float = field(default_factory=time.monotonic)
    """Seconds, of the monotonic clock."""
    ended: float | None = None
    status: int = 0
    """0 as long as no status line was sent."""
    sent: int = 0
    """Body bytes handed to the system, before any coding; at most one slice of 256 KiB ahead of what it has taken."""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def authorization(self) -> str | None:
        return self.headers.get("authorization")


class HangUp(Exception):
    """The connection ends here."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("reset" if reset else "close")
        self.reset = reset


class SpeedMeter:
    """Holds senders to a rate. A delay of the scheduler is made up for; time in which nothing was sent is not."""

    def __init__(self, stopped: threading.Event) -> None:
        self._lock = threading.Lock()
        self._stopped = stopped
        self._bodies = 0
        self._free_at = time.monotonic()

    @contextlib.contextmanager
    def body(self) -> Iterator[None]:
        """Around the sending of one body. When none was under way, the time since the last is forgotten."""
        with self._lock:
            if not self._bodies:
                self._free_at = max(self._free_at, time.monotonic())
            self._bodies += 1
        try:
            yield
        finally:
            with self._lock:
                self._bodies -= 1

    def wait(self, count: int, rate: float | None) -> None:
        """Sleep until `count` more bytes may have gone at `rate` bytes per second."""
        if rate is None:
            return
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - _CATCH_UP) + count / rate
            delay = self._free_at - now
        if delay > 0.001 and self._stopped.wait(delay):
            raise HangUp(reset=False)


@dataclass
class HttpClient:
    """One connection, as far as answers go out through it."""

    socket: socket.socket
    own: SpeedMeter
    shared: SpeedMeter
    stopped: threading.Event
    carried: int = 0
    """Body bytes since it was opened."""

    def respond(self, answer: Answer, request: Request, fault: Fault, link: Link, seen: Seen) -> bool:
        """Send an answer with all that is wrong with it; True when the connection can carry another."""
        self._pause(link.latency + fault.delay)
        if fault.cut and fault.cut_after is None:
            raise HangUp(reset=fault.cut == "reset")
        headers = _headers(answer, fault, request)
        kept = request.keep_alive and ("Connection", "close") not in headers
        seen.status = answer.status
        self.socket.sendall(_head(answer.status, headers))
        if request.method != "HEAD":
            self._send_body(answer, fault, link, seen)
        return kept

    def _send_body(self, answer: Answer, fault: Fault, link: Link, seen: Seen) -> None:
        own_rate = _least(link.rate_per_connection, fault.rate)
        rate = _least(own_rate, link.rate_total)
        size = _SLICE if rate is None else max(1, min(_SLICE, int(rate / _SLICES_PER_SECOND)))
        cut_at = self._cut_at(fault)
        coder = _Coder(fault.coding)
        with answer.content.open() as source, self.own.body(), self.shared.body():
            for position, count in _steps(answer.length, size, {cut_at, fault.stall_after}):
                if position == cut_at:
                    self._hang_up(fault)
                if position == fault.stall_after:
                    self._pause(fault.stall)
                self.own.wait(count, own_rate)
                self.shared.wait(count, link.rate_total)
                self._send_slice(source, answer.start + position, count, fault, coder, seen)
        self._send_bytes(coder.last())

    def _cut_at(self, fault: Fault) -> int | None:
        if not fault.cut or fault.cut_after is None:
            return None
        return max(0, fault.cut_after - self.carried) if fault.cut_counts_connection else fault.cut_after

    def _send_slice(self, source: BinaryIO, offset: int, count: int, fault: Fault, coder: _Coder, seen: Seen) -> None:
        """Count first and correct afterwards, so that a client which has it all never finds less counted."""
        seen.sent += count
        left = count
        try:
            if coder.coding or _holds(fault.flipped, offset, count) or not self._can_send_files(source):
                source.seek(offset)
                self._send_bytes(coder.code(_flip(source.read(count), offset, fault.flipped)))
                left = 0
            while left:
                done = os.sendfile(self.socket.fileno(), source.fileno(), offset + count - left, left)
                if not done:
                    raise RuntimeError("the file to serve has become shorter")
                left -= done
        finally:
            seen.sent -= left
            self.carried += count - left

    def _can_send_files(self, source: BinaryIO) -> bool:
        in_memory = isinstance(source, io.BytesIO)
        return hasattr(os, "sendfile") and not in_memory and not isinstance(self.socket, ssl.SSLSocket)

    def _send_bytes(self, data: bytes) -> None:
        if data:
            self.socket.sendall(data)

    def _pause(self, seconds: float) -> None:
        """Sleep, unless the client or this server ends the connection meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            gone = left > 0.05 and select.select([self.socket], [], [], 0)[0]
            if gone or self.stopped.wait(min(left, 0.05)):
                raise HangUp(reset=False)

    def _hang_up(self, fault: Fault) -> None:
        if fault.cut == "reset":
            _drain(self.socket)
        raise HangUp(reset=fault.cut == "reset")


class _Coder:
    """Chunks and gzip, slice by slice."""

    def __init__(self, coding: str) -> None:
        self.coding = coding
        self._gzip = zlib.compressobj(1, wbits=31) if coding == "gzip" else None

    def code(self, data: bytes) -> bytes:
        return self._chunk(self._gzip.compress(data) if self._gzip else data)

    def last(self) -> bytes:
        return (self._chunk(self._gzip.flush() if self._gzip else b"") + b"0\r\n\r\n") if self.coding else b""

    def _chunk(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if data and self.coding else data


def _least(*rates: float | None) -> float | None:
    return min((rate for rate in rates if rate is not None), default=None)


def _headers(answer: Answer, fault: Fault, request: Request) -> Headers:
    """All headers of an answer, with the faults in them."""
    headers = merge((("Date", formatdate(usegmt=True)), *answer.framing()), answer.headers)
    ends_connection = not request.keep_alive
    if fault.coding:
        coding: Headers = (("Content-Encoding", "gzip"),) if fault.coding == "gzip" else ()
        headers = merge(_leave_out(headers, {"content-length"}), (("Transfer-Encoding", "chunked"), *coding))
    elif fault.length_error:
        headers = merge(headers, (("Content-Length", str(answer.length + fault.length_error)),))
        ends_connection = True
    elif "content-length" in fault.removed:
        ends_connection = True
    headers = _leave_out(headers, fault.removed)
    return (*headers, ("Connection", "close")) if ends_connection else headers


def _leave_out(headers: Headers, names: set[str] | frozenset[str]) -> Headers:
    return tuple((name, value) for name, value in headers if name.lower() not in names)


def _head(status: int, headers: Headers) -> bytes:
    lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _steps(length: int, size: int, stops: set[int | None]) -> Iterator[tuple[int, int]]:
    """Positions and counts that cover a body, broken at each stop; the last is the end with a count of 0."""
    position = 0
    while position < length:
        upto = min([position + size, length, *(stop for stop in stops if stop is not None and position < stop)])
        yield position, upto - position
        position = upto
    yield length, 0


def _holds(offsets: tuple[int, ...], offset: int, count: int) -> bool:
    return any(offset <= flipped < offset + count for flipped in offsets)


def _flip(data: bytes, offset: int, flipped: tuple[int, ...]) -> bytes:
    if not _holds(flipped, offset, len(data)):
        return data
    spoiled = bytearray(data)
    for position in flipped:
        if offset <= position < offset + len(data):
            spoiled[position - offset] ^= 0xFF
    return bytes(spoiled)


def _drain(connection: socket.socket) -> None:
    """Wait until the client's system has all that was sent (Linux: SIOCOUTQ of tcp(7); elsewhere a short while)."""
    if sys.platform != "linux":
        time.sleep(0.1)
        return
    until = time.monotonic() + _DRAIN
    while time.monotonic() < until:
        unsent = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
        if not int.from_bytes(unsent, sys.byteorder):
            return
        time.sleep(0.001)
