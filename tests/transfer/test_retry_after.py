"""Waiting time that a server asks for, in any form and with any clock. Real sockets."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vae_manager.catalogue import HttpsSource
from vae_manager.transfer import DownloadRequest, Network, download_file
from vae_manager.transfer.http_client import HttpClient
from vae_manager.transfer.request import retry_after_of

HOUR = 3600
DATA = b"the bytes of a file" * 1000

Headers = list[tuple[str, str]]


@contextmanager
def server(first: Headers, *, refusals: int = 1) -> Iterator[str]:
    """A server that answers 503 with these headers, so many times, and then with the file."""
    left = [refusals]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            refused = left[0] > 0
            left[0] -= 1
            body = b"" if refused else DATA
            self.send_response_only(503 if refused else 200)
            for name, value in first if refused else []:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_address[1]}/file.safetensors"
        finally:
            running.shutdown()
            thread.join()


def asked(headers: Headers) -> float | None:
    """The wait that is read from an answer with these headers."""
    with server(headers) as address:
        wire = HttpClient(Network())
        try:
            response = wire.ask("GET", address, {})
            response.close()
            return retry_after_of(response.headers)
        finally:
            wire.close()


def at(seconds: float) -> str:
    return formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize("off", [-HOUR, HOUR, -24 * HOUR, 400 * 24 * HOUR])
def test_date_counts_from_the_servers_own_clock(off: float) -> None:
    wait = asked([("Date", at(off)), ("Retry-After", at(off + 7))])
    assert wait == pytest.approx(7, abs=1.1)


def test_download_goes_on_though_the_servers_clock_is_an_hour_ahead(tmp_path: Path) -> None:
    with server([("Date", at(HOUR)), ("Retry-After", at(HOUR + 1))]) as address:
        order = DownloadRequest((HttpsSource(address),), tmp_path, "file.safetensors", hashlib.sha256(DATA).hexdigest())
        download_file(order, network=Network(), report=lambda _: None, stop=threading.Event())
    assert (tmp_path / "file.safetensors").read_bytes() == DATA


@pytest.mark.parametrize("date", [None, "yesterday", "Sun, 99 Foo 2026 99:99:99 GMT"])
def test_without_a_date_of_the_server_our_clock_counts(date: str | None) -> None:
    dated = [("Date", date)] if date is not None else []
    assert asked([*dated, ("Retry-After", at(5))]) == pytest.approx(5, abs=1.1)


LIMITED = ("RateLimit", '"resolvers";r=0;t=42')


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ([("Retry-After", "3")], 3.0),
        ([("Retry-After", " 3 ")], 3.0),
        ([("Retry-After", "1.5")], 1.5),
        ([("Retry-After", "0")], 0.0),
        ([("Retry-After", "-5")], None),
        ([("Retry-After", "soon")], None),
        ([("Retry-After", "")], None),
        ([("Retry-After", "nan")], None),
        ([("Retry-After", "inf")], None),
        ([("Retry-After", "\u0663".encode().decode("latin-1"))], None),
        ([("Retry-After", "9" * 400)], float("inf")),
        ([("Retry-After", "Fri, 31 Dec 9999 23:59:59 -2359")], None),
        ([("Retry-After", "Mon, 01 Jan 0001 00:00:00 +2300")], None),
        ([("Retry-After", "Mon, 01 Jan 2001 00:00:00 GMT")], 0.0),
        ([LIMITED], 42.0),
        ([("Retry-After", "soon"), LIMITED], 42.0),
        ([("Retry-After", "3"), LIMITED], 3.0),
        ([("Retry-After", "3"), ("Retry-After", "5")], 5.0),
        ([("RateLimit", f'"resolvers";r=0;t={"9" * 400}')], float("inf")),
    ],
    ids=repr,
)
def test_odd_forms(headers: Headers, wanted: float | None) -> None:
    found = asked(headers)
    if wanted is None:
        # A date beyond what a clock can hold may also count as far away: it is never an exception.
        assert found is None or found > HOUR or found == 0.0
    else:
        assert found == wanted


def test_seconds_and_a_date_together_mean_the_longer_wait() -> None:
    both: Mapping[str, str] = {"Retry-After": f"3, {at(60)}"}
    assert asked(list(both.items())) == pytest.approx(60, abs=1.1)
