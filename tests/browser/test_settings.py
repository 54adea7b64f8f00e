"""The section of the settings, flags that forbid things, language, and the keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import GET_AND_USE, Stage, Stages
from tests.browser.late import Late
from tests.browser.test_main_job import ACCORDION, DROPDOWN, MINE, STATUS, TITLE, choose
from tests.vaes import BASE, TUNED
from tests.wording import worded, wording

Open = Callable[..., Page]
SECTION = "[data-vae-region=settings]"


def open_settings(page: Page) -> None:
    page.click("#tabs > .tab-nav > button:has-text('Settings')")
    page.click("#settings > .tab-nav > button:has-text('VAE Manager')")


def test_the_quick_settings_switch(stages: Stages, open_page: Open) -> None:
    mine = ["sd_model_checkpoint", "sd_vae_decode_method"]
    stage = stages(config={"quicksettings_list": mine}, vaes=(TUNED,))
    page = open_page(stage)
    open_settings(page)
    switch = page.locator(f"{SECTION} [role=switch]")
    expect(switch).to_have_attribute("aria-checked", "false")
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_have_attribute("aria-checked", "true")
    expect(switch).to_be_focused()
    assert stage.saved("quicksettings_list") == [*mine, "sd_vae"]
    seen = stage.webui.log.stat().st_size
    page.click(f"{SECTION} button:has-text('Reload UI')")
    stage.webui.wait_until_ready(seen)
    page.close()

    page = open_page(stage)
    quick = page.locator("#quicksettings #setting_sd_vae input")
    expect(quick).to_have_value("Automatic")
    choose(page, TUNED.name)
    expect(quick).to_have_value(TUNED.name)
    quick.click()
    page.click("#quicksettings #setting_sd_vae ul.options li:has-text('None')")
    expect(page.locator(TITLE)).to_contain_text(f"Built-in · SD 1.x / 2.x · {worded('by-choice')}")
    expect(page.locator(DROPDOWN)).to_have_value(worded("built-in"))
    open_settings(page)
    page.click(f"{SECTION} [role=switch]")
    expect(page.locator(f"{SECTION} [role=switch]")).to_have_attribute("aria-checked", "false")
    assert stage.saved("quicksettings_list") == mine


def test_apply_settings_does_not_undo_a_choice(stages: Stages, open_page: Open) -> None:
    stage = stages(vaes=(TUNED,))
    page = open_page(stage)
    choose(page, TUNED.name)
    expect(page.locator(TITLE)).to_contain_text(TUNED.stem)
    expect(page.locator("#setting_sd_vae input")).to_have_value(TUNED.name)
    open_settings(page)
    page.click("#settings_submit")
    expect(page.locator("#settings_result").first).to_contain_text("settings changed")
    assert stage.option("sd_vae") == TUNED.name


@pytest.mark.parametrize("place", ["quick settings", "settings"])
def test_values_that_were_overtaken_on_their_way_change_no_choice(stages: Stages, open_page: Open, place: str) -> None:
    """The answer that brings the WebUI's own dropdown the first of two choices comes after the second one."""
    shown = ["sd_model_checkpoint", *(["sd_vae"] if place == "quick settings" else [])]
    stage = stages(config={"quicksettings_list": shown}, vaes=(BASE, TUNED))
    page = open_page(stage)
    picker = page.locator("#setting_sd_vae input")
    expect(picker).to_have_value("Automatic")
    late = Late(page, stage, "_sync")
    choose(page, TUNED.name)
    expect(page.locator(TITLE)).to_contain_text(TUNED.stem)
    page.wait_for_function("() => window.lateAnswers > 0")
    choose(page, BASE.name)
    expect(page.locator(TITLE)).to_contain_text(BASE.stem)
    late.come()
    for _ in range(2):  # what the late values bring about has reached the server before the second one
        with page.expect_response("**/run/predict*"):
            page.click(f"{ACCORDION}_refresh")
    expect(picker).to_have_value(BASE.name)
    assert stage.option("sd_vae") == BASE.name
    expect(page.locator(TITLE)).to_contain_text(BASE.stem)


def test_the_settings_offer_the_same_downloads(stages: Stages, open_page: Open) -> None:
    stage = stages()
    page = open_page(stage)
    open_settings(page)
    page.click(f"{SECTION} [data-vae-entry=mine] {GET_AND_USE}")
    expect(page.locator(f"{SECTION} [data-vae-entry=mine]")).to_contain_text("✓ in use")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--freeze-settings"], "--freeze-settings"),
        (["--freeze-specific-settings", "sd_vae"], "--freeze-specific-settings"),
        (["--vae-path", str(TUNED)], "--vae-path"),
    ],
)
def test_flags_that_forbid_a_choice(stages: Stages, open_page: Open, flags: list[str], said: str) -> None:
    stage = stages(*flags)
    page = open_page(stage)
    expect(page.locator(STATUS)).to_contain_text(said)
    page.click(f"{MINE} button:has-text('Get')")
    expect(page.locator(MINE)).to_contain_text(re.compile("✓ (already here|in use)"))
    choose(page, "Built-in")
    expect(page.locator(f"{ACCORDION} [role=alert]:visible").first).to_contain_text(said)
    expect(page.locator(DROPDOWN)).to_have_value("Automatic")


def test_a_server_open_to_others(stages: Stages, open_page: Open) -> None:
    stage = stages("--listen", config={"sd_vae": TUNED.name}, vaes=(TUNED,))
    page = open_page(stage)
    expect(page.locator(STATUS)).to_contain_text("your choice")
    expect(page.locator(f"{STATUS} button[data-vae-do]")).to_have_count(0)  # the checkpoint's card is a file
    expect(page.locator(f"{ACCORDION}_scope label:has(input[value=tab]) input")).to_be_checked()
    open_settings(page)
    expect(page.locator(f"{SECTION}")).to_contain_text(wording("use-the-command-line"))
    expect(page.locator("#setting_vae_manager_endpoint")).to_be_hidden()
    expect(page.locator(f"{SECTION} [role=switch]")).to_be_disabled()


def test_chinese(stages: Stages, open_page: Open) -> None:
    stage = stages(config={"localization": "zh_CN.vae-manager"})
    page = open_page(stage, "/?__theme=dark")
    expect(page.locator(TITLE)).to_contain_text("内置")
    expect(page.locator(STATUS)).to_contain_text("使用中")
    page.click(f"{MINE} {GET_AND_USE}")
    expect(page.locator(TITLE)).to_contain_text("mine")


def test_the_keyboard_and_the_screen_reader(stages: Stages, open_page: Open) -> None:
    stage: Stage = stages()
    page = open_page(stage)
    expect(page.locator(STATUS)).to_have_attribute("aria-live", "polite")
    button = page.locator(f"{MINE} {GET_AND_USE}")
    page.keyboard.press("Tab")  # else gradio 4's accordion, which takes the focus, was clicked last
    button.focus()
    outline = button.evaluate("element => getComputedStyle(element).outlineStyle")
    page.keyboard.press("Enter")
    expect(page.locator(TITLE)).to_contain_text("mine")
    assert outline != "none"
    for element in page.locator(f"{ACCORDION} .vm-button:visible").all():
        assert element.get_attribute("aria-label") or element.inner_text().strip()


def test_connections_and_bandwidth(stages: Stages, open_page: Open) -> None:
    stage = stages()
    assert (stage.option("vae_manager_connections"), stage.option("vae_manager_bandwidth")) == (32, 0)
    page = open_page(stage)
    open_settings(page)
    page.locator("#setting_vae_manager_connections input[type=number]").fill("4")
    page.locator("#setting_vae_manager_bandwidth input").fill("2.5")
    page.keyboard.press("Tab")
    page.click("#settings_submit")
    expect(page.locator("#settings_result").first).to_contain_text("vae_manager_connections, vae_manager_bandwidth")
    assert (stage.option("vae_manager_connections"), stage.option("vae_manager_bandwidth")) == (4, 2.5)
