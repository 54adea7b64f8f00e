"""A proxy for https, as in a company: it opens tunnels (CONNECT) for those who give the right name and password."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from types import TracebackType

__all__ = ["Proxy"]

_CHUNK = 1 << 16


class Proxy:
    """Listens on loopback while its `with` block runs. `tunnels` are the addresses that it has opened, `HOST:PORT`."""

    def __init__(self, user: str, password: str) -> None:
        self._expected = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.tunnels: list[str] = []
        self.refused = 0
        """Requests that it has answered with 407."""

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self._server.getsockname()[1]}"

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            request = bytearray()
            while b"\r\n\r\n" not in request and (chunk := client.recv(_CHUNK)):
                request += chunk
            first, *lines = request.decode("latin-1").split("\r\n")
            headers = {
                name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            if headers.get("proxy-authorization") != self._expected:
                self.refused += 1
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
                return
            target = first.split()[1]
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port))) as server:
                self.tunnels.append(target)
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_relay, args=(server, client), daemon=True)
                back.start()
                _relay(client, server)
                back.join()


def _relay(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
