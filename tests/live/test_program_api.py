"""The API for programs on the running WebUI, which needs --api: each route right and wrong.

What a wrong request leaves is looked at in the WebUI's own options and in the folder of VAEs. The check of the sign-in
runs alone, on a WebUI that was started with --api-auth:

    pytest tests/live/test_program_api.py -k sign_in --webui=URL --webui-api-auth=NAME:PASSWORD
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import requests

from vae_manager import client as programs
from vae_manager.client import WebUI as Client
from vae_manager.errors import NotFoundError, RefusedError, UsageError, VaeManagerError

from ..hub import Hub, Link
from .catalogue import Offered
from .conftest import RATE, option
from .webui import PATIENCE, WebUI, until

pytestmark = pytest.mark.live

PATH: Final = "/vae-manager/v1"
ABOVE_ALL: Final = 97 << 20
"""Bytes; no route takes a longer body."""
FAILURES: Final = {400, 401, 403, 404, 409, 413, 415, 502}
"""The statuses that the reference lists."""
READS: Final = {"status": programs.Status, "vaes": programs.Vae, "downloads": programs.Download}
"""Routes whose answers the client describes."""
FOREIGN: Final = {
    "another page": {"Origin": "https://evil.example"},
    "a page without a name": {"Origin": "null"},
    "another site": {"Sec-Fetch-Site": "cross-site"},
    "another port": {"Origin": "http://127.0.0.1:3000"},
    "a rebound name": {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
    "a rebound proxy": {"X-Forwarded-Host": "evil.example"},
}
BODIES: Final[dict[str, tuple[bytes, str, int]]] = {
    "empty": (b"", "application/json", 400),
    "no JSON": (b"{", "application/json", 400),
    "a list": (b"[]", "application/json", 400),
    "null": (b"null", "application/json", 400),
    "deep": (b"[" * 5_000 + b"]" * 5_000, "application/json", 400),
    "an unknown field": (b'{"surely": true}', "application/json", 400),
    "no UTF-8": (b'{"vae": "\xff"}', "application/json", 400),
    "a form": (b"vae=None", "application/x-www-form-urlencoded", 415),
    "text": (b'{"vae": "None"}', "text/plain", 415),
    "without a type": (b'{"vae": "None"}', "", 415),
    "huge": (b" " * ABOVE_ALL, "application/json", 413),
}
WRONG: Final[tuple[tuple[str, dict[str, Any], int], ...]] = (
    ("choose", {"vae": None}, 400),
    ("choose", {"vae": 1}, 400),
    ("choose", {"vae": ["None"]}, 400),
    ("choose", {"vae": "None", "sure": "yes"}, 400),
    ("choose", {"vae": "None", "surely": True}, 400),
    ("choose", {}, 400),
    ("choose", {"vae": "live-gone.safetensors"}, 404),
    ("choose", {"vae": "../live-other.safetensors"}, 404),
    ("choose", {"vae": "\ud800"}, 404),
    ("get", {}, 400),
    ("get", {"entry": "live-vae", "address": "https://example.org/a.safetensors"}, 400),
    ("get", {"entry": 1}, 400),
    ("get", {"entry": "live-vae", "use": 1}, 400),
    ("get", {"entry": "live-gone"}, 404),
    ("get", {"address": "no address at all"}, 409),
    ("get", {"address": "file:///etc/passwd"}, 409),
    ("downloads/cancel", {}, 400),
    ("downloads/cancel", {"key": 1}, 400),
    ("downloads/cancel", {"key": "live-gone"}, 404),
    ("rescue", {"infotext": 1}, 400),
    ("rescue", {"infotext": "of no picture"}, 404),
)


@pytest.fixture(scope="module")
def asking(webui: WebUI) -> Iterator[Client]:
    with Client(webui.url) as client:
        yield client


@pytest.fixture(scope="module")
def routes(webui: WebUI) -> list[tuple[str, str]]:
    """Method and path of each route for programs, as the WebUI describes them."""
    found = _routes(webui.get("/openapi.json"))
    assert {("GET", f"{PATH}/status"), ("POST", f"{PATH}/choose"), ("POST", f"{PATH}/rescue")} <= set(found)
    return found


def _routes(document: Any) -> list[tuple[str, str]]:
    paths = {path: methods for path, methods in document["paths"].items() if path.startswith("/vae-manager/")}
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def _before(webui: WebUI, vae_folder: Path) -> object:
    """What no refused request may change."""
    options = {name: value for name, value in webui.options().items() if name.startswith(("sd_vae", "forge_add"))}
    files = sorted((path.name, path.stat().st_size) for path in vae_folder.iterdir())
    return options, files, webui.get(f"{PATH}/downloads"), webui.get(f"{PATH}/status")


def _assert_failure(answer: requests.Response, status: int) -> None:
    assert answer.status_code == status, (answer.status_code, answer.text[:500])
    told = answer.json()
    assert told["code"]
    assert told["error"]
    assert told.keys() == {"code", "error"}


# -- right -------------------------------------------------------------------------------------------------------------
def test_each_answer_has_the_fields_of_the_client(webui: WebUI, there: str) -> None:
    webui.picture()  # a Forge loads its model with it
    for path, shape in READS.items():
        answer = webui.get(f"{PATH}/{path}")
        for one in answer if isinstance(answer, list) else [answer]:
            assert one.keys() == shape.__annotations__.keys()
    assert "live-vae" in [one["id"] for one in webui.get(f"{PATH}/catalogue")]
    assert there in [one["name"] for one in webui.get(f"{PATH}/vaes")]


def test_a_choice_is_in_use_when_the_answer_comes(webui: WebUI, asking: Client, other: str, there: str) -> None:
    webui.picture()
    for name, vae in ((other, other), (there, there), ("None", None)):
        seen = asking.choose(name)
        assert (seen["choice"], seen["vae"], seen["is_in_use"], seen["refused"]) == (name, vae, True, None)
        assert webui.option("sd_vae") == name
        assert webui.picture().vae == vae
        assert asking.status()["vae"] == vae
    assert asking.choose("Automatic")["choice"] == "Automatic"


@pytest.mark.usefixtures("not_there")
def test_get_and_use(webui: WebUI, asking: Client, offered: Offered) -> None:
    webui.picture()
    begun = asking.get(offered.id, use=True)
    seen: list[str] = []
    assert asking.wait(begun["key"], lambda one: seen.append(one["state"]))["done"] == offered.size
    assert seen[-1] == "done"
    status = until(asking.status, lambda one: one["vae"] == offered.file_name and one["is_in_use"])
    assert (status["entry"], status["sha256"]) == (offered.id, offered.sha256)
    [entry] = [one for one in asking.catalogue() if one["id"] == offered.id]
    assert entry["here"] == offered.file_name
    assert webui.picture().vae == offered.file_name


@pytest.mark.usefixtures("not_there")
def test_a_download_is_cancelled(asking: Client, offered: Offered, hub: Hub, vae_folder: Path) -> None:
    hub.cdn.link = Link(rate_total=2_000_000)
    try:
        key = asking.get(offered.id)["key"]
        until(lambda: _download(asking, key)["done"] > 0)
        asking.cancel(key)
        until(lambda: _download(asking, key)["state"] == "stopped")
        with pytest.raises(RefusedError):
            asking.wait(key)
    finally:
        hub.cdn.link = Link(rate_total=RATE)
    assert not (vae_folder / offered.file_name).exists()


@pytest.mark.usefixtures("not_there")
def test_a_download_from_an_address(asking: Client, offered: Offered, hub: Hub, vae_folder: Path) -> None:
    target = vae_folder / "live-by-address.safetensors"
    address = f"{hub.endpoint}/live/vae/resolve/main/{offered.file_name}"
    try:
        begun = asking.get_from(address, name=target.stem)
        assert asking.wait(begun["key"])["done"] == offered.size == target.stat().st_size
        [seen] = [one for one in asking.vaes() if one["name"] == target.name]
        assert (seen["size"], seen["sha256"]) == (offered.size, offered.sha256)
    finally:
        target.unlink(missing_ok=True)


def _download(asking: Client, key: str) -> programs.Download:
    [found] = [one for one in asking.downloads() if one["key"] == key]
    return found


def test_a_picture_is_rescued_and_compared(webui: WebUI, asking: Client, other: str) -> None:
    asking.choose("None")
    picture = webui.picture(seed=20)
    for infotext in (None, picture.infotext):
        assert asking.rescue(infotext)["results"][-1]["picture"]
    compared = webui.post("/vae-manager/api/compare", {"infotext": picture.infotext, "vaes": ["None", other]})
    assert [(one["vae"], bool(one["picture"]), one["error"]) for one in compared["results"]] == [
        ("None", True, None),
        (other, True, None),
    ]
    assert webui.picture(seed=20).looks_like(picture)


# -- wrong -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("path", "body", "status"), WRONG)
def test_a_wrong_question_changes_nothing(
    webui: WebUI, vae_folder: Path, other: str, offered: Offered, path: str, body: dict[str, Any], status: int
) -> None:
    before = _before(webui, vae_folder)
    _assert_failure(requests.post(f"{webui.url}{PATH}/{path}", json=body, timeout=PATIENCE), status)
    assert _before(webui, vae_folder) == before


@pytest.mark.parametrize(("body", "kind", "status"), BODIES.values(), ids=BODIES)
def test_a_wrong_body_changes_nothing(
    webui: WebUI, vae_folder: Path, routes: list[tuple[str, str]], body: bytes, kind: str, status: int
) -> None:
    before = _before(webui, vae_folder)
    for method, path in routes:
        if method == "POST":
            headers = {"Content-Type": kind} if kind else {}
            with requests.Session() as session:
                answer = session.post(webui.url + path, _sent(body), headers=headers, timeout=PATIENCE)
            _assert_failure(answer, status)
    assert _before(webui, vae_folder) == before


def _sent(body: bytes) -> Any:
    """A long body in parts, without its length: only reading it can tell."""
    return (body[begin : begin + (1 << 20)] for begin in range(0, len(body), 1 << 20)) if len(body) > 1 << 20 else body


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN)
def test_no_other_page_is_answered(
    webui: WebUI, vae_folder: Path, routes: list[tuple[str, str]], headers: dict[str, str]
) -> None:
    before = _before(webui, vae_folder)
    for method, path in routes:
        body = json.dumps({"vae": "None"}) if method == "POST" else None
        sent = {**headers, "Content-Type": "application/json"}
        answer = requests.request(method, webui.url + path, data=body, headers=sent, timeout=PATIENCE)
        assert answer.status_code == 403, path
        assert answer.json()["code"]
    assert _before(webui, vae_folder) == before


def test_a_wrong_method_is_no_fault(webui: WebUI, routes: list[tuple[str, str]]) -> None:
    for method, path in routes:
        for wrong in {"GET", "POST", "PUT", "DELETE"} - {method}:
            if (wrong, path) not in routes:
                assert requests.request(wrong, webui.url + path, timeout=PATIENCE).status_code in (404, 405), path


def test_the_client_raises_what_the_webui_answers(webui: WebUI, asking: Client, other: str) -> None:
    wrong: list[tuple[type[VaeManagerError], str, Any]] = [
        (NotFoundError, "no-such-vae", lambda: asking.choose("live-gone.safetensors")),
        (NotFoundError, "no-such-download", lambda: asking.cancel("live-gone")),
        (NotFoundError, "no-such-download", lambda: asking.wait("live-gone")),
        (UsageError, "wrong-field", lambda: asking.choose(None)),  # type: ignore[arg-type]
    ]
    for kind, code, ask in wrong:
        with pytest.raises(kind) as raised:
            ask()
        assert raised.value.code == code


# -- the sign-in -------------------------------------------------------------------------------------------------------
def test_the_sign_in(pytestconfig: pytest.Config) -> None:
    """Of --api-auth: without it no route answers and none acts."""
    url, pair = option(pytestconfig, "--webui"), option(pytestconfig, "--webui-api-auth")
    if url is None or pair is None:
        pytest.skip("needs a WebUI with --api-auth: --webui URL --webui-api-auth NAME:PASSWORD")
    name, _, password = pair.partition(":")
    routes = _routes(requests.get(f"{url}/openapi.json", timeout=PATIENCE).json())
    assert routes
    with Client(url, auth=(name, password)) as asking:
        chosen = asking.choose("None")["choice"]
        for wrong in (None, (name, ""), (name, password + "x"), ("", password), (name.upper() + "x", password)):
            for method, path in routes:
                body = {"vae": "Automatic"} if method == "POST" else None
                answer = requests.request(method, url + path, json=body, auth=wrong, timeout=PATIENCE)
                _assert_failure(answer, 401)
        for header in ("Basic", "Basic !", "Basic /w==", f"Bearer {password}", "Basic " + "A" * 30_000):
            answer = requests.get(f"{url}{PATH}/status", headers={"Authorization": header}, timeout=PATIENCE)
            assert answer.status_code in (401, 431, 400), header[:20]
        assert asking.status()["choice"] == chosen == "None"
        for method, path in routes:
            answer = requests.request(
                method,
                url + path,
                json={"surely": 1} if method == "POST" else None,
                auth=(name, password),
                timeout=PATIENCE,
            )
            assert answer.status_code == (400 if method == "POST" else 200), path
        asking.choose("Automatic")
