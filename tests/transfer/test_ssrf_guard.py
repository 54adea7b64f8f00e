"""With `public_only` nothing of this computer or its network is reached, whatever an address or a redirect says."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from urllib3.connectionpool import HTTPConnectionPool

from tests.failing import fails_with
from tests.hub import Fault, Hub
from tests.hub.fixtures import certificate, https_hub
from vae_manager.catalogue.entry import HttpsSource
from vae_manager.errors import NetworkError, RefusedError
from vae_manager.transfer import Network, ssrf_guard
from vae_manager.transfer.connections import with_connections
from vae_manager.transfer.http_client import HttpClient
from vae_manager.transfer.ssrf_guard import is_public

from .ordering import MB, REPO, Desk, some_bytes

__all__ = ["certificate", "https_hub"]

DATA = some_bytes(MB)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "100.127.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:a9fe:a9fe",
        "64:ff9b::127.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "localhost",
        "",
    ],
)
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "172.15.255.255",
        "172.32.0.1",
        "100.63.255.255",
        "100.128.0.1",
        "192.0.1.1",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
        "2002:101:101::1",
    ],
)
def test_public(address: str) -> None:
    assert is_public(address)


# -- real sockets --------------------------------------------------------------------------------------------------
class Listener:
    """A TCP port of this computer; `reached` counts who knocked, `heard` is what was said."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.reached, self.heard = 0, b""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                self.reached += 1
                connection.settimeout(5)
                self.heard += connection.recv(100)


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener()
    yield listening
    listening.socket.close()


@pytest.fixture
def wire() -> Iterator[HttpClient]:
    wire = HttpClient(Network(public_only=True, connect_timeout=5, read_timeout=5))
    yield wire
    wire.close()


def resolve(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    """Every name leads to the first answer, at the next question to the next one; the last one stays."""
    left = list(answers)

    def getaddrinfo(name: str, port: int, *_: Any, **__: Any) -> list[Any]:
        address = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_this_computer_is_not_even_knocked_at(wire: HttpClient, listener: Listener, scheme: str, name: str) -> None:
    with fails_with(RefusedError, "not-public", host=name):
        wire.ask("GET", f"{scheme}://{name}:{listener.port}/", {})
    assert listener.reached == 0


@pytest.mark.parametrize(
    "name", ["0.0.0.0", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1", "10.0.0.1", "169.254.169.254"]
)
def test_numbers_in_any_notation(wire: HttpClient, listener: Listener, name: str) -> None:
    with fails_with(RefusedError, "not-public"):
        wire.ask("GET", f"https://{name}:{listener.port}/", {})
    assert listener.reached == 0


def test_a_name_that_leads_here(wire: HttpClient, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve(monkeypatch, "127.0.0.1")
    with pytest.raises(RefusedError, match=r"vaes\.example is an address of this computer"):
        wire.ask("GET", f"https://vaes.example:{listener.port}/", {})
    assert listener.reached == 0


def test_a_name_that_leads_elsewhere_once_and_then_here(
    wire: HttpClient, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the second look is at the connected socket, and not a byte has been sent."""
    resolve(monkeypatch, "1.1.1.1", "127.0.0.1")
    with fails_with(RefusedError, "not-public"):
        wire.ask("GET", f"https://vaes.example:{listener.port}/", {})
    assert listener.heard == b""


def test_one_private_address_among_public_ones_is_enough(
    wire: HttpClient, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, listener.port)) for one in ("1.1.1.1", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(RefusedError):
        wire.ask("GET", f"https://vaes.example:{listener.port}/", {})


def test_a_name_that_leads_nowhere(wire: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with fails_with(NetworkError, "unreachable"):
        wire.ask("GET", "https://vaes.example/", {})


def test_without_it_nothing_changes(hub: Hub, desk: Desk) -> None:
    url = hub.publish("/vae.safetensors", DATA)
    assert desk.get(desk.order(DATA, HttpsSource(url))).proven


# -- redirects and delivery ----------------------------------------------------------------------------------------
@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Takes one address of this computer for a public one."""

    def allow(address: str) -> None:
        monkeypatch.setattr(ssrf_guard, "is_public", lambda one: one == address)

    return allow


def test_what_is_allowed_is_delivered(hub: Hub, desk: Desk, allow: Callable[[str], None]) -> None:
    allow("127.0.0.1")
    hub.add(REPO, "vae.safetensors", DATA, lfs=False)
    url = f"{hub.endpoint}/{REPO}/resolve/main/vae.safetensors"
    assert desk.get(desk.order(DATA, HttpsSource(url)), desk.network(public_only=True)).proven


def test_a_redirect_from_an_allowed_place(hub: Hub, desk: Desk, allow: Callable[[str], None]) -> None:
    allow("127.0.0.1")
    hub.add(REPO, "vae.safetensors", DATA)  # the hub leads to its CDN, under another address of this computer
    url = f"{hub.endpoint}/{REPO}/resolve/main/vae.safetensors"
    with fails_with(RefusedError, "not-public"):
        desk.get(desk.order(DATA, HttpsSource(url)), desk.network(public_only=True))
    assert hub.api.requests
    assert hub.cdn.connections == 0
    assert desk.names == []


def test_by_tls_too(
    https_hub: Hub,
    desk: Desk,
    allow: Callable[[str], None],
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    https_hub.add(REPO, "vae.safetensors", DATA, lfs=False)
    url = f"{https_hub.endpoint}/{REPO}/resolve/main/vae.safetensors"
    network = desk.network(public_only=True)
    with pytest.raises(RefusedError):
        desk.get(desk.order(DATA, HttpsSource(url)), network)
    assert https_hub.api.connections == 0
    allow("127.0.0.1")
    assert desk.get(desk.order(DATA, HttpsSource(url)), network).proven


def test_tls_does_not_begin_with_a_private_peer(
    wire: HttpClient, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[object] = []
    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", lambda *_, **__: begun.append(1))
    resolve(monkeypatch, "1.1.1.1", "127.0.0.1")
    with pytest.raises(RefusedError):
        wire.ask("GET", f"https://vaes.example:{listener.port}/", {})
    assert begun == []


def test_the_second_look_holds_without_the_first(listener: Listener) -> None:
    """`_new_conn` is urllib3's own matter: without it the peer is looked at once it is connected, before a request."""
    kind = with_connections({"http": HTTPConnectionPool}, ssrf_guard._guarded(is_public))["http"].ConnectionCls
    looking: Any = kind.__mro__[1]
    assert "_new_conn" in vars(looking)
    del looking._new_conn
    with pytest.raises(RefusedError):
        kind("127.0.0.1", listener.port, timeout=5).request("GET", "/")
    assert listener.heard == b""


# -- proxies -------------------------------------------------------------------------------------------------------
def test_a_proxy_may_be_private_but_not_what_is_behind_it(
    hub: Hub, desk: Desk, wire: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub stands in for a proxy: it answers with an error, which shows that it was asked."""
    monkeypatch.setenv("HTTP_PROXY", hub.endpoint)
    monkeypatch.setenv("HTTPS_PROXY", hub.endpoint)
    for address in ("https://127.0.0.2:1/", "https://10.0.0.1/", "http://localhost:1/"):
        with fails_with(RefusedError, "not-public"):
            wire.ask("GET", address, {})
    assert hub.api.connections == 0
    hub.api.fail_always(Fault.status(403))
    resolve(monkeypatch, "1.1.1.1", "127.0.0.1")
    with pytest.raises(NetworkError):
        wire.ask("GET", "https://vaes.example/", {})
    assert [seen.method for seen in hub.api.requests] == ["CONNECT"]


def test_behind_a_proxy_what_cannot_be_looked_up_is_refused(
    hub: Hub, wire: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def getaddrinfo(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setenv("HTTPS_PROXY", hub.endpoint)
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with fails_with(RefusedError, "not-resolvable"):
        wire.ask("GET", "https://intranet/", {})
