"""Whatever goes wrong with a download is a sentence in its row, and nothing that was there is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.hub import Fault, Hub
from tests.webui.host import PlainHost
from tests.webui.test_page import BYTES, ENTRY, SHA256, do, row, wait_for, write_catalogue
from tests.wording import says
from vae_manager.transfer import RetryPolicy, request
from vae_manager.webui.ui.page import Page

Prepare = Callable[[Hub, PlainHost, pytest.MonkeyPatch], None]


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def wrong_hash(hub: Hub, host: PlainHost, patch: pytest.MonkeyPatch) -> None:
    hub.cdn.fail_always(Fault.flip(7))


def no_space(hub: Hub, host: PlainHost, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9 - 1000, 1000))


def no_network(hub: Hub, host: PlainHost, patch: pytest.MonkeyPatch) -> None:
    host.endpoint_address = "http://127.0.0.1:9"  # the discard port: nobody listens


def gated(hub: Hub, host: PlainHost, patch: pytest.MonkeyPatch) -> None:
    hub.gate("owner/repo")


def unknown_repository(hub: Hub, host: PlainHost, patch: pytest.MonkeyPatch) -> None:
    write_catalogue(host, ENTRY.replace("hub:owner/repo", "hub:owner/nowhere"))


def no_folder(hub: Hub, host: PlainHost, patch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(host.vaes)
    host.vaes.write_bytes(b"a file where the folder should be")  # holds for root too, unlike permissions


def web_page(hub: Hub, host: PlainHost, patch: pytest.MonkeyPatch) -> None:
    hub.cdn.fail_always(Fault.portal())


@pytest.mark.parametrize(
    ("prepare", "code", "fields"),
    [
        (wrong_hash, "wrong-bytes", {"expected": SHA256}),
        (no_space, "no-space", {}),
        (no_network, "unreachable", {}),
        (gated, "licence-at-hub", {"repo": "owner/repo"}),
        (unknown_repository, "no-such-repository", {"repo": "owner/nowhere"}),
        (no_folder, "not-a-folder", {}),
        (web_page, "web-page", {}),
    ],
)
def test_it_is_said_and_nothing_is_lost(
    page: Page,
    host: PlainHost,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Prepare,
    code: str,
    fields: dict[str, str],
) -> None:
    monkeypatch.setattr(request.Network, "__init__", _patient(request.Network.__init__))
    hub.add("owner/repo", "mine.safetensors", BYTES)
    host.endpoint_address = hub.endpoint
    write_catalogue(host, ENTRY)
    mine = host.vaes / "old.safetensors"
    mine.write_bytes(b"what was here before")
    before = mine.read_bytes()
    prepare(hub, host, monkeypatch)

    do(page, do="get", entry="mine", use=True, accept=False)
    wait_for(lambda: "Problem" in page.state({})["regions"]["offers"], seconds=30)
    assert says(row(page), code, **fields)
    assert "Traceback" not in row(page)
    assert host.word == "Automatic"
    if host.vaes.is_dir():
        assert mine.read_bytes() == before
        assert not (host.vaes / "mine.safetensors").exists()
    assert "Try again" in row(page)


def quick() -> RetryPolicy:
    return RetryPolicy(max_attempts=2, first_delay=0.01)


def _patient(original: Callable[..., None]) -> Callable[..., None]:
    def init(self: request.Network, **fields: object) -> None:
        original(self, **{"retry_policy": quick(), **fields})

    return init


def test_the_way_out_of_a_closed_hub_is_named(page: Page, host: PlainHost, hub: Hub, tmp_path: Path) -> None:
    hub.add("owner/repo", "mine.safetensors", BYTES)
    hub.gate("owner/repo")
    host.endpoint_address = hub.endpoint
    write_catalogue(host, ENTRY)
    do(page, do="get", entry="mine", use=False, accept=False)
    wait_for(lambda: "Problem" in page.state({})["regions"]["offers"])
    assert "huggingface-cli login" in row(page)
