"""The API for programs, on both generations of gradio and pydantic: what it answers, refuses and documents."""

from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.admission.conftest import FOREIGN_PAGES, Target, flags, prepare
from tests.host.asking import BAD, GOOD, OTHER, Picture
from tests.host.fixtures import WebUI, start_webui
from tests.hub import Hub, Link
from tests.vaes import BASE, TUNED
from vae_manager import client
from vae_manager.client import WebUI as Client
from vae_manager.errors import NetworkError, NotAdmittedError, NotFoundError, RefusedError, VaeManagerError
from vae_manager.webui import program_models

pytestmark = pytest.mark.torch

PATH = "/vae-manager/v1"
GETS = ("status", "vaes", "catalogue", "downloads")
POSTS = ("choose", "get", "downloads/cancel", "rescue")
DATA = TUNED.read_bytes()
SHA256 = hashlib.sha256(DATA).hexdigest()
ENTRY = f"""
- id: mine
  name: Mine
  family: sd1
  purpose: for this test
  sha256: {SHA256}
  size: {len(DATA)}
  source: hub:me/vaes/mine.safetensors
  licence: {{name: Odd, link: "https://example.org/terms"}}
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as running:
        running.add("me/vaes", "mine.safetensors", DATA)
        yield running


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory, hub: Hub) -> Iterator[WebUI]:
    data = tmp_path_factory.mktemp("programs")
    prepare(data)
    (data / "vae-manager").mkdir(exist_ok=True)
    (data / "vae-manager" / "catalogue.yaml").write_text(ENTRY, encoding="utf-8")
    with start_webui(data, *flags(), env={"HF_ENDPOINT": hub.endpoint}) as started:
        assert Picture(started).status == 200  # Forge loads no model before
        yield started


def get(webui: WebUI, path: str) -> Any:
    answer = requests.get(f"{webui.url}{PATH}/{path}", timeout=60)
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(webui: WebUI, path: str, **body: Any) -> tuple[int, Any]:
    answer = requests.post(f"{webui.url}{PATH}/{path}", json=body, timeout=60)
    return answer.status_code, answer.json()


def until(true: Callable[[], Any]) -> Any:
    end = time.monotonic() + 60
    while not (found := true()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found


def test_a_choice_is_in_the_model_when_the_answer_comes(webui: WebUI) -> None:
    for name, vae in ((GOOD, GOOD), (OTHER, OTHER), ("None", None)):
        status, answer = post(webui, "choose", vae=name)
        assert status == 200, answer
        assert (answer["vae"], answer["choice"], answer["is_in_use"]) == (vae, name, True)
        assert {**get(webui, "status"), "sha256": None} == {**answer, "sha256": None}  # it may be hashed meanwhile
    assert answer["checkpoint"].startswith("demo-a")


def test_a_bad_file_is_refused_and_changes_nothing(webui: WebUI) -> None:
    before = post(webui, "choose", vae=GOOD)[1]
    status, answer = post(webui, "choose", vae=BAD)
    assert status == 409
    assert answer["code"]
    assert get(webui, "status")["vae"] == before["vae"] == GOOD
    [bad] = [one for one in get(webui, "vaes") if one["name"] == BAD]
    assert bad["verdict"] == "refused"
    assert bad["reason"]["code"]


def test_files_are_listed_with_verdicts(webui: WebUI) -> None:
    post(webui, "choose", vae=OTHER)
    found = {one["name"]: one for one in get(webui, "vaes")}
    assert {GOOD, OTHER, BAD} <= found.keys()
    assert (found[OTHER]["verdict"], found[OTHER]["is_in_use"], found[OTHER]["reason"]) == ("usable", True, None)
    assert Path(found[GOOD]["path"]).stat().st_size == found[GOOD]["size"]
    assert not found[GOOD]["is_in_use"]


@pytest.mark.parametrize("name", ["gone.safetensors", "", "../good.safetensors", "\ud800", "a" * 5000])
def test_a_vae_that_is_not_listed(webui: WebUI, name: str) -> None:
    assert post(webui, "choose", vae=name)[0] == 404


def test_a_download_from_the_catalogue(webui: WebUI, hub: Hub) -> None:
    [mine] = [one for one in get(webui, "catalogue") if one["id"] == "mine"]
    assert (mine["is_offered"], mine["here"], mine["sha256"]) == (True, None, SHA256)
    assert post(webui, "get", entry="mine")[0] == 409  # its terms have not been accepted
    hub.cdn.link = Link(rate_total=200_000)
    status, begun = post(webui, "get", entry="mine", accept=True, use=True)
    assert (status, begun["name"]) == (200, "Mine")
    until(lambda: by_key(webui, begun["key"])["done"] > 0)
    hub.cdn.link = Link()
    ended = until(lambda: (one := by_key(webui, begun["key"]))["state"] == "done" and one)
    assert (ended["done"], ended["failure"]) == (len(DATA), None)
    seen = until(lambda: (now := get(webui, "status"))["vae"] == "mine.safetensors" and now["is_in_use"] and now)
    assert (seen["sha256"], seen["entry"]) == (SHA256, "mine")
    [mine] = [one for one in get(webui, "catalogue") if one["id"] == "mine"]
    assert mine["here"] == "mine.safetensors"


def by_key(webui: WebUI, key: str) -> Any:
    [found] = [one for one in get(webui, "downloads") if one["key"] == key]
    return found


def test_a_download_from_an_address_can_be_cancelled(webui: WebUI, hub: Hub) -> None:
    hub.add("me/vaes", "slow.safetensors", BASE.read_bytes())
    hub.cdn.link = Link(rate_total=50_000)
    try:
        status, begun = post(webui, "get", address=f"{hub.endpoint}/me/vaes/resolve/main/slow.safetensors", name="s")
        assert status == 200, begun
        until(lambda: by_key(webui, begun["key"])["done"] > 0)
        assert post(webui, "downloads/cancel", key=begun["key"])[0] == 200
        until(lambda: by_key(webui, begun["key"])["state"] == "stopped")
    finally:
        hub.cdn.link = Link()
    assert "s.safetensors" not in [one["name"] for one in get(webui, "vaes")]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("get", {}, 400),
        ("get", {"entry": "mine", "address": "x"}, 400),
        ("get", {"entry": "gone"}, 404),
        ("get", {"address": "no address at all"}, 409),
        ("downloads/cancel", {"key": "gone"}, 404),
        ("downloads/cancel", {}, 400),
        ("choose", {"vae": None}, 400),
        ("choose", {"vae": []}, 400),
        ("choose", {"vae": "None", "sure": {}}, 400),
        ("choose", {"vae": "None", "surely": True}, 400),
        ("choose", {"\ud800": "\udfff"}, 400),
    ],
)
def test_wrong_questions(webui: WebUI, path: str, body: dict[str, Any], status: int) -> None:
    found, answer = post(webui, path, **body)
    assert found == status, answer
    assert answer["code"]
    assert answer["error"]


BODIES: dict[str, tuple[bytes, str, int]] = {
    "no JSON": (b"{", "application/json", 400),
    "a list": (b"[]", "application/json", 400),
    "deep": (b"[" * 5_000 + b"]" * 5_000, "application/json", 400),
    "a long number": (b'{"vae": ' + b"9" * 90_000 + b"}", "application/json", 400),
    "too long": (b'{"vae": "' + b"a" * 200_000 + b'"}', "application/json", 413),
    "a form": (b"vae=None", "application/x-www-form-urlencoded", 415),
    "text": (b'{"vae": "None"}', "text/plain", 415),
    "no UTF-8": (b'{"vae": "\xff"}', "application/json", 400),
}


@pytest.mark.parametrize("path", POSTS[:3])
@pytest.mark.parametrize(("body", "kind", "status"), BODIES.values(), ids=BODIES)
def test_wrong_bodies(webui: WebUI, path: str, body: bytes, kind: str, status: int) -> None:
    answer = requests.post(f"{webui.url}{PATH}/{path}", body, headers={"Content-Type": kind}, timeout=60)
    assert answer.status_code == status
    assert answer.json()["code"]


@pytest.mark.parametrize("headers", FOREIGN_PAGES.values(), ids=FOREIGN_PAGES)
def test_no_other_page_is_answered(target: Target, headers: dict[str, str]) -> None:
    before = target.state_of_disk()
    for path in GETS:
        assert requests.get(f"{target.webui.url}{PATH}/{path}", headers=headers, timeout=60).status_code == 403
    for path in POSTS:
        answer = target.post(f"{PATH}/{path}", {"vae": GOOD}, {**headers, "Content-Type": "application/json"})
        assert answer.status_code == 403
    assert target.state_of_disk() == before


def test_a_visitor_sees_no_paths_and_changes_no_files(shared: Target) -> None:
    """Of a server for other machines, through a tunnel: the connection is local, and its name is not."""
    headers = {"Host": "sd.tunnel.example", "X-Forwarded-For": "203.0.113.7"}
    url = f"{shared.webui.url}{PATH}"
    vaes = requests.get(f"{url}/vaes", headers=headers, timeout=60)
    assert vaes.status_code == 200
    assert {one["path"] for one in vaes.json()} == {None}
    assert str(shared.webui.data) not in vaes.text
    assert all(one["path"] for one in requests.get(f"{url}/vaes", timeout=60).json())
    answer = requests.post(f"{url}/downloads/cancel", json={"key": "x"}, headers=headers, timeout=60)
    assert answer.status_code == 409


def test_the_documents_name_each_route_and_status(webui: WebUI) -> None:
    document = requests.get(f"{webui.url}/openapi.json", timeout=60).json()
    for path in (*GETS, *POSTS[:3]):
        described = document["paths"][f"{PATH}/{path}"]
        operation = described["get" if path in GETS else "post"]
        assert operation["summary"]
        assert {"200", "400", "401", "403", "404", "409", "413", "415", "502"} <= operation["responses"].keys()
        if path in POSTS:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert schema["additionalProperties"] is False
            assert json.dumps(schema)


def test_the_client_does_all_of_it(webui: WebUI) -> None:
    with Client(webui.url) as asking:
        assert asking.choose(GOOD)["vae"] == GOOD == asking.status()["vae"]
        assert GOOD in [one["name"] for one in asking.vaes()]
        assert "mine" in [one["id"] for one in asking.catalogue()]
        seen: list[str] = []
        begun = asking.get("mine", accept=True)
        ended = asking.wait(begun["key"], lambda one: seen.append(one["state"]))
        assert (ended["state"], seen[-1]) == ("done", "done")
        assert asking.rescue()["results"][-1]["picture"]
        for failing, error, code in (
            (lambda: asking.choose("gone"), NotFoundError, "no-such-vae"),
            (lambda: asking.choose(BAD), RefusedError, None),
            (lambda: asking.wait("gone"), NotFoundError, "no-such-download"),
            (lambda: asking.cancel("gone"), NotFoundError, "no-such-download"),
            (lambda: asking.get_from(""), VaeManagerError, None),
        ):
            with pytest.raises(error) as raised:
                failing()
            assert code in (None, raised.value.code)


def test_the_client_knows_each_field_of_an_answer() -> None:
    for name in ("Failure", "Status", "Vae", "Download"):
        assert getattr(client, name).__annotations__.keys() == getattr(program_models, name).__annotations__.keys()


def test_the_client_without_a_webui(webui: WebUI, hub: Hub) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(NetworkError) as raised:
            Client(f"http://127.0.0.1:{closed.getsockname()[1]}").status()
    assert raised.value.code == "no-webui"
    with pytest.raises(NotFoundError) as missing:
        Client(hub.endpoint).status()
    assert missing.value.code == "no-api"
    with pytest.raises(NotAdmittedError):
        foreign = Client(webui.url)
        foreign._session.headers["Origin"] = "https://evil.example"
        foreign.status()
