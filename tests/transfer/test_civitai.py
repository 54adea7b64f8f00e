"""Files of Civitai: which one, proven by what, and where the key goes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.failing import fails_with
from tests.hub import Fault
from tests.hub.civitai import Civitai
from vae_manager.catalogue.entry import CivitaiSource
from vae_manager.errors import Cancelled, IntegrityError, NetworkError, NotFoundError, RefusedError, UsageError
from vae_manager.transfer import Network, proposed_name, unfinished
from vae_manager.transfer.civitai import HOME, choose_file
from vae_manager.transfer.http_client import HttpClient
from vae_manager.transfer.sources import resolve_source

from .ordering import CHUNK, MB, NAME, Desk, sha256, some_bytes

DATA = some_bytes(2 * MB)
KEY = "0123456789abcdef0123456789abcdef"
SOURCE = CivitaiSource(456)


@pytest.fixture
def civitai() -> Iterator[Civitai]:
    with Civitai() as running:
        running.add(456, "my vae.safetensors", DATA, primary=True)
        yield running


@pytest.fixture
def network(civitai: Civitai, desk: Desk) -> Network:
    return desk.network(civitai=civitai.endpoint)


def keyed(network: Network, key: str = KEY) -> Network:
    return replace(network, keys={"127.0.0.1": key})


# -- the way -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("known", [True, False])
def test_it_is_proven_by_the_published_hash(desk: Desk, network: Network, civitai: Civitai, known: bool) -> None:
    delivery = desk.get(desk.order(DATA, SOURCE, known=known), network)
    assert (delivery.proven, delivery.sha256) == (True, sha256(DATA))
    assert desk.target.read_bytes() == DATA
    assert desk.names == [NAME]


def test_without_a_published_hash_it_is_not_proven(desk: Desk, network: Network, civitai: Civitai) -> None:
    civitai.add(7, "a.safetensors", DATA, primary=True, sha256=None)
    assert not desk.get(desk.order(DATA, CivitaiSource(7), known=False), network).proven


def test_another_hash_than_the_known_one_is_refused_before_a_byte_is_fetched(
    desk: Desk, network: Network, civitai: Civitai
) -> None:
    with fails_with(IntegrityError, "other-file-at-source"):
        desk.get(desk.order(b"other", SOURCE), network)
    assert civitai.cdn.requests == []


def test_wrong_bytes_are_thrown_away(desk: Desk, network: Network, civitai: Civitai) -> None:
    civitai.cdn.fail_always(Fault.flip(1000))
    with fails_with(IntegrityError, "wrong-bytes"):
        desk.get(desk.order(DATA, SOURCE, known=False), network)
    assert desk.names == []


def test_a_signed_address_that_expires_is_asked_for_again(desk: Desk, network: Network, civitai: Civitai) -> None:
    civitai.cdn.fail_next(Fault.close_after(10 * CHUNK), Fault.expired())
    assert desk.get(desk.order(DATA, SOURCE), network).proven


def test_it_goes_on_after_a_cut(desk: Desk, network: Network, civitai: Civitai) -> None:
    civitai.cdn.fail_next(Fault.close_after(10 * CHUNK), *[Fault.expired()] * 50)
    with pytest.raises(NetworkError):
        desk.get(desk.order(DATA, SOURCE), network)
    [left] = unfinished(desk.folder)
    assert left.request.sources == (SOURCE,)
    civitai.cdn.repair()
    assert desk.get(left.request, network).fetched == len(DATA) - left.done


def test_the_name_is_the_servers(network: Network, civitai: Civitai) -> None:
    assert proposed_name(SOURCE, network=network, stop=threading.Event()) == "my vae.safetensors"
    assert proposed_name(CivitaiSource(1, "a.pt"), network=network, stop=threading.Event()) == "a.pt"


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("../x.safetensors", "_x.safetensors"),
        ("nul.safetensors", "_nul.safetensors"),
        ("a/b.pt", "a_b.pt"),
        (".hidden.pt", "hidden.pt"),
        ("", "vae"),
    ],
)
def test_a_name_that_cannot_be_used_is_made_usable(network: Network, civitai: Civitai, name: str, here: str) -> None:
    civitai.add(8, name, DATA, primary=True)
    assert proposed_name(CivitaiSource(8), network=network, stop=threading.Event()) == here


def test_asking_for_the_name_can_be_stopped(network: Network, civitai: Civitai) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        proposed_name(SOURCE, network=network, stop=stop)


# -- which file ----------------------------------------------------------------------------------------------------
def files(*kinds: str) -> list[dict[str, Any]]:
    """`Model*` is a primary file of type Model; the names are a, b, c."""
    letters = zip("abc", kinds, strict=False)
    return [{"name": name, "type": kind.rstrip("*"), "primary": kind.endswith("*")} for name, kind in letters]


@pytest.mark.parametrize(
    ("kinds", "chosen"),
    [
        (("Model*",), "a"),
        (("VAE*",), "a"),
        (("Model*", "VAE"), "b"),
        (("Model*", "Pruned Model", "Config"), "a"),
        (("VAE", "VAE*"), "b"),
        (("Model",), "a"),
    ],
)
def test_the_only_vae_else_the_primary_file(kinds: tuple[str, ...], chosen: str) -> None:
    assert choose_file(SOURCE, files(*kinds))["name"] == chosen


@pytest.mark.parametrize("kinds", [("Model*", "VAE", "VAE"), ("Model", "Pruned Model"), ("VAE*", "VAE*")])
def test_else_the_files_are_named(kinds: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"several files: .*civitai:456/FILE"):
        choose_file(SOURCE, files(*kinds))
    assert choose_file(CivitaiSource(456, "b"), files(*kinds))["name"] == "b"


def test_a_file_that_is_not_there() -> None:
    with fails_with(NotFoundError, "no-such-file", file="x", names="a, b"):
        choose_file(CivitaiSource(456, "x"), files("Model*", "VAE"))
    with fails_with(NotFoundError, "no-files"):
        choose_file(SOURCE, [])


# -- the key -------------------------------------------------------------------------------------------------------
def test_the_key_goes_to_the_site_and_never_to_its_storage(desk: Desk, network: Network, civitai: Civitai) -> None:
    civitai.keys.add(KEY)
    civitai.add(9, "a.pt", DATA, primary=True, needs_key=True)
    assert desk.get(desk.order(DATA, CivitaiSource(9)), keyed(network)).proven
    assert {seen.authorization for seen in civitai.api.requests} == {f"Bearer {KEY}"}
    assert {seen.authorization for seen in civitai.cdn.requests} == {None}
    assert KEY not in "".join(seen.target for seen in (*civitai.api.requests, *civitai.cdn.requests))


@pytest.mark.parametrize("host", ["civitai.com", "localhost", "127.0.0.1.example.org", "0.0.1"])
def test_a_key_of_another_host_stays_at_home(desk: Desk, network: Network, civitai: Civitai, host: str) -> None:
    desk.get(desk.order(DATA, SOURCE), replace(network, keys={host: KEY}))
    assert {seen.authorization for seen in (*civitai.api.requests, *civitai.cdn.requests)} == {None}


def test_a_download_elsewhere_gets_no_key(desk: Desk, network: Network, civitai: Civitai) -> None:
    civitai.keys.add(KEY)
    with Civitai() as stranger:
        stranger.add(456, "a.pt", DATA, primary=True)
        civitai.api.fail_always(Fault.redirect(stranger.endpoint + "{target}"), path="/api/")
        assert desk.get(desk.order(DATA, SOURCE), keyed(network)).proven
        assert {seen.authorization for seen in stranger.api.requests} == {None}


def test_without_a_key_it_is_said_where_to_make_one(desk: Desk, network: Network, civitai: Civitai) -> None:
    civitai.add(9, "a.pt", DATA, primary=True, needs_key=True)
    with pytest.raises(RefusedError, match=r"Make an API key at https://civitai\.com/user/account"):
        desk.get(desk.order(DATA, CivitaiSource(9)), network)


def test_a_wrong_key_too(desk: Desk, network: Network, civitai: Civitai) -> None:
    with fails_with(RefusedError, "api-key-refused") as caught:
        desk.get(desk.order(DATA, SOURCE), keyed(network, "wrong-key"))
    assert "wrong-key" not in str(caught.value)


def test_early_access(desk: Desk, network: Network, civitai: Civitai) -> None:
    civitai.api.fail_always(Fault.status(403), path="/download/")
    with pytest.raises(RefusedError, match="early access"):
        desk.get(desk.order(DATA, SOURCE), network)


def test_neither_key_nor_signature_is_written_anywhere(
    desk: Desk, network: Network, civitai: Civitai, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    civitai.keys.add(KEY)
    civitai.cdn.fail_next(Fault.close_after(10 * CHUNK), *[Fault.expired()] * 50)
    with pytest.raises(NetworkError) as caught:
        desk.get(desk.order(DATA, SOURCE), keyed(network))
    written = [path.read_bytes().decode("latin-1") for path in desk.folder.glob(".*") if path.suffix != ".part"]
    assert written
    wire = HttpClient(keyed(network))
    location = resolve_source(SOURCE, wire, hash_decides=True)
    wire.close()
    for text in (*written, str(caught.value), repr(keyed(network)), repr(location)):
        assert KEY not in text
        assert "Signature" not in text
    assert KEY not in caplog.text
    assert "Signature" not in caplog.text


# -- what it answers -----------------------------------------------------------------------------------------------
def test_no_such_version(desk: Desk, network: Network) -> None:
    with fails_with(NotFoundError, "no-such-model-version", version=1):
        desk.get(desk.order(DATA, CivitaiSource(1)), network)


DEEP = b'{"files": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"files": 1}', b'{"files": {"a": 1}}', b"null", b"\xff\xfe\xfa", DEEP],
    ids=["empty", "page", "list", "number", "object", "null", "binary", "deep"],
)
def test_an_answer_without_sense(desk: Desk, network: Network, civitai: Civitai, body: bytes) -> None:
    civitai.api.fail_always(Fault(code=200, body=body), path="/api/v1/")
    with fails_with(NetworkError, "no-file-list"):
        desk.get(desk.order(DATA, SOURCE), network)


def test_a_busy_site_is_asked_again(desk: Desk, network: Network, civitai: Civitai) -> None:
    civitai.api.fail_next(Fault.status(503), Fault.status(429))
    assert desk.get(desk.order(DATA, SOURCE), network).proven


def test_the_site_itself_by_default() -> None:
    assert Network().civitai is None
    assert HOME == "https://civitai.com"
