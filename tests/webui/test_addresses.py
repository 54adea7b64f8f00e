"""The panel below the address field, and what *Get* makes of a look."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.failing import fails_with
from tests.files.corpus.case import tensors
from tests.files.samples import diffusers, ldm
from tests.hub import Fault, Hub
from tests.hub.civitai import Civitai
from tests.shown import shows
from tests.webui.host import PlainHost
from tests.webui.test_page import do, wait_for
from vae_manager.downloads import Looks
from vae_manager.downloads.addresses import name_of
from vae_manager.downloads.looks import AT_ONCE
from vae_manager.errors import NoVaeError, RefusedError
from vae_manager.jobs import JobState
from vae_manager.messages import msg
from vae_manager.service import Service
from vae_manager.transfer import Network
from vae_manager.webui import api
from vae_manager.webui.hosts.host_values import Permission
from vae_manager.webui.ui.page import Page
from vae_manager.webui.ui.rendering import Question

VAE = tensors(ldm(), made_by="<script>alert(1)</script>")
LORA = tensors({"lora_unet_x.lora_up.weight": (2, 2)})
CHECKPOINT = tensors(
    {f"first_stage_model.{name}": shape for name, shape in ldm().items()}
    | {"model.diffusion_model.out.2.weight": (4, 8, 3, 3)}
)
LOCAL = "http://127.0.0.1:7860"


@pytest.fixture
def hub(hub: Hub, host: PlainHost) -> Iterator[Hub]:
    host.endpoint_address = hub.endpoint
    hub.add("me/vaes", "vae.safetensors", VAE)
    yield hub


@pytest.fixture
def client(page: Page, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    app = FastAPI()
    monkeypatch.setattr(api, "signed_in", lambda app, request: True)
    api.register_look(app, lambda: page)
    return TestClient(app, base_url=LOCAL)


def panel(page: Page, address: str, name: str = "") -> str:
    answer = page.begin_look(address, "")
    assert futures.wait([answer], 60).done
    return str(page.show_look(answer, name)["html"])


def get(page: Page, address: str, name: str = "", *, anyway: bool = False) -> None:
    do(page, do="get-from", address=address, name=name, anyway=anyway)


# -- the route -----------------------------------------------------------------------------------------------------
def test_one_round_trip(hub: Hub, client: TestClient) -> None:
    answer = client.post("/vae-manager/look", json={"address": "hub:me/vaes/vae.safetensors", "name": ""})
    assert (answer.status_code, answer.json()["name"]) == (200, "vaes.safetensors")
    assert shows(answer.json()["html"], "loadable-as-it-is")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ('{"address": "x", "name": ""}', {"Content-Type": "text/plain"}, 415),
        ('{"address": "x"}', {}, 400),
        ('{"address": 1, "name": ""}', {}, 400),
        ("[", {}, 400),
        ('"' + "x" * 30_000 + '"', {}, 413),
        ('{"address": "x", "name": ""}', {"Origin": "https://evil.example"}, 403),
        ('{"address": "x", "name": ""}', {"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_what_is_not_answered(hub: Hub, client: TestClient, body: str, headers: dict[str, str], status: int) -> None:
    sent = {"Content-Type": "application/json", **headers}
    assert client.post("/vae-manager/look", content=body, headers=sent).status_code == status
    assert client.get("/vae-manager/look").status_code == 405
    assert hub.requests == []


def test_it_needs_the_sign_in(hub: Hub, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "signed_in", lambda app, request: False)
    answer = client.post("/vae-manager/look", json={"address": "hub:me/vaes/vae.safetensors", "name": ""})
    assert answer.status_code == 401
    assert hub.requests == []


def test_looks_that_hang_hold_no_thread_of_the_webui(hub: Hub, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """All threads but one are taken away; the other requests are answered while many looks wait."""
    app: Any = FastAPI()
    monkeypatch.setattr(api, "signed_in", lambda app, request: True)
    api.register_look(app, lambda: page)
    app.get("/other")(lambda: "answered")
    hub.api.fail_always(Fault.late(600), path="/hanging")

    async def ask() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 1
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=LOCAL) as client, anyio.create_task_group() as looks:
            for number in range(8):
                asked = {"address": f"hub:me/hanging/{number}.safetensors", "name": "", "page": f"page {number}"}
                looks.start_soon(functools.partial(client.post, "/vae-manager/look", json=asked))
            while len(hub.api.requests) < AT_ONCE:
                await anyio.sleep(0.01)
            assert (await client.get("/other")).json() == "answered"
            for number in range(8):
                asked = {"address": "hub:me/vaes/vae.safetensors", "name": "", "page": f"page {number}"}
                answer = await client.post("/vae-manager/look", json=asked)
            assert shows(answer.json()["html"], "loadable-as-it-is")

    anyio.run(ask)


# -- the panel -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (VAE, "loadable-as-it-is"),
        (tensors(diffusers()), "converted-after-download"),
        (LORA, "lora"),
        (CHECKPOINT, "checkpoint-with-vae"),
        (VAE[:-1], "truncated"),
        (b"hello", "text"),
    ],
)
def test_it_says_what_the_file_is(hub: Hub, page: Page, data: bytes, code: str) -> None:
    hub.add("me/other", "a.safetensors", data)
    html = panel(page, "hub:me/other/a.safetensors")
    assert shows(html, code)
    assert "<script" not in html


def test_a_name_is_escaped_and_a_translation_shown(hub: Hub, page: Page, host: PlainHost) -> None:
    address = hub.publish("/<b>&.safetensors", VAE).replace("<", "%3C").replace(">", "%3E").replace("&", "%26")
    assert "<b>" not in panel(page, address)


def test_the_bytes_are_here_already(hub: Hub, page: Page, host: PlainHost, service: Service) -> None:
    (host.vaes / "mine.safetensors").write_bytes(VAE)
    service.stores.hashes.compute(host.vaes / "mine.safetensors")
    assert shows(panel(page, "hub:me/vaes/vae.safetensors"), "bytes-here", "mine.safetensors")


def test_a_name_that_is_taken_or_not_allowed(hub: Hub, page: Page, host: PlainHost) -> None:
    address = "hub:me/vaes/vae.safetensors"
    (host.vaes / "taken.safetensors").write_bytes(LORA)
    assert shows(panel(page, address, "taken"), "name-taken", "taken.safetensors")
    assert shows(panel(page, address, "a/b"), "bad-file-name")
    assert shows(panel(page, address, "a.ckpt"), "no-safetensors")
    assert not shows(panel(page, address, "free"), "name-taken")
    asked = [seen for seen in hub.requests if seen.method == "HEAD"]
    assert len(asked) == 1, "a name is no reason to ask again"


def test_a_person_may_not_look_where_sources_may_not_be_changed(hub: Hub, page: Page, host: PlainHost) -> None:
    host.refused[Permission.CHANGE_SOURCES] = msg("Not with --freeze-settings.", code="frozen")
    assert shows(panel(page, "hub:me/vaes/vae.safetensors"), "frozen")
    assert hub.requests == []


def test_strangers_look_at_no_private_address_and_no_file(hub: Hub, page: Page, host: PlainHost, own: Path) -> None:
    address = hub.publish("/vae.safetensors", VAE)
    assert shows(panel(page, address), "loadable-as-it-is")
    host.shared_with_others = True
    asked = len(hub.requests)
    assert shows(panel(page, address), "not-public")
    assert shows(panel(page, str(own)), "local-path-refused")
    assert len(hub.requests) == asked


def test_an_error_is_a_sentence_and_is_asked_again(hub: Hub, page: Page) -> None:
    hub.api.fail_next(Fault.status(503))
    assert shows(panel(page, "hub:me/vaes/vae.safetensors"), "server-error")
    assert shows(panel(page, "hub:me/vaes/vae.safetensors"), "loadable-as-it-is")
    assert shows(panel(page, "https://civitai.com/models/1"), "whole-model")


# -- several files -------------------------------------------------------------------------------------------------
def sources_in(html: str) -> list[str]:
    return [part.partition('"')[0] for part in html.split('data-vae-source="')[1:]]


def test_a_repository_with_several_is_a_choice(hub: Hub, page: Page) -> None:
    for number in range(9):
        hub.add("me/many", f"vae-{number}.safetensors", tensors(ldm(), number=str(number)))
    hub.add("me/many", "vae-0.safetensors", LORA)
    html = panel(page, "me/many")
    assert sources_in(html) == [f"hub:me/many/vae-{number}.safetensors" for number in range(9)]
    assert shows(html, "lora")
    looked_at = {seen.path for seen in hub.cdn.requests}
    assert len(looked_at) == 8
    asked = len(hub.requests)
    assert shows(panel(page, sources_in(html)[1]), "loadable-as-it-is")
    assert len(hub.requests) == asked, "it was looked at already"


def test_a_repository_with_one_is_that(hub: Hub, page: Page) -> None:
    assert shows(panel(page, "me/vaes"), "loadable-as-it-is")


def test_a_version_of_civitai_with_several(hub: Hub, page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    with Civitai() as civitai:
        monkeypatch.setattr("vae_manager.transfer.civitai.HOME", civitai.endpoint)
        civitai.add(7, "a.safetensors", VAE, type="VAE")
        civitai.add(7, "b.safetensors", LORA, type="VAE")
        html = panel(page, "civitai:7")
        assert sources_in(html) == ["civitai:7/a.safetensors", "civitai:7/b.safetensors"]
        assert shows(html, "lora")


# -- the download --------------------------------------------------------------------------------------------------
def test_what_is_no_vae_is_refused_after_a_look(hub: Hub, page: Page, host: PlainHost) -> None:
    hub.add("me/other", "a.safetensors", LORA)
    panel(page, "hub:me/other/a.safetensors")
    with fails_with(NoVaeError, "lora"):
        get(page, "hub:me/other/a.safetensors")
    assert page.service.downloads.views() == ()


def test_a_checkpoint_is_a_question(hub: Hub, page: Page, host: PlainHost) -> None:
    hub.add("me/other", "a.safetensors", CHECKPOINT)
    panel(page, "hub:me/other/a.safetensors")
    with pytest.raises(Question) as asked:
        get(page, "hub:me/other/a.safetensors", "own")
    do(page, **asked.value.action)
    wait_for(lambda: (host.vaes / "own.safetensors").exists())


def test_without_a_look_it_begins_at_once(hub: Hub, page: Page, host: PlainHost) -> None:
    get(page, "hub:me/vaes/vae.safetensors", "own name")
    wait_for(lambda: (host.vaes / "own name.safetensors").exists())


def test_a_look_under_way_stops_the_download_of_no_vae(hub: Hub, page: Page, host: PlainHost) -> None:
    hub.add("me/other", "a.safetensors", CHECKPOINT)
    hub.cdn.fail_next(Fault.late(1.0))
    looking = threading.Thread(target=panel, args=(page, "hub:me/other/a.safetensors"))
    looking.start()
    wait_for(lambda: hub.cdn.requests)
    get(page, "hub:me/other/a.safetensors")
    wait_for(lambda: page.service.downloads.views()[0].job.state is JobState.FAILED)
    looking.join()
    assert page.service.downloads.views()[0].job.error is not None
    assert list(host.vaes.iterdir()) == []


def test_names() -> None:
    assert name_of("a.safetensors") == "a.safetensors"
    assert name_of("a.safetensors", " b ") == "b.safetensors"
    for own, kind in (("a/b", RefusedError), ("b.ckpt", RefusedError), ("nul", RefusedError)):
        with pytest.raises(kind):
            name_of("a.safetensors", own)
    with fails_with(RefusedError, "no-safetensors"):
        name_of("a.ckpt", "b.safetensors")


@pytest.mark.parametrize("text", ["masterpiece, " * 40, "~nosuch/x.safetensors", "~root/x.safetensors"])
def test_a_look_at_what_is_no_address_is_answered(text: str) -> None:
    nobody = Looks().at(text, lambda _: Network(), remote_users=False)
    assert nobody.error is not None
    assert nobody.error.code in ("unreadable", "no-such-file")
    everybody = Looks().at(text, lambda _: Network(), remote_users=True)
    assert everybody.error is not None
    assert everybody.error.code == "local-path-refused", "the same for each user of the machine, there or not"


def test_two_looks_at_one_address_are_one(hub: Hub) -> None:
    looks, found = Looks(), list[Any]()
    hub.cdn.fail_next(Fault.late(0.5))

    def look() -> None:
        network = Network(endpoint=hub.endpoint)
        found.append(looks.at("hub:me/vaes/vae.safetensors", lambda _: network, remote_users=False))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hub.requests) == 2
    assert found[0] is found[1] is found[2]
