"""Mirrors, other hubs and plain addresses: the published hash is seen, and a refusal is told in the server's words."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.failing import fails_with
from tests.hub import Fault, Hub
from vae_manager.catalogue import HttpsSource, HubSource
from vae_manager.catalogue.entry import is_named_host
from vae_manager.errors import IntegrityError, NetworkError, NotFoundError, RefusedError, VaeManagerError
from vae_manager.transfer import Network
from vae_manager.transfer.hub import hub_endpoint
from vae_manager.transfer.urls import checked

from .ordering import MB, NAME, Desk, hosts_of, sha256, some_bytes

DATA = some_bytes(MB)
SOURCE = HubSource("me/mirrored", NAME)
TOKEN = "hf_0123456789abcdefghijklmnopqrstuvwx"
HTML = "text/html; charset=utf-8"


@pytest.fixture(autouse=True)
def _mirrored(hub: Hub) -> None:
    hub.add(SOURCE.repo, NAME, DATA)


@pytest.fixture
def mirror() -> Iterator[Hub]:
    """A hub that holds nothing itself."""
    with Hub() as other:
        yield other


# -- the published hash --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("is_plain", [False, True], ids=["hub", "address"])
def test_a_mirror_that_leads_to_the_hub(hub: Hub, mirror: Hub, desk: Desk, status: int, is_plain: bool) -> None:
    mirror.api.fail_always(Fault.redirect(hub.endpoint + "{target}", status))
    source = HttpsSource(f"{mirror.endpoint}/{SOURCE.repo}/resolve/main/{NAME}") if is_plain else SOURCE
    result = desk.get(desk.order(DATA, source, known=False), desk.network(endpoint=mirror.endpoint))
    assert (result.proven, result.sha256) == (True, sha256(DATA))


def test_a_mirror_in_front_of_a_mirror(hub: Hub, mirror: Hub, desk: Desk) -> None:
    with Hub() as second:
        second.api.fail_always(Fault.redirect(hub.endpoint + "{target}", 302))
        mirror.api.fail_always(Fault.redirect(second.endpoint + "{target}", 307))
        result = desk.get(desk.order(DATA, SOURCE, known=False), desk.network(endpoint=mirror.endpoint))
    assert result.proven


@pytest.mark.parametrize(
    "refusal", [Fault.status(403), Fault.status(405), Fault.status(404), Fault.reset_before_headers()]
)
def test_a_store_that_takes_no_head_request(hub: Hub, mirror: Hub, desk: Desk, refusal: Fault) -> None:
    """A signed address is for GET alone. Nobody publishes a hash then, and the file comes all the same."""
    mirror.api.fail_always(Fault.redirect(hub.publish("/signed", DATA), 302))
    hub.cdn.fail_always(refusal, method="HEAD")
    result = desk.get(desk.order(DATA, SOURCE, known=False), desk.network(endpoint=mirror.endpoint))
    assert (result.proven, desk.target.read_bytes()) == (False, DATA)


def test_the_address_of_a_file_at_a_hub(hub: Hub, desk: Desk) -> None:
    address = HttpsSource(f"{hub.endpoint}/{SOURCE.repo}/resolve/main/{NAME}?download=true")
    assert desk.get(desk.order(DATA, address, known=False)).proven


def test_wrong_bytes_from_such_an_address(hub: Hub, desk: Desk) -> None:
    hub.cdn.fail_always(Fault.other_content(some_bytes(MB, 1)))
    address = HttpsSource(f"{hub.endpoint}/{SOURCE.repo}/resolve/main/{NAME}")
    with fails_with(IntegrityError, "wrong-bytes"):
        desk.get(desk.order(DATA, address, known=False))
    assert desk.names == []


def modelscope(hub: Hub, path: str, listing: object) -> HttpsSource:
    """Return the address of a file in the loopback's copy of ModelScope, whose listing is `listing`."""
    api = "/api/v1/models/me/mirrored/repo"
    hub.publish(f"{api}/files", json.dumps(listing).encode(), content_type="application/json")
    return HttpsSource(f"{hub.publish(api, DATA)}?Revision=master&FilePath={quote(path, safe='')}")


def test_a_file_of_modelscope(hub: Hub, desk: Desk) -> None:
    files = [{"Path": "vae", "Type": "tree"}, {"Path": f"vae/{NAME}", "Size": len(DATA), "Sha256": sha256(DATA)}]
    source = modelscope(hub, f"vae/{NAME}", {"Code": 200, "Data": {"Files": files}})
    assert desk.get(desk.order(DATA, source, known=False)).proven
    [asked] = [seen for seen in hub.cdn.requests if seen.path.endswith("/files")]
    assert asked.target.endswith("/files?Revision=master&Root=vae")


def test_a_page_of_modelscope(hub: Hub, desk: Desk) -> None:
    listing = {"Data": {"Files": [{"Path": f"vae/{NAME}", "Size": len(DATA), "Sha256": sha256(DATA)}]}}
    modelscope(hub, NAME, listing)
    address = hub.publish(f"/models/me/mirrored/resolve/master/vae/{NAME}", DATA)
    assert desk.get(desk.order(DATA, HttpsSource(address), known=False)).proven


@pytest.mark.parametrize(
    "listing", [{}, [], {"Data": {"Files": [{"Path": "other"}, 7]}}, {"Data": {"Files": None}}, "x"]
)
def test_a_listing_of_modelscope_that_tells_nothing(hub: Hub, desk: Desk, listing: object) -> None:
    result = desk.get(desk.order(DATA, modelscope(hub, NAME, listing), known=False))
    assert (result.proven, desk.target.read_bytes()) == (False, DATA)


def test_a_hash_that_passed_over_plain_http_proves_nothing(
    hub: Hub, mirror: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can change what the mirror sends could lead on to a server of his own."""
    mirror.api.fail_always(Fault.redirect(hub.endpoint + "{target}", 302))
    [at_mirror] = hosts_of(mirror)
    monkeypatch.setattr("vae_manager.transfer.hub.is_open_to_change", lambda address: at_mirror in address)
    source = HttpsSource(f"{mirror.endpoint}/{SOURCE.repo}/resolve/main/{NAME}")
    for one in (source, SOURCE):
        result = desk.get(desk.order(DATA, one, known=False), desk.network(endpoint=mirror.endpoint))
        assert not result.proven
        desk.target.unlink()


@pytest.mark.parametrize("count", ["9" * 5000, "-1", "1e3", "٣"])
def test_a_number_in_a_header_that_is_none(hub: Hub, desk: Desk, count: str) -> None:
    hub.api.fail_always(Fault(added=(("X-Linked-Size", count.encode().decode("latin-1")),)))
    assert desk.get(desk.order(DATA, SOURCE)).proven


@pytest.mark.parametrize("status", [400, 501])
def test_a_server_that_refuses_each_range(hub: Hub, desk: Desk, status: int) -> None:
    kept = desk.keep(desk.order(DATA, HttpsSource(hub.publish("/a.safetensors", DATA))), 200_000)
    assert kept
    hub.cdn.fail_next(Fault.status(status))
    assert desk.get(desk.order(DATA, HttpsSource(hub.cdn.address + "/a.safetensors"))).proven


# -- bytes decide --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("known", [True, False])
def test_right_bytes_that_are_called_a_web_page(hub: Hub, desk: Desk, known: bool) -> None:
    address = HttpsSource(hub.publish("/a.safetensors", DATA, content_type=HTML))
    assert desk.get(desk.order(DATA, address, known=known)).proven is known
    assert desk.target.read_bytes() == DATA


@pytest.mark.parametrize("fault", [Fault.gzip(), Fault.gzip() | Fault.range_ignored()])
def test_a_compressed_answer_is_unpacked_where_a_hash_proves_it(hub: Hub, desk: Desk, fault: Fault) -> None:
    address = HttpsSource(hub.publish("/a.safetensors", DATA))
    hub.cdn.fail_always(fault)
    with fails_with(NetworkError, "compressed-answer"):
        desk.get(desk.order(DATA, address, known=False))
    assert desk.get(desk.order(DATA, address)).proven
    assert desk.target.read_bytes() == DATA


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (gzip.compress(DATA)[:-100_000], "broke-off"),
        (b"no gzip", "bad-compression"),
        (gzip.compress(DATA + bytes(50 * MB)), "endless-body"),
    ],
    ids=["cut", "damaged", "bomb"],
)
def test_a_wrong_compressed_answer(hub: Hub, desk: Desk, body: bytes, code: str) -> None:
    hub.cdn.fail_always(Fault.status(200, headers=(("Content-Encoding", "gzip"),), body=body))
    with fails_with(VaeManagerError, code):
        desk.get(desk.order(DATA, HttpsSource(hub.cdn.address + "/a.safetensors"), size=len(DATA)))
    assert not desk.target.exists()


# -- the server's own words ----------------------------------------------------------------------------------------
def with_reason(status: int, reason: str) -> Fault:
    return Fault.status(status, headers=(("X-Error-Message", reason),))


DISABLED = "Access to this resource is disabled."
FINE_GRAINED = "Please enable access to public gated repositories in your fine-grained token settings."


@pytest.mark.parametrize(
    ("fault", "error", "code", "reason"),
    [
        (with_reason(403, DISABLED), RefusedError, "refused-by-server", DISABLED),
        (with_reason(401, FINE_GRAINED), RefusedError, "refused-by-server", FINE_GRAINED),
        (with_reason(400, "Invalid rev"), NetworkError, "refused-by-server", "Invalid rev"),
        (with_reason(451, "By court order"), RefusedError, "legal-reasons", "By court order"),
        (Fault.status(451), RefusedError, "legal-reasons", "Unavailable For Legal Reasons"),
        (Fault.status(403, headers=(("cf-mitigated", "challenge"),)), RefusedError, "browser-check", None),
        (with_reason(403, "a\tb" + "c" * 400), RefusedError, "refused-by-server", None),
    ],
)
@pytest.mark.parametrize("is_plain", [False, True], ids=["hub", "address"])
def test_a_refusal_with_a_reason(
    hub: Hub, desk: Desk, fault: Fault, error: type[VaeManagerError], code: str, reason: str | None, is_plain: bool
) -> None:
    hub.api.fail_always(fault)
    source = HttpsSource(f"{hub.endpoint}/files/{NAME}") if is_plain else SOURCE
    with fails_with(error, code) as caught:
        desk.get(desk.order(DATA, source))
    assert reason in (None, caught.value.message.fields.get("reason"))
    assert len(str(caught.value)) < 600
    assert desk.names == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": "Early access ends tomorrow"}, "Early access ends tomorrow"),
        ({"error": {"message": "Too early"}}, "Too early"),
        ({"detail": "Not for you"}, "Not for you"),
    ],
)
def test_a_reason_in_the_body(hub: Hub, desk: Desk, body: object, reason: str) -> None:
    json_type = (("Content-Type", "application/json"),)
    hub.cdn.fail_always(Fault.status(400, headers=json_type, body=json.dumps(body).encode()))
    with fails_with(NetworkError, "refused-by-server") as caught:
        desk.get(desk.order(DATA, HttpsSource(hub.cdn.address + "/a.safetensors")))
    assert caught.value.message.fields["reason"] == reason


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"error": 7}', b"\xff" * 100, b'{"error": {"error": {}}}'])
def test_a_body_without_a_reason(hub: Hub, desk: Desk, body: bytes) -> None:
    hub.cdn.fail_always(Fault.status(400, headers=(("Content-Type", "application/json"),), body=body))
    with fails_with(NetworkError, "network"):
        desk.get(desk.order(DATA, HttpsSource(hub.cdn.address + "/a.safetensors")))


# -- a token for another hub ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("closing", ["gate", "make_private"])
def test_a_token_that_was_kept_back_is_told(
    hub: Hub, desk: Desk, monkeypatch: pytest.MonkeyPatch, closing: str
) -> None:
    getattr(hub, closing)(SOURCE.repo, TOKEN)
    monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)  # which versions of huggingface_hub before 0.19 do not read
    with fails_with(NotFoundError if closing == "make_private" else RefusedError, "token-kept-back") as caught:
        desk.get(desk.order(DATA, SOURCE))
    [host] = hosts_of(hub)
    assert caught.value.message.fields["host"] == host
    assert all(seen.authorization is None for seen in hub.requests)
    assert desk.get(desk.order(DATA, SOURCE), desk.network(token_hosts=frozenset({host}))).proven


@pytest.mark.parametrize(
    ("named", "address", "is_named"),
    [
        ("hub.example.com", "https://hub.example.com/x", True),
        (" Hub.Example.com ", "https://HUB.example.com", True),
        ("hub.example.com:443", "https://hub.example.com", True),
        ("hub.example.com:8443", "https://hub.example.com:8443", True),
        ("hub.example.com", "https://hub.example.com:8443", False),
        ("hub.example.com", "http://hub.example.com:8080", False),
        ("example.com", "https://hub.example.com", False),
        ("hub.example.com", "https://hub.example.com.evil.net", False),
        ("hub.example.com", "https://evil.net/hub.example.com", False),
        ("", "https://hub.example.com", False),
        ("nas.lan:80", "http://nas.lan/", True),
        ("nas.lan", "http://NAS.lan:80/", True),
        ("nas.lan", "http://[::1", False),
    ],
)
def test_a_host_is_named_exactly(named: str, address: str, is_named: bool) -> None:
    assert is_named_host(address, {named}) is is_named


# -- plain http ----------------------------------------------------------------------------------------------------
def test_plain_http_only_to_hosts_that_are_named() -> None:
    address = "http://nas.lan:8080"
    for hosts in (set(), {"nas.lan"}, {"lan:8080"}):
        with fails_with(RefusedError, "not-encrypted"):
            checked(address, hosts)
    assert checked(address, {"nas.lan:8080"}) == address
    assert hub_endpoint(Network(endpoint=f"{address}/", http_hosts=frozenset({"nas.lan:8080"}))) == address
