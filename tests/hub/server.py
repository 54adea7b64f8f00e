"""One listening server: connections, records, scripts of faults. What it serves is given to it as a function."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from .faults import Fault, Script, fault_for
from .messages import Answer, Request, read_request
from .sending import HangUp, HttpClient, Link, Seen, SpeedMeter

_SEND_BUFFER = 256 * 1024
"""Bytes. Small enough that what a killed client never read is little, large enough for a fast loopback."""
_RESET_ON_CLOSE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""SO_LINGER, on, 0 s: close() then sends a reset (socket(7))."""


class Server:
    """An HTTP/1.1 server on a loopback address that answers with `route` and fails as it is told to."""

    def __init__(
        self,
        name: Literal["hub", "cdn"],
        host: str,
        port: int,
        route: Callable[[Request], Answer],
        link: Link,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.name = name
        self.link = link
        """May be replaced at any time; answers that have begun keep the old one."""
        self.connections = 0
        """Connections accepted since the start."""
        self.peak = 0
        """The most connections that were open at once."""
        self.stopped = threading.Event()
        self.shared_pace = SpeedMeter(self.stopped)
        self._route = route
        self._changed = threading.Condition()
        self._seen: list[Seen] = []
        self._scripts: list[Script] = []
        self._open: set[socket.socket] = set()
        self._errors: list[BaseException] = []
        self._listener = _Listener((_loopback(host), port), self, tls)
        self.address = f"{'https' if tls else 'http'}://{host}:{self._listener.server_address[1]}"
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,), name=f"test {name}")

    # -- life ----------------------------------------------------------------------------------------------------
    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Cut every connection, wait for the threads, and raise what went wrong in them."""
        self.stopped.set()
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open, timeout=5.0)
        if self._errors:
            raise self._errors[0]

    # -- what happened -------------------------------------------------------------------------------------------
    @property
    def requests(self) -> list[Seen]:
        """All requests so far, in the order in which they were read; those under way still change."""
        with self._changed:
            return list(self._seen)

    def sent(self, path: str = "") -> int:
        """Body bytes sent so far for paths that contain this part; "" is all."""
        return sum(seen.sent for seen in self.requests if path in seen.path)

    def settle(self, timeout: float = 5.0) -> None:
        """Wait until no answer is under way (seconds), so that the counts are final."""
        with self._changed:
            idle = self._changed.wait_for(lambda: all(seen.ended for seen in self._seen), timeout)
        if not idle:
            raise TimeoutError(f"the {self.name} is still answering after {timeout} s")

    # -- what goes wrong -----------------------------------------------------------------------------------------
    def fail_next(
        self, *faults: Fault | None, method: str | None = None, path: str = "", covering: int | None = None
    ) -> None:
        """Each of the next requests that match meets one of these, in order; None lets one pass."""
        self._add(Script(deque(faults), None, method, path, covering))

    def fail_always(
        self, fault: Fault, *, method: str | None = None, path: str = "", covering: int | None = None
    ) -> None:
        """Every request that matches meets this, until `repair`."""
        self._add(Script(deque(), fault, method, path, covering))

    def repair(self) -> None:
        """Nothing goes wrong any more."""
        with self._changed:
            self._scripts.clear()

    def _add(self, script: Script) -> None:
        with self._changed:
            self._scripts.append(script)

    # -- what the connections call -------------------------------------------------------------------------------
    def opened(self, connection: socket.socket) -> int:
        if self.stopped.is_set():
            raise ConnectionAbortedError("the server has stopped")
        with self._changed:
            self._open.add(connection)
            self.connections += 1
            self.peak = max(self.peak, len(self._open))
            return self.connections

    def closed(self, connection: socket.socket) -> None:
        with self._changed:
            self._open.discard(connection)
            self._changed.notify_all()

    def answer(self, request: Request, wire: HttpClient, number: int) -> bool:
        """Record a request and answer it; True when the connection can carry another."""
        seen = Seen(self.name, number, request.method, request.target, request.headers)
        with self._changed:
            self._seen.append(seen)
            fault = fault_for(self._scripts, request)
        try:
            distorted = fault.distort(request)
            return wire.respond(fault.spoil(self._route(distorted), distorted), request, fault, self.link, seen)
        finally:
            with self._changed:
                seen.ended = time.monotonic()
                self._changed.notify_all()

    def failed(self, error: BaseException) -> None:
        self._errors.append(error)


class _Listener(socketserver.ThreadingTCPServer):
    """Accepts connections, one thread each."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], server: Server, tls: ssl.SSLContext | None) -> None:
        self.server = server
        self._tls = tls
        super().__init__(address, _Connection)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls:
            # The handshake is left to the connection's own thread, so that a slow client holds nobody up.
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Errors that `_Connection` lets through are mistakes of this server or requests that it cannot read."""


class _Connection(socketserver.BaseRequestHandler):
    """The life of one connection."""

    server: _Listener
    request: socket.socket

    def handle(self) -> None:
        server = self.server.server
        wire = HttpClient(self.request, SpeedMeter(server.stopped), server.shared_pace, server.stopped)
        reset = False
        try:
            number = server.opened(self.request)
            with self.request.makefile("rb") as reader:
                while (request := read_request(reader)) and server.answer(request, wire, number):
                    pass
        except HangUp as hang_up:
            reset = hang_up.reset
        except OSError:
            pass  # the client has gone, or distrusts our certificate: what it then does is the test's matter
        except Exception as error:
            server.failed(error)
        finally:
            if reset:
                # Closed here and now: socketserver would send an orderly end first.
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                self.request.close()
            server.closed(self.request)


def _loopback(host: str) -> str:
    """The IPv4 address of a host name, refused unless it is a loopback address."""
    address = socket.gethostbyname(host)
    if not ipaddress.ip_address(address).is_loopback:
        raise ValueError(f"{host} is {address}, and this server listens on loopback addresses only")
    return address
