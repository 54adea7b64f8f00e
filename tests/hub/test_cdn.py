"""What the two servers do when nothing is wrong: redirects, ranges, addresses, counts, limits."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from . import Hub, Link
from .__main__ import named_file, rate
from .server import Server
from .shelf import Shelf
from .wire import Reply, fetch

REPO = "owner/repo"
DATA = bytes(range(256)) * 400


@pytest.fixture(params=["memory", "disk"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> bytes | Path:
    if request.param == "memory":
        return DATA
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    return path


def resolve(hub: Hub, path: str = "file.bin") -> Reply:
    return fetch(f"{hub.endpoint}/{REPO}/resolve/main/{path}", method="HEAD")


def test_a_large_file_is_a_redirect_to_the_cdn(hub: Hub) -> None:
    file = hub.add(REPO, "file.bin", DATA, revision="b" * 40)
    reply = resolve(hub)
    assert reply.status == 302
    assert reply.body == b""
    assert reply.headers["x-repo-commit"] == "b" * 40
    assert reply.headers["x-linked-etag"] == f'"{file.oid}"'
    assert reply.headers["x-linked-size"] == str(len(DATA))
    assert reply.headers["content-length"] != str(len(DATA))
    location = urlsplit(reply.headers["location"])
    assert location.hostname != urlsplit(hub.endpoint).hostname
    there = fetch(reply.headers["location"])
    assert (there.status, there.body) == (200, DATA)
    assert there.headers["etag"] != reply.headers["x-linked-etag"]
    assert not [name for name in there.headers if name.startswith("x-")]


def test_a_small_file_is_a_relative_redirect(hub: Hub) -> None:
    hub.add(REPO, "a b.json", DATA[:50], lfs=False)
    hub.site.needs_query = True
    reply = resolve(hub, "a%20b.json")
    assert reply.status == 307
    location = reply.headers["location"]
    assert location.startswith("/api/resolve-cache/models/owner/repo/")
    there = fetch(hub.endpoint + location, range="bytes=10-19")
    assert (there.status, there.body) == (206, DATA[10:20])
    assert len(there.headers["etag"]) == 42
    assert fetch(hub.endpoint + location.partition("?")[0]).status == 400


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=100-", 100, len(DATA)),
        ("bytes=-7", len(DATA) - 7, len(DATA)),
        ("bytes=5-99999999", 5, len(DATA)),
        ("bytes=-99999999", 0, len(DATA)),
    ],
)
def test_ranges(hub: Hub, data: bytes | Path, asked: str, start: int, stop: int) -> None:
    reply = fetch(hub.publish("/plain.bin", data), range=asked)
    assert reply.status == 206
    assert reply.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(DATA)}"
    assert reply.headers["content-length"] == str(stop - start)
    assert reply.body == DATA[start:stop]


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=-", "bytes=9-3", "lines=1-2", "bytes=x-"])
def test_ranges_that_are_ignored(hub: Hub, asked: str) -> None:
    reply = fetch(hub.publish("/plain.bin", DATA), range=asked)
    assert (reply.status, reply.body) == (200, DATA)


@pytest.mark.parametrize("asked", [f"bytes={len(DATA)}-", "bytes=999999999-", "bytes=-0"])
def test_ranges_that_cannot_be_satisfied(hub: Hub, asked: str) -> None:
    reply = fetch(hub.publish("/plain.bin", DATA), range=asked)
    assert (reply.status, reply.body) == (416, b"")
    assert reply.headers["content-range"] == f"bytes */{len(DATA)}"


def test_if_range(hub: Hub) -> None:
    url = hub.publish("/plain.bin", DATA)
    etag = fetch(url, method="HEAD").headers["etag"]
    assert fetch(url, range="bytes=5-6", if_range=etag).status == 206
    assert fetch(url, range="bytes=5-6", if_range=f"W/{etag}").status == 200
    assert fetch(url, range="bytes=5-6", if_range='"other"').body == DATA


def test_addresses_expire(hub: Hub) -> None:
    hub.add(REPO, "file.bin", DATA)
    location = resolve(hub).headers["location"]
    assert fetch(location.partition("?")[0]).status == 403
    assert fetch(location.replace("Signature=", "Signature=0")).status == 403
    assert fetch(location).status == 200
    hub.expire_addresses()
    assert fetch(location).status == 403
    hub.limit_addresses(0.05)
    location = resolve(hub).headers["location"]
    time.sleep(0.1)
    assert fetch(location).status == 403


def test_requests_are_recorded(hub: Hub) -> None:
    url = hub.publish("/plain.bin", DATA, content_type="text/x-test")
    reply = fetch(url + "?a=1", range="bytes=1-10", authorization="Bearer hf_x")
    assert reply.headers["content-type"] == "text/x-test"
    fetch(f"{hub.endpoint}/nothing/here")
    hub.settle()
    first, second = hub.requests
    assert (first.server, first.method, first.path, first.target) == ("cdn", "GET", "/plain.bin", "/plain.bin?a=1")
    assert (first.status, first.sent, first.authorization) == (206, 10, "Bearer hf_x")
    assert first.headers["range"] == "bytes=1-10"
    assert (second.server, second.status, second.authorization) == ("hub", 404, None)
    assert hub.cdn.sent("plain") == 10
    assert hub.cdn.sent("other") == 0


def test_connections_are_kept_alive(hub: Hub) -> None:
    hub.publish("/plain.bin", DATA)
    address = urlsplit(hub.cdn.address).netloc
    connection = http.client.HTTPConnection(address, timeout=5)
    for method in ("GET", "HEAD", "GET"):
        connection.request(method, "/plain.bin")
        assert len(connection.getresponse().read()) == (0 if method == "HEAD" else len(DATA))
    connection.close()
    hub.settle()
    assert [seen.connection for seen in hub.cdn.requests] == [1, 1, 1]
    assert (hub.cdn.connections, hub.cdn.peak) == (1, 1)


def timed(*calls: Callable[[], Reply]) -> float:
    """Seconds for all the calls, made at once."""
    threads = [threading.Thread(target=call) for call in calls]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - began


def test_limits_of_the_line(hub: Hub, data: bytes | Path) -> None:
    """102,400 bytes; the upper bounds are wide, for busy machines, the lower ones are what a limit must hold."""
    url = hub.publish("/plain.bin", data)
    hub.cdn.link = Link(rate_per_connection=500_000)
    assert 0.19 < timed(*[lambda: fetch(url)] * 3) < 1.0
    hub.cdn.link = Link(rate_total=1_000_000)
    assert 0.29 < timed(*[lambda: fetch(url)] * 3) < 1.2
    hub.cdn.link = Link(latency=0.2)
    assert 0.19 < timed(*[lambda: fetch(url)] * 3) < 1.0
    assert hub.cdn.peak == 3


def test_idle_time_is_not_made_up_for(hub: Hub) -> None:
    """A pause between two answers on a connection earns no faster second one."""
    hub.publish("/plain.bin", DATA)
    hub.cdn.link = Link(rate_per_connection=500_000)
    connection = http.client.HTTPConnection(urlsplit(hub.cdn.address).netloc, timeout=5)
    for _ in range(2):
        began = time.monotonic()
        connection.request("GET", "/plain.bin")
        connection.getresponse().read()
        assert time.monotonic() - began > 0.19
        time.sleep(0.2)
    connection.close()


def test_https(https_hub: Hub, certificate: Path, tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    parts = urlsplit(https_hub.publish("/plain.bin", path))
    assert parts.scheme == "https"
    trusting = ssl.create_default_context(cafile=str(certificate))
    connection = http.client.HTTPSConnection(parts.netloc, timeout=5, context=trusting)
    connection.request("GET", parts.path)
    assert connection.getresponse().read() == DATA
    connection.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        http.client.HTTPSConnection(parts.netloc, timeout=5).request("GET", parts.path)


def test_it_listens_on_loopback_only() -> None:
    for host in ("0.0.0.0", "192.0.2.1"):
        with pytest.raises(ValueError, match="loopback"):
            Server("cdn", host, 0, Shelf().route, Link(), None)


def test_a_hub_that_stops_cuts_its_connections() -> None:
    with Hub(link=Link(latency=60)) as hub:
        url = hub.publish("/plain.bin", DATA)
        replies: list[Reply] = []
        thread = threading.Thread(target=lambda: replies.append(fetch(url)))
        thread.start()
        while not hub.cdn.requests:
            time.sleep(0.01)
    thread.join(timeout=2)
    assert replies == [Reply(end="closed")]


def test_a_mistake_of_the_server_is_raised_at_its_end() -> None:
    hub = Hub().start()
    with socket.create_connection(("127.0.0.1", urlsplit(hub.endpoint).port or 0), timeout=5) as connection:
        connection.sendall(b"this is no HTTP request, nor meant to be\r\n\r\n")
        assert connection.recv(100) == b""
    with pytest.raises(ValueError, match="unpack"):
        hub.stop()


def test_the_command_line_reads_rates_and_files(tmp_path: Path) -> None:
    assert [rate(text) for text in ("5", "2k", "40M", "1.5G")] == [5, 2000, 40e6, 1.5e9]
    local = tmp_path / "x=1.bin"
    local.write_bytes(b"x")
    assert named_file(f"owner/repo@abc/a/b.bin={local}") == ("owner/repo", "a/b.bin", "abc", local)
    assert named_file(f"owner/repo/b.bin={local}") == ("owner/repo", "b.bin", None, local)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_the_command_line_serves_and_tells_what_it_sent(tmp_path: Path) -> None:
    local = tmp_path / "data.bin"
    local.write_bytes(DATA)
    command = [sys.executable, "-m", f"{__package__}", "--file", f"{REPO}/x.bin={local}", "--rate-total", "10M"]
    root = Path(__file__).parents[len(f"{__package__}".split("."))]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        endpoint = process.stdout.readline().strip().removeprefix("HF_ENDPOINT=")
        location = fetch(f"{endpoint}/{REPO}/resolve/main/x.bin", method="HEAD").headers["location"]
        assert fetch(location).body == DATA
        process.send_signal(signal.SIGTERM)
        totals = json.loads(process.stdout.readline())
    assert totals["cdn"] == {"requests": 1, "bytes": len(DATA), "connections": 1, "peak": 1}
    assert process.returncode == 0
