"""Answers that lead elsewhere: how their addresses are written, and what of their bodies is read."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.failing import fails_with
from tests.hub import Fault, Hub
from vae_manager.catalogue.entry import HttpsSource
from vae_manager.errors import RefusedError
from vae_manager.transfer import Network
from vae_manager.transfer.http_client import SHORT, HttpClient

from .ordering import MB, Desk, some_bytes

DATA = some_bytes(MB)


@pytest.fixture
def wire() -> Iterator[HttpClient]:
    wire = HttpClient(Network())
    yield wire
    wire.close()


# -- addresses -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/é/vae.safetensors", "/模型/vae 😀.safetensors"])
@pytest.mark.parametrize("whole", [True, False])
def test_an_address_that_is_not_encoded(hub: Hub, desk: Desk, path: str, whole: bool) -> None:
    """Its bytes in the header are UTF-8, which http.client reads as if they were Latin-1."""
    address = hub.publish(path, DATA)
    location = address if whole else path
    hub.cdn.fail_always(Fault.redirect(location.encode().decode("latin-1")), path="/start")
    assert desk.get(desk.order(DATA, HttpsSource(hub.cdn.address + "/start.safetensors"))).proven
    assert hub.cdn.requests[-1].path == quote(path)


def test_one_that_is_latin_1_is_taken_as_it_is(hub: Hub, wire: HttpClient) -> None:
    hub.cdn.fail_always(Fault.redirect("/caf\xe9"), path="/start")
    hub.publish("/café", DATA)
    assert wire.follow(hub.cdn.address + "/start", {}).status_code == 200


def test_one_that_is_encoded_stays_so(hub: Hub, wire: HttpClient) -> None:
    hub.cdn.fail_always(Fault.redirect("/a%20b%2Fc?x=%C3%A9&y=%2B"), path="/start")
    wire.follow(hub.cdn.address + "/start", {})
    assert hub.cdn.requests[-1].target == "/a%20b%2Fc?x=%C3%A9&y=%2B"


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("http://[::1", "leads-nowhere"),
        ("http://127.0.0.1:99999/", "bad-address"),
        ("javascript:alert(1)", "not-https"),
        ("file:///etc/passwd", "not-https"),
        ("http://user:word@127.0.0.1/", "address-with-password"),
    ],
)
def test_one_that_is_no_address_is_not_followed(hub: Hub, wire: HttpClient, location: str, code: str) -> None:
    hub.cdn.fail_always(Fault.redirect(location), path="/start")
    with fails_with(RefusedError, code):
        wire.follow(hub.cdn.address + "/start", {})


# -- bodies --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("coding", [Fault(), Fault.chunked(), Fault.without("Content-Length")])
def test_a_long_body_is_not_read(hub: Hub, desk: Desk, coding: Fault) -> None:
    leading = Fault.status(302, headers=(("Location", hub.publish("/there", DATA)),), body=bytes(100 * MB))
    hub.cdn.fail_always(leading | coding, path="/start")
    assert desk.get(desk.order(DATA, HttpsSource(hub.cdn.address + "/start.safetensors"))).proven
    hub.settle()
    # What the sockets of both sides take without anybody reading is out of our hands.
    assert hub.cdn.sent("/start") < 20 * MB
    assert hub.cdn.sent("/there") == len(DATA)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("size", [0, SHORT])
def test_after_a_short_one_the_connection_is_used_again(hub: Hub, wire: HttpClient, method: str, size: int) -> None:
    hub.cdn.fail_always(Fault.status(302, headers=(("Location", "/there"),), body=bytes(size)), path="/start")
    hub.publish("/there", DATA)
    wire.ask(method, hub.cdn.address + "/start", {}).close()
    assert wire.ask(method, hub.cdn.address + "/there", {}).status_code == 200
    assert hub.cdn.connections == 1


def test_a_short_one_that_breaks_off_is_followed_all_the_same(hub: Hub, wire: HttpClient) -> None:
    leading = Fault.status(302, headers=(("Location", hub.publish("/there", DATA)),), body=bytes(1000))
    hub.cdn.fail_always(leading | Fault.reset_after(10), path="/start")
    assert wire.follow(hub.cdn.address + "/start", {}).status_code == 200
