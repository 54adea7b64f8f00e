"""A client that hides nothing: raw bytes over a socket, for what a library would smooth over."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    """All that came back for one request."""

    status: int = 0
    """0 when the connection ended before a status line."""
    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    """Still chunked or compressed, if it was."""
    end: Literal["closed", "reset", "silent"] = "closed"
    """How it ended: in order, by a reset, or not within the time-out."""


def fetch(url: str, *, method: str = "GET", timeout: float = 5.0, **headers: str) -> Reply:
    """Send one request on a connection of its own and read until that ends; `if_range="x"` sends `If-Range: x`."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=timeout) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        data, end = _read_all(connection)
    return _parse(data, end)


def _read_all(connection: socket.socket) -> tuple[bytes, Literal["closed", "reset", "silent"]]:
    data = bytearray()
    end: Literal["closed", "reset", "silent"] = "reset"
    with contextlib.suppress(ConnectionResetError):
        try:
            while block := connection.recv(65536):
                data += block
            end = "closed"
        except TimeoutError:
            end = "silent"
    return bytes(data), end


def _parse(data: bytes, end: Literal["closed", "reset", "silent"]) -> Reply:
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        return Reply(end=end)
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return Reply(int(first.split()[1]), {name.lower(): value for name, _, value in pairs}, body, end)
