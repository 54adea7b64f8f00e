"""The API for programs, on both generations of gradio and pydantic: what it answers, refuses and documents."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.admission.conftest import FOREIGN_PAGES, Target, flags, prepare
from tests.admission.programs import DATA, PATH, SHA256, get, picture, post, until
from tests.host.asking import BAD, GOOD, OTHER
from tests.host.fixtures import WebUI, start_webui
from tests.hub import Hub, Link
from tests.vaes import BASE
from vae_manager import client
from vae_manager.client import WebUI as Client
from vae_manager.errors import (
    NetworkError,
    NotAdmittedError,
    NotFoundError,
    RefusedError,
    UsageError,
    VaeManagerError,
)
from vae_manager.webui import program_models

pytestmark = pytest.mark.torch

GETS = ("status", "vaes", "catalogue", "needs", "downloads", "jobs", "jobs/{key}")
POSTS = (
    "choose",
    "get",
    "downloads/cancel",
    "needs/get",
    "verify",
    "compare",
    "best",
    "best/pictures",
    "jobs/cancel",
    "rescue",
)


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


FIELDS = "model_fields" if hasattr(program_models.Status, "model_fields") else "__fields__"
"""Name of the fields of a model, of pydantic 2 or 1."""


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


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(("body", "kind", "status"), BODIES.values(), ids=BODIES)
def test_wrong_bodies(webui: WebUI, path: str, body: bytes, kind: str, status: int) -> None:
    answer = requests.post(f"{webui.url}{PATH}/{path}", body, headers={"Content-Type": kind}, timeout=60)
    takes_it = status == 413 and path in ("compare", "best/pictures")  # a picture may be as long
    assert answer.status_code == (400 if takes_it else status)
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
    served = {path.removeprefix(f"{PATH}/") for path in document["paths"] if path.startswith(PATH)}
    assert served == {*GETS, *POSTS}
    for path in served:
        described = document["paths"][f"{PATH}/{path}"]
        operation = described["get" if path in GETS else "post"]
        assert operation["summary"]
        assert {"200", "400", "401", "403", "404", "409", "502"} <= operation["responses"].keys()
        assert ("{key}" in path) == bool(operation.get("parameters"))
        if path in POSTS:
            assert {"413", "415"} <= operation["responses"].keys()
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
        [checked] = asking.wait_for_job(asking.verify(GOOD)["key"])["verified"] or []
        assert checked["name"] == GOOD
        compared = asking.wait_for_job(asking.compare(["None", GOOD], picture=picture())["key"])["comparison"]
        assert compared is not None
        assert {one["vae"] for one in compared["results"]} == {"None", GOOD}
        job = asking.best(["None", GOOD], [("a.png", picture(1)), ("b.png", picture(2)), ("c.png", picture(3))])
        ranking = asking.wait_for_job(job["key"])["ranking"]
        assert ranking is not None
        assert ranking["pictures"] == 3
        assert job["key"] in [one["key"] for one in asking.jobs()]
        for failing, error, code in (
            (lambda: asking.choose("gone"), NotFoundError, "no-such-vae"),
            (lambda: asking.choose(BAD), RefusedError, None),
            (lambda: asking.wait("gone"), NotFoundError, "no-such-download"),
            (lambda: asking.cancel("gone"), NotFoundError, "no-such-download"),
            (lambda: asking.job("gone ?x#"), NotFoundError, "no-such-job"),
            (lambda: asking.cancel_job("gone"), NotFoundError, "no-such-job"),
            (lambda: asking.verify("gone"), NotFoundError, "no-such-vae"),
            (lambda: asking.compare([]), UsageError, "no-vaes"),
            (asking.needs, NotFoundError, "unknown-engine"),
            (asking.get_needs, RefusedError, "unknown-engine"),
            (lambda: asking.get_from(""), VaeManagerError, None),
        ):
            with pytest.raises(error) as raised:
                failing()
            assert code in (None, raised.value.code)


def test_the_client_knows_each_field_of_an_answer() -> None:
    for name in client.__all__[:-1]:
        model = getattr(program_models, name)
        assert getattr(client, name).__annotations__.keys() == getattr(model, FIELDS).keys()


@pytest.mark.parametrize("flag", ["--api-auth", "--gradio-auth"])
def test_the_client_signs_in(tmp_path: Path, flag: str) -> None:
    prepare(tmp_path)
    with start_webui(tmp_path, *flags(), flag, "me:p@ss word") as started:
        for auth in (None, ("me", "wrong"), ("nobody", "p@ss word")):
            with Client(started.url, auth=auth) as asking, pytest.raises(NotAdmittedError) as raised:
                asking.status()
            assert raised.value.code == "not-signed-in"
        address = started.url.replace("http://", "http://me:p%40ss%20word@")
        for signed in (Client(started.url, auth=("me", "p@ss word")), Client(address)):
            with signed as asking:
                assert "p@ss" not in asking.url
                assert asking.status()["choice"]
                assert asking.choose("None")["choice"] == "None"


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://[", "http://x:port", "file:///etc/passwd"])
def test_what_is_no_address_of_a_webui(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        Client(url)
    assert raised.value.code == "no-webui-address"


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
