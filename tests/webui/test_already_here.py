"""The page: what this machine has already is taken and not fetched, but not by addresses that others typed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.hub import Hub
from tests.transfer.ordering import sha256, some_bytes
from tests.webui.host import PlainHost
from tests.webui.test_downloads import PAST
from tests.webui.test_page import do, is_shown, text, wait_for, write_catalogue
from tests.wording import says
from vae_manager.downloads import PastDownload
from vae_manager.service import Service
from vae_manager.webui.ui.page import Page

NAME = "mine.safetensors"
DATA = some_bytes(2_000_000, "here")
ENTRY = f"""
- id: mine
  name: Mine
  family: sd1
  sha256: {sha256(DATA)}
  size: {len(DATA)}
  source: hub:owner/repo/{NAME}
"""


@pytest.fixture(autouse=True)
def cache(host: PlainHost, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub's library; the hub and the catalogue have the file."""
    folder = tmp_path / "hub cache"
    folder.mkdir()
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    hub.add("owner/repo", NAME, DATA)
    host.endpoint_address = hub.endpoint
    write_catalogue(host, ENTRY)
    return folder


@pytest.fixture
def blob(cache: Path) -> Path:
    path = cache / "models--owner--repo" / "blobs" / sha256(DATA)
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    return path


@pytest.fixture
def theirs(host: PlainHost, tmp_path: Path) -> Path:
    """The file in a folder that the owner has named."""
    path = tmp_path / "ComfyUI" / "models" / "vae" / "theirs.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    host.others = [path.parent]
    return path


def got(page: Page, service: Service, **action: object) -> PastDownload:
    """The entry of the history for a download that has ended."""
    do(page, **action)
    wait_for(service.history.entries)
    return service.history.entries()[0]


GET = {"do": "get", "entry": "mine", "use": False, "accept": False}
TYPED = {"do": "get-from", "address": f"hub:owner/repo/{NAME}", "name": "", "anyway": False}


@pytest.mark.parametrize("action", [GET, TYPED], ids=["entry", "address"])
def test_a_blob_of_the_hubs_cache_is_linked(
    page: Page, host: PlainHost, hub: Hub, service: Service, blob: Path, action: dict[str, object]
) -> None:
    past = got(page, service, **action)
    assert (past.taken_from, past.taken_as, past.fetched, past.proven) == (str(blob), "linked", 0, True)
    assert os.path.samestat(blob.stat(), (host.vaes / NAME).stat())
    assert hub.cdn.sent() == 0
    assert is_shown(page, "downloads", "taken-from", str(blob))


def test_a_file_in_a_folder_of_another_program(
    page: Page, host: PlainHost, hub: Hub, service: Service, theirs: Path
) -> None:
    past = got(page, service, **GET)
    assert (past.taken_from, past.fetched, hub.requests) == (str(theirs), 0, [])
    assert not os.path.samestat(theirs.stat(), (host.vaes / NAME).stat())


def test_a_folder_that_the_webui_searches_by_a_flag_is_not_its_own(
    page: Page, host: PlainHost, service: Service, theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = host.folders()
    monkeypatch.setattr(host, "folders", lambda: [*own, replace(own[0], path=theirs.parent)])
    assert got(page, service, **GET).taken_as in ("cloned", "copied")


def test_wrong_bytes_are_a_notice(page: Page, service: Service, blob: Path) -> None:
    blob.write_bytes(DATA[:-1] + b"x")
    past = got(page, service, **GET)
    assert (past.taken_from, past.fetched) == (None, len(DATA))
    assert past.problem is not None
    assert says(text(page, "downloads"), "copy-has-other-bytes", path=blob)


def test_others_take_what_the_catalogue_names(
    page: Page, host: PlainHost, service: Service, blob: Path, hub: Hub
) -> None:
    host.shared_with_others = True
    past = got(page, service, **GET)
    assert (past.taken_as, hub.cdn.sent()) == ("linked", 0)
    assert str(blob.parent) not in text(page, "downloads")


@pytest.mark.parametrize("pinned", ["", "@" + "1" * 40])
def test_others_learn_nothing_by_an_address(
    page: Page, host: PlainHost, service: Service, blob: Path, theirs: Path, hub: Hub, pinned: str
) -> None:
    hub.add("owner/repo", NAME, DATA, revision="1" * 40)
    snapshot = blob.parents[1] / "snapshots" / ("1" * 40) / NAME
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(blob)
    host.shared_with_others = True
    past = got(page, service, **{**TYPED, "address": f"hub:owner/repo/{NAME}{pinned}"})
    assert (past.taken_from, past.fetched, hub.cdn.sent()) == (None, len(DATA), len(DATA))


def test_an_entry_of_an_earlier_version_is_read(service: Service) -> None:
    service.history.add(PAST)
    path = service.data_folder / "history.jsonl"
    path.write_text(path.read_text().replace(', "taken_from": null, "taken_as": null', ""))
    assert Service(service.data_folder).history.entries()[0].taken_from is None
