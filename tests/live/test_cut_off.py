"""A download that is cut off by the end of the process goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ..hub import Hub
from .catalogue import Offered, sha256_of
from .page import LivePage
from .webui import WebUI, until

pytestmark = pytest.mark.live

MARGIN = 40_000_000
"""Bytes that may be sent twice: what the journal had not counted yet, and what was on the line."""


@pytest.mark.usefixtures("restart", "not_there")
def test_a_kill_in_the_middle(
    webui: WebUI, browser: Any, hub: Hub, offered: Offered, vae_folder: Path, pictures: Path
) -> None:
    asked_before = len(hub.cdn.requests)
    page = LivePage.open(browser, webui.url)
    page.open_accordion()
    page.get_and_use(offered.id)
    until(lambda: page.progress(offered.id), lambda seen: seen is not None and 40 <= seen[0] <= 80)
    page.close()
    webui.restart()
    hub.settle()
    first = hub.cdn.requests[asked_before:]
    [part] = vae_folder.glob(".*.vae-manager.part")
    assert not (vae_folder / offered.file_name).exists()
    assert part.stat().st_size > 0.3 * offered.size

    asked_at_start = len(hub.requests)
    page = LivePage.open(browser, webui.url)
    page.open_accordion()
    page.rest(2)
    assert len(hub.requests) == asked_at_start  # nothing goes on unasked
    assert page.row(offered.id).locator("[data-vae-do*=discard]").count() == 1
    page.get_and_use(offered.id)
    until((vae_folder / offered.file_name).exists)
    until(page.title, lambda title: offered.file_name.rpartition(".")[0] in title)
    page.close()

    hub.settle()
    second = hub.cdn.requests[asked_before + len(first) :]
    starts = [int(seen.headers["range"].removeprefix("bytes=").split("-")[0]) for seen in second]
    again = sum(seen.sent for seen in second)
    sent = sum(seen.sent for seen in first) + again
    figures = {"first": [seen.sent for seen in first], "starts": starts, "second": [seen.sent for seen in second]}
    (pictures / "cut-off.json").write_text(json.dumps(figures))
    assert again < 0.7 * offered.size, figures  # several connections leave gaps, so the first start says nothing
    assert offered.size <= sent < offered.size + MARGIN, figures
    assert sha256_of(vae_folder / offered.file_name) == offered.sha256
    assert webui.picture().vae == offered.file_name


@pytest.mark.usefixtures("not_there")
def test_the_page_may_be_closed_and_opened_again(
    webui: WebUI, browser: Any, offered: Offered, vae_folder: Path
) -> None:
    """The download goes on, its progress is found again, also beside a generation."""
    first = LivePage.open(browser, webui.url)
    first.open_accordion()
    first.get_and_use(offered.id)
    until(lambda: first.progress(offered.id), lambda seen: seen is not None and seen[0] > 5)
    first.close()
    page = LivePage.open(browser, webui.url)
    page.open_accordion()
    found = until(lambda: page.progress(offered.id))
    assert found is not None and found[0] > 5
    assert webui.picture().pixels
    until(lambda: webui.option("sd_vae"), lambda word: word == offered.file_name)
    assert (vae_folder / offered.file_name).exists()
    page.close()


@pytest.mark.usefixtures("not_there")
def test_reload_ui_during_a_download(webui: WebUI, browser: Any, offered: Offered) -> None:
    page = LivePage.open(browser, webui.url)
    page.open_accordion()
    page.get_and_use(offered.id)
    until(lambda: page.progress(offered.id), lambda seen: seen is not None and seen[0] > 5)
    page.reload_ui(webui)
    until(lambda: webui.option("sd_vae"), lambda word: word == offered.file_name)
    until(page.title, lambda title: offered.file_name.rpartition(".")[0] in title)
    page.close()
