"""What must not get out, and where nobody must be led."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.failing import fails_with
from tests.hub import Fault, Hub
from tests.hub.fixtures import certificate, https_hub
from vae_manager.catalogue.entry import HttpsSource, Source
from vae_manager.errors import NetworkError, NotFoundError, RefusedError, VaeManagerError
from vae_manager.transfer import Network, unfinished
from vae_manager.transfer.http_client import HttpClient
from vae_manager.transfer.hub import TOKEN_HOME, hub_authorization
from vae_manager.transfer.partial_file import PartialFile
from vae_manager.transfer.sources import resolve_source

from .ordering import CHUNK, COMMIT, MB, NAME, PINNED, REPO, Desk, hosts_of, some_bytes

__all__ = ["certificate", "https_hub"]

DATA = some_bytes(2 * MB)
TOKEN = "hf_0123456789abcdefghijklmnopqrstuvwx"


@pytest.fixture(autouse=True)
def _signed_in(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.setenv(name, TOKEN)
    hub.add(REPO, NAME, DATA, revision=COMMIT)
    hub.gate(REPO, TOKEN)


@pytest.fixture
def stranger() -> Iterator[Hub]:
    with Hub() as other:
        yield other


# -- the token -----------------------------------------------------------------------------------------------------
def test_the_token_goes_to_the_hub_it_was_saved_for() -> None:
    assert hub_authorization("https://huggingface.co", Network()) == {"Authorization": f"Bearer {TOKEN}"}
    assert TOKEN_HOME == ("https", "huggingface.co", 443)


@pytest.mark.parametrize(
    "mirror",
    [
        "http://huggingface.co",
        "https://huggingface.co:8443",
        "https://huggingface.co.evil.example",
        "https://evil.example/huggingface.co",
        "https://hf-mirror.com",
        "https://cdn-lfs.huggingface.co",
    ],
)
def test_and_to_no_other(mirror: str) -> None:
    assert hub_authorization(mirror, Network()) == {}


def test_a_mirror_gets_it_only_by_explicit_choice(hub: Hub, desk: Desk) -> None:
    with pytest.raises(RefusedError):
        desk.get(desk.order(DATA))
    assert all(seen.authorization is None for seen in hub.requests)
    assert desk.get(desk.order(DATA), desk.network(token_hosts=hosts_of(hub))).proven
    assert hub.api.requests[-1].authorization == f"Bearer {TOKEN}"


def test_it_never_goes_to_the_cdn(hub: Hub, desk: Desk) -> None:
    desk.get(desk.order(DATA), desk.network(token_hosts=hosts_of(hub)))
    assert desk.gets()
    assert all(seen.authorization is None for seen in hub.cdn.requests)


def test_it_goes_on_to_the_hubs_own_small_files(hub: Hub, desk: Desk) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT, lfs=False)
    assert desk.get(desk.order(DATA), desk.network(token_hosts=hosts_of(hub))).proven
    assert hub.api.requests[-1].method == "GET"
    assert hub.api.requests[-1].authorization == f"Bearer {TOKEN}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_it_never_follows_a_redirect(hub: Hub, desk: Desk, stranger: Hub, status: int, method: str) -> None:
    hub.add(REPO, NAME, DATA, revision=COMMIT, lfs=False)
    stranger.add(REPO, NAME, DATA, revision=COMMIT, lfs=False)
    hub.api.fail_always(Fault.redirect(stranger.endpoint + "{target}", status), method=method)
    assert desk.get(desk.order(DATA), desk.network(token_hosts=hosts_of(hub))).proven
    assert stranger.requests
    assert all(seen.authorization is None for seen in stranger.requests)


def test_nor_back_again_after_a_redirect(hub: Hub, desk: Desk, stranger: Hub) -> None:
    stranger.api.fail_always(Fault.redirect(hub.endpoint + "{target}", 307), method="GET")
    hub.add(REPO, NAME, DATA, revision=COMMIT, lfs=False)
    hub.api.fail_next(Fault.redirect(stranger.endpoint + "{target}", 307), method="GET")
    with pytest.raises(RefusedError):
        desk.get(desk.order(DATA), desk.network(token_hosts=hosts_of(hub)))
    assert [seen.authorization for seen in hub.api.requests if seen.method == "GET"] == [f"Bearer {TOKEN}", None]


def test_neither_token_nor_signature_is_written_anywhere(
    hub: Hub, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hub.cdn.fail_next(Fault.close_after(10 * CHUNK), *[Fault.expired()] * 50)
    network = desk.network(token_hosts=hosts_of(hub))
    with pytest.raises(NetworkError) as caught:
        desk.get(desk.order(DATA), network)
    written = [path.read_bytes().decode("latin-1") for path in desk.folder.glob(".*") if path.suffix != ".part"]
    wire = HttpClient(network)
    location = resolve_source(PINNED, wire, hash_decides=True)
    for text in (*written, str(caught.value), repr(caught.value), repr(network), repr(wire), repr(location)):
        assert TOKEN not in text
        assert "Signature" not in text
    assert TOKEN not in caplog.text
    assert unfinished(desk.folder)


def test_netrc_is_not_read(hub: Hub, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with pytest.raises(RefusedError):
        desk.get(desk.order(DATA))
    assert all(seen.authorization is None for seen in hub.requests)


@pytest.mark.parametrize("known", [True, False])
def test_a_key_in_an_address_is_neither_told_nor_written(hub: Hub, desk: Desk, known: bool) -> None:
    url = hub.publish("/api/download/models/1", DATA) + "?type=VAE&token=geheim&X-Amz-Signature=geheim"
    hub.cdn.fail_next(Fault.close_after(10 * CHUNK), Fault.status(404))
    with pytest.raises(NotFoundError) as caught:
        desk.get(desk.order(DATA, HttpsSource(url), known=known))
    assert "geheim" not in str(caught.value)
    [left] = unfinished(desk.folder)
    assert "geheim" not in left.path.with_suffix(".journal").read_text()
    assert left.request.sources == (HttpsSource(url.partition("&token")[0]),)
    assert PartialFile.of(left.request).path == left.path
    again = desk.get(desk.order(DATA, HttpsSource(url), known=known))
    assert again.fetched == len(DATA) - left.done, "with the key it goes on"
    assert "token=geheim" in desk.gets()[-1].target


# -- addresses -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.org/vae.safetensors", "not-encrypted"),
        ("http://192.168.1.5/vae.safetensors", "not-encrypted"),
        ("http://127.0.0.1.example.org/vae.safetensors", "not-encrypted"),
        ("file:///etc/passwd", "not-https"),
        ("ftp://example.org/vae.safetensors", "not-https"),
        ("vae.safetensors", "not-https"),
        ("https://me:geheim@example.org/vae.safetensors", "address-with-password"),
        ("https://[::1/vae.safetensors", "bad-address"),
        ("https://example.org:port/", "bad-address"),
    ],
)
def test_addresses_that_are_refused(desk: Desk, url: str, code: str) -> None:
    with fails_with(RefusedError, code) as caught:
        desk.get(desk.order(DATA, HttpsSource(url)))
    assert "geheim" not in str(caught.value)
    assert desk.names == []


def test_the_same_holds_for_an_endpoint(desk: Desk) -> None:
    with fails_with(RefusedError, "not-encrypted"):
        desk.get(desk.order(DATA), desk.network(endpoint="http://hf-mirror.example"))


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://example.org/", "http://example.org/vae"])
@pytest.mark.parametrize("server", ["api", "cdn"])
def test_redirects_that_are_refused(hub: Hub, desk: Desk, server: str, location: str) -> None:
    getattr(hub, server).fail_always(Fault.redirect(location))
    with pytest.raises(RefusedError):
        desk.get(desk.order(DATA), desk.network(token_hosts=hosts_of(hub)))
    assert desk.names == []


# -- TLS -----------------------------------------------------------------------------------------------------------
def get_by_tls(desk: Desk, hub: Hub, *sources: Source) -> VaeManagerError | None:
    try:
        desk.get(desk.order(DATA, *sources), desk.network(endpoint=hub.endpoint, token_hosts=hosts_of(hub)))
    except VaeManagerError as error:
        return error
    return None


def test_an_unknown_certificate_is_not_trusted(desk: Desk, https_hub: Hub) -> None:
    https_hub.add(REPO, NAME, DATA, revision=COMMIT)
    error = get_by_tls(desk, https_hub)
    assert isinstance(error, NetworkError)
    assert error.code == "bad-certificate"
    assert https_hub.requests == []


def test_a_certificate_that_the_system_knows_is(
    desk: Desk, https_hub: Hub, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    https_hub.add(REPO, NAME, DATA, revision=COMMIT)
    https_hub.gate(REPO, TOKEN)
    assert get_by_tls(desk, https_hub) is None
    assert desk.target.read_bytes() == DATA


@pytest.mark.parametrize("server", ["api", "cdn"])
def test_https_stays_https(
    hub: Hub, desk: Desk, https_hub: Hub, certificate: Path, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    """Even to this computer itself, where http is allowed otherwise."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    https_hub.add(REPO, NAME, DATA, revision=COMMIT)
    https_hub.gate(REPO, TOKEN)
    getattr(https_hub, server).fail_always(Fault.redirect(hub.publish("/vae", DATA)))
    error = get_by_tls(desk, https_hub)
    assert isinstance(error, RefusedError)
    assert error.code == "leads-away-from-https"
    assert hub.requests == []
