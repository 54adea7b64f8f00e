"""Looks at addresses: how many run, wait and are cancelled, and what a server that hangs can hold up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.cli.command import sha256
from tests.failing import fails_with
from tests.files.corpus.case import tensors
from tests.files.samples import ldm
from tests.hub import Fault, Hub
from tests.hub.civitai import Civitai
from vae_manager.catalogue import HubSource
from vae_manager.downloads import Look, Looks
from vae_manager.downloads import looks as looks_module
from vae_manager.downloads.addresses import typed
from vae_manager.downloads.looks import AT_ONCE, MAX_WAITING
from vae_manager.errors import NetworkError
from vae_manager.transfer import Network

VAE = tensors(ldm())
SOON = 10.0


class Asker:
    """Looks at files of one hub, by the pages of one service."""

    def __init__(self, hub: Hub) -> None:
        self.hub, self.looks = hub, Looks()
        self.network = Network(endpoint=hub.endpoint, read_timeout=60)
        self.hub.add("me/quick", "vae.safetensors", VAE)

    def begin(self, address: str, page: str = "") -> Future[Look]:
        return self.looks.begin(address, lambda _: self.network, remote_users=False, page=page)

    def hang(self, *pages: str) -> list[Future[Look]]:
        """Begin a look by each of the pages, each at another file, whose server does not answer."""
        self.hub.api.fail_always(Fault.late(600), path="/hanging")
        return [self.begin(f"hub:me/hanging/{number}.safetensors", page) for number, page in enumerate(pages)]

    def asked(self, part: str) -> list[str]:
        return [seen.path for seen in self.hub.requests if part in seen.path]


@pytest.fixture
def asker(hub: Hub) -> Asker:
    return Asker(hub)


def wait_for(condition: Callable[[], object]) -> None:
    until = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def code(answer: Future[Look]) -> str | None:
    error = answer.result(SOON).error
    return error.code if error is not None else None


def running() -> int:
    return sum(thread.name == "vae-manager look" for thread in threading.enumerate())


def test_a_newer_look_of_a_page_replaces_the_older(asker: Asker) -> None:
    hanging = asker.hang(*["page"] * 5)  # as fast as a person types: most have not begun
    assert [code(answer) for answer in hanging[:4]] == ["cancelled"] * 4
    wait_for(lambda: running() == 1)
    wait_for(lambda: any("4" in path for path in asker.asked("hanging")))
    assert code(asker.begin("hub:me/quick/vae.safetensors", "page")) is None
    assert code(hanging[4]) == "cancelled"
    wait_for(lambda: running() == 0)
    asker.hub.settle()  # each connection is over, long before the server's answer


def test_the_looks_of_other_pages_go_on(asker: Asker) -> None:
    asker.hub.api.fail_always(Fault.late(600), path="/hanging")
    first, second = (asker.begin("hub:me/hanging/a.safetensors", page) for page in ("one", "two"))
    assert first is second
    wait_for(lambda: asker.asked("hanging"))
    asker.begin("hub:me/quick/vae.safetensors", "one")
    wait_for(lambda: asker.asked("quick"))
    assert (first.done(), len(asker.asked("hanging"))) == (False, 1)
    asker.begin("hub:me/quick/vae.safetensors", "two")
    assert code(first) == "cancelled"


def test_a_cancelled_look_is_begun_again(asker: Asker) -> None:
    asker.hub.add("me/vaes", "vae.safetensors", VAE)
    asker.hub.api.fail_next(Fault.late(600), path="/me/vaes")
    first = asker.begin("hub:me/vaes/vae.safetensors", "page")
    wait_for(lambda: asker.asked("me/vaes"))
    asker.begin("hub:me/quick/vae.safetensors", "page")
    assert code(asker.begin("hub:me/vaes/vae.safetensors", "page")) is None
    assert code(first) == "cancelled"


def test_few_run_and_few_wait(asker: Asker) -> None:
    answers = asker.hang(*(f"page {number}" for number in range(AT_ONCE + MAX_WAITING + 3)))
    wait_for(lambda: len(asker.asked("hanging")) == AT_ONCE)
    assert running() == AT_ONCE
    assert [code(answer) for answer in answers[AT_ONCE + MAX_WAITING :]] == ["too-many-looks"] * 3
    assert not any(answer.done() for answer in answers[: AT_ONCE + MAX_WAITING])
    asker.begin("hub:me/quick/vae.safetensors", f"page {AT_ONCE}")  # the first of those that wait leaves at once
    assert code(answers[AT_ONCE]) == "cancelled"
    quick = asker.begin("hub:me/quick/vae.safetensors", "page 0")  # a running one leaves, and the next begins
    assert code(answers[0]) == "cancelled"
    wait_for(lambda: len(asker.asked("hanging")) == AT_ONCE + 1)
    assert not quick.done()
    for number in range(1, AT_ONCE + MAX_WAITING):
        asker.begin("hub:me/quick/vae.safetensors", f"page {number}")
    assert code(quick) is None
    wait_for(lambda: running() == 0)


def test_a_server_that_hangs_is_left_at_the_deadline(asker: Asker) -> None:
    asker.network = Network(endpoint=asker.hub.endpoint, read_timeout=60, answer_timeout=0.5)
    [answer] = asker.hang("page")
    assert code(answer) == "answer-too-slow"
    wait_for(lambda: running() == 0)
    asker.hub.settle()


def test_all_of_a_look_has_one_deadline(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list takes half of it, so the file has the other half."""
    monkeypatch.setattr(looks_module, "MAX_LOOK_SECONDS", 2.0)
    asker.hub.add("me/one", "vae.safetensors", VAE)
    asker.hub.api.fail_next(Fault.late(1.0), path="/tree/")
    asker.hub.cdn.fail_always(Fault.trickle(20))
    began = time.monotonic()
    assert code(asker.begin("me/one")) == "answer-too-slow"
    assert time.monotonic() - began < 2 * 2.0
    asker.hub.settle()


def test_a_fault_reaches_those_who_wait(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks_module, "typed_source", lambda *_, **__: 1 / 0)
    answer = asker.begin("x")
    with pytest.raises(ZeroDivisionError):
        answer.result(SOON)
    assert asker.looks.seen("x", remote_users=False, wait=True) is None


# -- what a download makes of it -----------------------------------------------------------------------------------
def test_a_click_asks_no_server_for_what_a_look_has_seen(hub: Hub, tmp_path: Path) -> None:
    with Civitai() as civitai:
        civitai.add(7, "my vae.safetensors", VAE)
        network = Network(endpoint=hub.endpoint, civitai=civitai.endpoint)
        hub.add("me/one", "vae.safetensors", VAE)
        looks = Looks()
        for address, name in (("civitai:7", "my vae.safetensors"), ("me/one", "one-vae.safetensors")):
            looks.at(address, lambda _: network, remote_users=False)
            seen = looks.seen(address, remote_users=False)
            asked = len(hub.requests), len(civitai.api.requests)
            request = typed(address, tmp_path, lambda _: network, remote_users=False, seen=seen)
            assert request.file_name == name
            assert (len(hub.requests), len(civitai.api.requests)) == asked


@pytest.mark.parametrize("page", ["me/quick/blob/main/vae.safetensors", "me/quick", "me/quick/tree/main"])
def test_a_page_of_the_hub_that_is_set(asker: Asker, tmp_path: Path, page: str) -> None:
    address = f"{asker.hub.endpoint}/{page}"
    found = asker.begin(address).result(SOON).found
    assert found is not None
    assert (found.source, found.record.sha256) == (HubSource("me/quick", "vae.safetensors"), sha256(VAE))
    request = typed(address, tmp_path, lambda _: asker.network, remote_users=False)
    assert request.sources == (found.source,)


def test_a_click_waits_for_a_server_only_so_long(asker: Asker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_manager.downloads.addresses.CLICK_SECONDS", 0.5)
    asker.hub.api.fail_always(Fault.late(600), path="/tree/")
    with fails_with(NetworkError, "answer-too-slow"):
        typed("me/quick", tmp_path, lambda _: asker.network, remote_users=False)
    asker.hub.settle()
    assert not futures.wait([asker.begin("hub:me/quick/vae.safetensors")], SOON).not_done
