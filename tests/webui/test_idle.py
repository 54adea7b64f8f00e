"""An open page over many files asks every few seconds: unchanged, the answer is not worked out anew for each file.

The tests count executed lines of this project, so that a busy machine does not matter.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.test_long_queue import steps
from tests.library.vaes import vae
from tests.webui.host import PlainHost
from tests.webui.test_page import wait_for
from vae_manager.library import folders
from vae_manager.service import Service
from vae_manager.webui.ui.page import Page

FEW, MANY = 250, 500


def library_of(folder: Path, count: int) -> Page:
    host = PlainHost(folder)
    for number in range(count):
        vae(host.vaes / f"{number}.safetensors", number % 256, number=str(number))
    host.refresh()
    os.utime(host.vaes, (time.time() - 3600,) * 2)
    page = Page(host, Service(host.data_folder))
    page.state({}, library=("", ""))
    wait_for(lambda: not page.service.maintenance.is_inspecting)
    page.state({}, library=("", ""))
    return page


def stamp_of(page: Page) -> str:
    return str(page.state({}, library=("", ""))["library"]["stamp"])


def test_idle_look_costs_no_more_for_more_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "CHECK_SECONDS", 0.0)
    costs: dict[int, int] = {}
    for count in (FEW, MANY):
        page = library_of(tmp_path / str(count), count)
        stamp = stamp_of(page)
        page.state({}, library=(stamp, ""))
        answers: list[Any] = []
        costs[count] = steps(lambda page=page, stamp=stamp, answers=answers: answers.append(  # type: ignore[misc]
            page.state({}, library=(stamp, ""))
        ))  # fmt: skip
        assert answers[0]["library"]["rows"] == {}
    # A name is compared here and there; a row of the table alone takes some hundred lines.
    assert costs[MANY] - costs[FEW] < 4 * (MANY - FEW), costs


def test_change_reaches_the_page_all_the_same(tmp_path: Path) -> None:
    page = library_of(tmp_path, FEW)
    stamp = stamp_of(page)
    assert page.state({}, library=(stamp, ""))["library"]["rows"] == {}
    vae(page.host.folders()[0].path / "new.safetensors", 7)
    page.host.refresh()
    wait_for(lambda: len(page.state({}, library=(stamp, ""))["library"]["rows"]) == 1)
    order = page.state({}, library=(stamp, ""))["library"]["order"]
    assert order is not None
    assert len(order) == FEW + 1


def test_new_hash_choice_and_verdict_reach_the_page(tmp_path: Path) -> None:
    page = library_of(tmp_path, FEW)
    host, service = page.host, page.service
    path = host.folders()[0].path / "3.safetensors"
    stamp = stamp_of(page)
    service.stores.hashes.remember(path, "a" * 64)
    [html] = page.state({}, library=(stamp, ""))["library"]["rows"].values()
    assert "aaaaaaaaaa" in html
    before = page.state({})["sync"]
    host.word = "3.safetensors"  # type: ignore[attr-defined]
    host.follow_setting()
    assert page.state({})["sync"] != before
    assert any("in use" in row for row in page.state({}, library=(stamp, ""))["library"]["rows"].values())
    [file] = [file for file in page._listing.files(host.folders()) if file.path == path]
    page.service.maintenance.verify(file, page.host.capability)
    wait_for(lambda: all(view.state.ended for view in service.maintenance.views()))
    assert page.state({}, library=(stamp, ""))["library"]["rows"]


def test_list_that_the_webui_changes_in_place_is_seen(tmp_path: Path) -> None:
    """A1111's is one and the same dict for ever."""
    page = library_of(tmp_path, FEW)
    before = page.state({})["sync"]
    page.host.files().pop("3.safetensors")  # type: ignore[attr-defined]
    assert page.state({})["sync"] != before
