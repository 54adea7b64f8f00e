"""The section "VAE Manager" of the settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .catalogue import Offered
from .page import LivePage
from .webui import WebUI, until

pytestmark = pytest.mark.live

QUICK = ["sd_model_checkpoint", "CLIP_stop_at_last_layers", "samples_format"]
SWITCH = "#tab_settings .vm-switch"
RELOAD = "#tab_settings [data-vae-do*=reload]"


@pytest.fixture
def quick_settings(webui: WebUI) -> Iterator[None]:
    if "quick settings" in webui.lacks:
        pytest.skip(webui.lacks["quick settings"])
    webui.set(quicksettings_list=QUICK)
    yield
    webui.set(quicksettings_list=["sd_model_checkpoint"])


@pytest.mark.usefixtures("quick_settings")
def test_the_switch_adds_and_takes_away(webui: WebUI, page: LivePage, pictures: Path) -> None:
    page.settings("VAE Manager")
    switch = page.raw.locator(SWITCH).first
    until(lambda: switch.get_attribute("aria-checked"), lambda checked: checked == "false")
    switch.click()
    until(lambda: webui.option("quicksettings_list"), lambda names: names == [*QUICK, "sd_vae"])
    until(lambda: switch.get_attribute("aria-checked"), lambda checked: checked == "true")
    page.raw.locator(RELOAD).first.wait_for()
    page.raw.screenshot(path=pictures / "settings-light.png", full_page=True)
    page.raw.click("#settings_submit")  # what Apply settings sends along must not undo it
    page.rest(2)
    assert webui.option("quicksettings_list") == [*QUICK, "sd_vae"]
    switch.click()
    until(lambda: webui.option("quicksettings_list"), lambda names: names == QUICK)
    until(lambda: switch.get_attribute("aria-checked"), lambda checked: checked == "false")


@pytest.mark.usefixtures("quick_settings")
def test_reload_is_offered_and_shows_it(webui: WebUI, browser: Any) -> None:
    page = LivePage.open(browser, webui.url)
    page.settings("VAE Manager")
    page.raw.locator(SWITCH).first.click()
    button = page.raw.locator(RELOAD).first
    button.wait_for()
    page.reload_ui(webui, button)
    page.raw.locator("#quicksettings #setting_sd_vae").wait_for(state="visible")
    page.settings("VAE Manager")
    page.raw.locator(SWITCH).first.wait_for()
    assert page.raw.locator(RELOAD).count() == 0
    page.close()


@pytest.mark.usefixtures("not_there")
def test_the_same_downloads_are_there(webui: WebUI, page: LivePage, offered: Offered, vae_folder: Path) -> None:
    """*Get* in the settings fetches and chooses nothing; *Pause* keeps what has come, *Cancel* does not."""
    page.settings("VAE Manager")
    row = page.raw.locator(f"#tab_settings [data-vae-entry='{offered.id}']")
    row.locator("button", has_text="Get").last.click()
    row.locator("[role=progressbar]").wait_for()
    page.rest(2)
    row.locator("button", has_text="Pause").click()
    row.locator("button", has_text="Resume").wait_for()
    assert not (vae_folder / offered.file_name).exists()
    assert list(vae_folder.glob(".*.vae-manager.part"))
    row.locator("button", has_text="Resume").click()
    until((vae_folder / offered.file_name).exists)
    row.locator("button", has_text="Use").wait_for()
    assert webui.option("sd_vae") == "Automatic"
