"""Each fault does what it says, seen from a raw socket."""

from __future__ import annotations

import gzip
import http.client
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from . import Fault, Hub
from .faults import PORTAL
from .wire import Reply, fetch

DATA = bytes(range(256)) * 4000
SIZE = len(DATA)


@pytest.fixture(params=["memory", "disk"])
def url(request: pytest.FixtureRequest, hub: Hub, tmp_path: Path) -> str:
    path = tmp_path / "data.bin"
    path.write_bytes(DATA)
    return hub.publish("/data.bin", DATA if request.param == "memory" else path)


def meet(hub: Hub, url: str, fault: Fault, asked: str = "bytes=1000-", timeout: float = 5.0) -> Reply:
    """The reply to one request that meets a fault, after which all must be well again."""
    hub.cdn.fail_next(fault)
    reply = fetch(url, range=asked, timeout=timeout)
    assert fetch(url, range="bytes=1000-").body == DATA[1000:]
    return reply


@pytest.mark.parametrize("count", [0, 1, 300_000, SIZE - 1000])
def test_reset_after(hub: Hub, url: str, count: int) -> None:
    reply = meet(hub, url, Fault.reset_after(count))
    assert reply == Reply(206, reply.headers, DATA[1000 : 1000 + count], "reset")
    assert hub.cdn.requests[0].sent == count


@pytest.mark.parametrize("count", [0, 300_000])
def test_close_after(hub: Hub, url: str, count: int) -> None:
    reply = meet(hub, url, Fault.close_after(count))
    assert reply == Reply(206, reply.headers, DATA[1000 : 1000 + count], "closed")
    assert reply.headers["content-length"] == str(SIZE - 1000)


def test_a_cut_can_count_what_the_connection_has_carried(hub: Hub, url: str) -> None:
    hub.cdn.fail_always(Fault.close_after(250_000, per_connection=True))
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    for start in (0, 100_000):
        connection.request("GET", "/data.bin", headers={"Range": f"bytes={start}-{start + 99_999}"})
        assert len(connection.getresponse().read()) == 100_000
    connection.request("GET", "/data.bin", headers={"Range": "bytes=200000-299999"})
    with pytest.raises(http.client.IncompleteRead) as cut:
        connection.getresponse().read()
    assert len(cut.value.partial) == 50_000
    connection.close()


def test_ends_before_headers(hub: Hub, url: str) -> None:
    assert meet(hub, url, Fault.reset_before_headers()) == Reply(end="reset")
    assert meet(hub, url, Fault.close_before_headers()) == Reply(end="closed")
    assert hub.cdn.requests[0].status == 0


def test_slow_answers(hub: Hub, url: str) -> None:
    began = time.monotonic()
    assert meet(hub, url, Fault.late(0.2)).status == 206
    assert meet(hub, url, Fault.stall_at(5000, 0.2)).body == DATA[1000:]
    assert meet(hub, url, Fault.trickle(2000), "bytes=1000-1399").body == DATA[1000:1400]
    assert time.monotonic() - began > 0.58


def test_a_stall_ends_when_the_client_gives_up(hub: Hub, url: str) -> None:
    reply = meet(hub, url, Fault.stall_at(5000), timeout=0.2)
    assert (reply.end, reply.body) == ("silent", DATA[1000:6000])
    hub.settle(timeout=2)


def test_a_late_answer_is_silence_first(hub: Hub, url: str) -> None:
    assert meet(hub, url, Fault.late(60), timeout=0.2) == Reply(end="silent")


def test_statuses(hub: Hub, url: str) -> None:
    reply = meet(hub, url, Fault.status(503, retry_after=2))
    assert (reply.status, reply.headers["retry-after"], reply.body) == (503, "2", b"")
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    assert meet(hub, url, Fault.status(429, retry_after=date)).headers["retry-after"] == date
    reply = meet(hub, url, Fault.rate_limited(7))
    assert (reply.status, reply.headers["ratelimit"]) == (429, '"resolvers";r=0;t=7')
    reply = meet(hub, url, Fault.expired())
    assert (reply.status, reply.headers["content-type"]) == (403, "application/xml")
    reply = meet(hub, url, Fault.status(520, headers=(("X-Error-Code", "Odd"),), body=b"why"))
    assert (reply.status, reply.headers["x-error-code"], reply.body) == (520, "Odd", b"why")


@pytest.mark.parametrize("value", ["bytes */{size}", "bytes */123", "bytes */*", "nonsense", None])
def test_unsatisfiable(hub: Hub, url: str, value: str | None) -> None:
    reply = meet(hub, url, Fault.unsatisfiable(value))
    expected = value and value.replace("{size}", str(SIZE))
    assert (reply.status, reply.headers.get("content-range"), reply.body) == (416, expected, b"")


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://example.org/x", "//host/x"])
def test_redirects(hub: Hub, url: str, location: str) -> None:
    reply = meet(hub, url, Fault.redirect(location))
    assert (reply.status, reply.headers["location"]) == (302, location)


def test_redirect_to_itself_and_to_the_origin(hub: Hub, url: str) -> None:
    assert meet(hub, url + "?a=1", Fault.redirect("{target}", 307)).headers["location"] == "/data.bin?a=1"
    with Hub() as mirror:
        mirror.api.fail_always(Fault.redirect(hub.endpoint + "{target}", 308))
        reply = fetch(mirror.endpoint + "/owner/repo/resolve/main/x?y", method="HEAD")
    assert (reply.status, reply.headers["location"]) == (308, hub.endpoint + "/owner/repo/resolve/main/x?y")


def test_portal_on_both_servers(hub: Hub, url: str) -> None:
    hub.api.fail_next(Fault.portal())
    for reply in (meet(hub, url, Fault.portal()), fetch(hub.endpoint + "/owner/repo/resolve/main/x")):
        assert (reply.status, reply.body, reply.headers["content-type"]) == (200, PORTAL, "text/html")
        assert "etag" not in reply.headers


def test_header_floods(hub: Hub, url: str) -> None:
    reply = meet(hub, url, Fault.many_headers(150))
    assert len([name for name in reply.headers if name.startswith("x-padding")]) == 150
    assert reply.body == DATA[1000:]
    assert len(meet(hub, url, Fault.large_header(70_000)).headers["x-padding"]) == 70_000
    assert meet(hub, url, Fault.with_headers(("ETag", '"x"'))).headers["etag"] == '"x"'


def test_headers_left_out(hub: Hub, url: str) -> None:
    reply = meet(hub, url, Fault.without("ETag", "Content-Length", "Content-Range", "Accept-Ranges"))
    assert not {"etag", "content-length", "content-range", "accept-ranges"} & reply.headers.keys()
    assert reply == Reply(206, reply.headers, DATA[1000:], "closed")


def test_range_ignored(hub: Hub, url: str) -> None:
    reply = meet(hub, url, Fault.range_ignored())
    assert (reply.status, reply.body) == (200, DATA)
    assert "content-range" not in reply.headers


@pytest.mark.parametrize("shift", [-500, 500])
def test_another_start(hub: Hub, url: str, shift: int) -> None:
    reply = meet(hub, url, Fault.other_start(shift))
    assert (reply.status, reply.body) == (206, DATA[1000 + shift :])
    assert reply.headers["content-range"] == f"bytes {1000 + shift}-{SIZE - 1}/{SIZE}"
    reply = meet(hub, url, Fault.other_start(shift, admitted=False), "bytes=1000-1999")
    assert (reply.status, reply.body) == (206, DATA[1000 + shift : 2000 + shift])
    assert reply.headers["content-range"] == f"bytes 1000-1999/{SIZE}"


@pytest.mark.parametrize("difference", [-400, 400])
def test_wrong_length(hub: Hub, url: str, difference: int) -> None:
    reply = meet(hub, url, Fault.length_off(difference), "bytes=1000-1999")
    assert reply.headers["content-length"] == str(1000 + difference)
    assert (reply.body, reply.end) == (DATA[1000:2000], "closed")


def test_codings(hub: Hub, url: str) -> None:
    """Decoded by http.client, which knows chunks but leaves gzip alone."""
    hub.cdn.fail_next(Fault.chunked(), Fault.gzip())
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    connection.request("GET", "/data.bin")
    chunked = connection.getresponse()
    assert chunked.read() == DATA
    connection.request("GET", "/data.bin")
    zipped = connection.getresponse()
    assert gzip.decompress(zipped.read()) == DATA
    assert (chunked.getheader("content-encoding"), zipped.getheader("content-encoding")) == (None, "gzip")
    assert chunked.getheader("content-length") is zipped.getheader("content-length") is None
    connection.close()
    assert hub.cdn.connections == 1


def test_flips(hub: Hub, url: str) -> None:
    body = meet(hub, url, Fault.flip(1500, 700_000, 3)).body
    differing = [offset for offset, byte in enumerate(body, 1000) if byte != DATA[offset]]
    assert (len(body), differing) == (SIZE - 1000, [1500, 700_000])


def test_other_bytes(hub: Hub, url: str) -> None:
    right = fetch(url, method="HEAD").headers["etag"]
    reply = meet(hub, url, Fault.other_content(b"x" * 5000))
    assert (reply.status, reply.body) == (206, b"x" * 4000)
    assert reply.headers["content-range"] == "bytes 1000-4999/5000"
    assert reply.headers["etag"] != right
    reply = meet(hub, url, Fault.filled(b"<html>"), "bytes=1000-1999")
    assert (reply.status, reply.body) == (206, (b"<html>" * 167)[:1000])
    assert reply.headers["content-range"] == f"bytes 1000-1999/{SIZE}"
    assert reply.headers["etag"] == right


def test_a_changed_file_answers_if_range_with_the_whole(hub: Hub, url: str) -> None:
    etag = fetch(url, method="HEAD").headers["etag"]
    hub.cdn.fail_next(Fault.other_content(b"new"))
    reply = fetch(url, range="bytes=1-", if_range=etag)
    assert (reply.status, reply.body) == (200, b"new")


def test_faults_combine(hub: Hub, url: str) -> None:
    fault = Fault.flip(1001) | Fault.without("ETag") | Fault.flip(1002) | Fault.without("Date") | Fault.close_after(4)
    reply = meet(hub, url, fault)
    assert reply.body == bytes([DATA[1000], DATA[1001] ^ 255, DATA[1002] ^ 255, DATA[1003]])
    assert not {"etag", "date"} & reply.headers.keys()


def test_scripts(hub: Hub, url: str) -> None:
    """In order, only for what they are meant for, and with others at the same time."""
    other = hub.publish("/other.bin", DATA)
    hub.cdn.fail_next(Fault.status(500), None, Fault.status(503))
    assert [fetch(url).status for _ in range(4)] == [500, 200, 503, 200]
    hub.cdn.fail_always(Fault.status(500), path="other", method="HEAD")
    statuses = [fetch(at, method=method).status for at in (url, other) for method in ("GET", "HEAD")]
    assert statuses == [200, 200, 200, 500]
    hub.cdn.repair()
    hub.cdn.fail_always(Fault.flip(2000), covering=2000)
    hub.cdn.fail_next(Fault.range_ignored())
    assert fetch(url, range="bytes=2000-2000").body[2000] == DATA[2000] ^ 255
    assert fetch(url, range="bytes=2000-2000").body[0] == DATA[2000] ^ 255
    assert fetch(url, range="bytes=0-1999").body == DATA[:2000]
