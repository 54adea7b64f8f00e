"""What another program has already is not downloaded: the setting, the click, and the line in the history."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Stages
from tests.browser.test_downloads import DOWNLOADS, OPEN, row
from tests.browser.test_settings import open_settings
from tests.shown import coded
from tests.vaes import TUNED

Open = Callable[..., Page]
FIELD = "#setting_vae_manager_other_folders textarea"


def test_a_folder_of_comfyui(stages: Stages, open_page: Open, tmp_path: Path) -> None:
    folder = tmp_path / "ComfyUI" / "models" / "vae"
    folder.mkdir(parents=True)
    shutil.copy(TUNED, folder / "theirs.safetensors")
    stage = stages()
    page = open_page(stage)
    open_settings(page)
    page.locator(FIELD).fill(str(folder))
    page.click("#settings_submit")
    expect(page.locator("#settings_result").first).to_contain_text("vae_manager_other_folders")
    assert stage.saved("vae_manager_other_folders") == str(folder)

    page.click("#tabs > .tab-nav > button:has-text('txt2img')")
    page.locator(OPEN).click()
    page.locator(row("mine")).get_by_text("Get", exact=True).click()
    past = page.locator(f"{DOWNLOADS} details.vm-past")
    past.locator("summary").click()
    expect(past.locator(coded("taken-from"))).to_contain_text(str(folder / "theirs.safetensors"))
    assert (stage.vaes / "mine.safetensors").read_bytes() == TUNED.read_bytes()
    assert (stage.hub.cdn.sent(), stage.hub.requests) == (0, [])


def test_people_elsewhere_get_no_field_for_folders(stages: Stages, open_page: Open, tmp_path: Path) -> None:
    stage = stages("--listen", config={"vae_manager_other_folders": str(tmp_path)})
    page = open_page(stage)
    open_settings(page)
    expect(page.locator("#setting_vae_manager_connections")).to_be_visible()
    expect(page.locator(FIELD)).not_to_be_visible()
