"""A VAE that the WebUI's own ways ask for in vain: the closed title marks it, and the WebUI's own controls are put
right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stage, Stages
from tests.browser.test_guarded import broken, picture
from tests.browser.test_main_job import DROPDOWN, STATUS, TITLE, choose
from tests.browser.test_settings import open_settings
from tests.shown import coded
from tests.vaes import TUNED
from tests.wording import worded, wording

Open = Callable[..., Page]
MARK = "✗ " + worded("was-refused", vae="broken.safetensors")
WHY = f"{STATUS} .vm-broken"
PICKER = "#setting_sd_vae"


def refusing(stages: Stages, *quick: str) -> Stage:
    """A WebUI that lists a VAE that cannot be used."""
    stage = stages(config={"quicksettings_list": ["sd_model_checkpoint", *quick]}, vaes=(TUNED,))
    broken(stage.vaes)
    stage.webui.call("/sdapi/v1/refresh-vae", {})
    return stage


def pick_in_webui(page: Page, name: str) -> None:
    page.click(f"{PICKER} input")
    page.click(f"{PICKER} ul.options li:has-text('{name}')")


def test_in_the_quick_settings(stages: Stages, open_page: Open) -> None:
    stage = refusing(stages, "sd_vae")
    page = open_page(stage, accordion=False)
    pick_in_webui(page, "broken.safetensors")
    expect(page.locator(TITLE)).to_contain_text(MARK)
    expect(page.locator(f"{PICKER} input")).to_have_value("Automatic")
    expect(page.locator(DROPDOWN)).to_have_value("Automatic")
    assert picture(stage)[0] == 200
    page.reload()
    page.wait_for_selector(f"{STATUS} p", state="attached")
    expect(page.locator(TITLE)).to_contain_text(MARK)
    page.click("#vae_manager_txt2img > .label-wrap")
    expect(page.locator(f"{WHY}{coded('incomplete')}")).to_contain_text("broken.safetensors")
    page.click(f"{WHY} .vm-dismiss")
    expect(page.locator(TITLE)).not_to_contain_text("broken")
    expect(page.locator(WHY)).to_have_count(0)
    pick_in_webui(page, "broken.safetensors")
    expect(page.locator(TITLE)).to_contain_text(MARK)
    pick_in_webui(page, TUNED.name)
    expect(page.locator(TITLE)).to_have_text(f"VAE — {TUNED.stem} · SD 1.x / 2.x · {worded('by-choice')}")


def test_on_the_settings_page(stages: Stages, open_page: Open) -> None:
    stage = refusing(stages)
    page = open_page(stage)
    open_settings(page)
    page.click("#settings > .tab-nav > button:text-is('VAE')")
    pick_in_webui(page, "broken.safetensors")
    expect(page.locator(f"{PICKER} input")).to_have_value("broken.safetensors")
    page.click("#settings_submit")
    expect(page.locator(f"{PICKER} input")).to_have_value("Automatic")
    page.click("#tabs > .tab-nav > button:has-text('txt2img')")
    expect(page.locator(TITLE)).to_contain_text(MARK)
    expect(page.locator(f"{WHY}{coded('incomplete')}")).to_contain_text("broken.safetensors")
    assert stage.option("sd_vae") == "Automatic"
    choose(page, TUNED.name)
    expect(page.locator(TITLE)).to_have_text(f"VAE — {TUNED.stem} · SD 1.x / 2.x · {worded('by-choice')}")
    expect(page.locator(WHY)).to_have_count(0)


def test_by_the_api(stages: Stages, open_page: Open) -> None:
    stage = refusing(stages)
    stage.webui.call("/sdapi/v1/options", {"sd_vae": "broken.safetensors"})
    picture(stage, override_settings={"sd_vae": TUNED.name})
    page = open_page(stage)
    expect(page.locator(TITLE)).to_contain_text(MARK)
    expect(page.locator(f"{WHY}{coded('incomplete')}")).to_contain_text("broken.safetensors")
    choose(page, "Built-in")
    expect(page.locator(TITLE)).to_have_text(f"VAE — Built-in · SD 1.x / 2.x · {worded('by-choice')}")


@pytest.mark.parametrize("dismissed", [False, True])
def test_at_the_start(stages: Stages, open_page: Open, tmp_path: Path, dismissed: bool) -> None:
    broken(tmp_path)
    stage = stages(config={"sd_vae": "broken.safetensors"}, vaes=(tmp_path / "broken.safetensors", TUNED))
    page = open_page(stage)
    expect(page.locator(TITLE)).to_have_text(f"VAE — Built-in · SD 1.x / 2.x · {MARK}")
    expect(page.locator(f"{STATUS} {coded('because-refused')}")).to_contain_text("broken.safetensors")
    expect(page.locator(f"{WHY}{coded('incomplete')}")).to_contain_text("broken.safetensors")
    if dismissed:
        page.click(f"{WHY} .vm-dismiss")
        expect(page.locator(WHY)).to_have_count(0)
    assert picture(stage)[0] == 200
    page.reload()
    page.wait_for_selector(f"{STATUS} p", state="attached")
    expect(page.locator(WHY)).to_have_count(0 if dismissed else 1)
    said = stage.webui.log.read_text(encoding="utf-8", errors="replace")
    assert len(wording("incomplete", file="broken.safetensors").findall(said)) == 1, said
    choose_again(page)


def choose_again(page: Page) -> None:
    page.click("#vae_manager_txt2img > .label-wrap")
    choose(page, TUNED.name)
    expect(page.locator(TITLE)).to_have_text(f"VAE — {TUNED.stem} · SD 1.x / 2.x · {worded('by-choice')}")
