"""A person picks twice, faster than the server answers: the newer pick counts, and is shown."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Stage, Stages
from tests.browser.late import Late
from tests.browser.test_main_job import ACCORDION, DROPDOWN, TITLE, choose, generate
from tests.vaes import BASE, TUNED
from tests.wording import worded, wording

Open = Callable[..., Page]
PICKS = ("_txt2img_choice", "_txt2img_scope", "_txt2img_pick")
THIS_TAB = f"{ACCORDION}_scope label:has(input[value=tab])"
EVERYWHERE = f"{ACCORDION}_scope label:has(input[value=everywhere])"


@pytest.fixture
def stage(stages: Stages) -> Stage:
    return stages(vaes=(BASE, TUNED), config={"sd_vae": "None"})


def for_this_tab(stage: Stage, page: Page) -> None:
    page.click(THIS_TAB)
    expect(page.locator(TITLE)).to_contain_text(wording("this-tab-only"))


def settled(page: Page) -> None:
    """Wait for two answers to what is asked after all that is on its way."""
    for _ in range(2):
        with page.expect_response("**/run/predict*"):
            page.click(f"{ACCORDION}_refresh")


def shown(page: Page, name: str) -> None:
    expect(page.locator(DROPDOWN)).to_have_value(re.compile(f"^{re.escape(name)}"))


def test_late_answer_to_an_older_pick_keeps_the_tabs_own(stage: Stage, open_page: Open) -> None:
    page = open_page(stage)
    for_this_tab(stage, page)
    late = Late(page, stage, *PICKS)
    choose(page, TUNED.name)
    late.wait_for(1)
    choose(page, BASE.name)
    late.come()
    settled(page)
    assert f"VAE: {BASE.name}" in generate(page)
    expect(page.locator(TITLE)).to_contain_text(f"{BASE.name} · {worded('this-tab-only')}")
    shown(page, BASE.name)
    assert stage.option("sd_vae") == "None"


def test_picture_between_two_answers_has_the_newer_pick(stage: Stage, open_page: Open) -> None:
    """The older pick is answered, the newer one is not yet."""
    page = open_page(stage)
    for_this_tab(stage, page)
    late = Late(page, stage, *PICKS)
    choose(page, TUNED.name)
    late.wait_for(1)
    choose(page, BASE.name)
    late.come(first=True)
    late.wait_for(2)
    assert f"VAE: {BASE.name}" in generate(page)
    late.come()
    expect(page.locator(TITLE)).to_contain_text(f"{BASE.name} · {worded('this-tab-only')}")
    shown(page, BASE.name)


def test_late_answer_to_an_older_pick_is_not_shown(stage: Stage, open_page: Open) -> None:
    page = open_page(stage)
    late = Late(page, stage, *PICKS)
    choose(page, TUNED.name)
    late.wait_for(1)
    choose(page, BASE.name)
    late.come()
    settled(page)
    expect(page.locator(TITLE)).to_contain_text(BASE.stem)
    shown(page, BASE.name)
    assert stage.option("sd_vae") == BASE.name


def test_older_pick_that_reaches_the_server_late_undoes_nothing(stage: Stage, open_page: Open) -> None:
    page = open_page(stage)
    late = Late(page, stage, *PICKS, requests=True)
    choose(page, TUNED.name)
    late.wait_for(1)
    choose(page, BASE.name)
    late.come()
    settled(page)
    expect(page.locator(TITLE)).to_contain_text(BASE.stem)
    shown(page, BASE.name)
    assert stage.option("sd_vae") == BASE.name


def test_pick_for_everywhere_answered_late_keeps_the_tabs_own(stage: Stage, open_page: Open) -> None:
    """The scope is changed before the pick is answered."""
    page = open_page(stage)
    late = Late(page, stage, *PICKS)
    choose(page, TUNED.name)
    late.wait_for(1)
    page.click(THIS_TAB)
    choose(page, BASE.name)
    late.come()
    settled(page)
    assert f"VAE: {BASE.name}" in generate(page)
    expect(page.locator(TITLE)).to_contain_text(f"{BASE.name} · {worded('this-tab-only')}")
    page.click(EVERYWHERE)
    shown(page, TUNED.name)
    assert stage.option("sd_vae") == TUNED.name


def test_late_answer_to_refresh_shows_no_older_choice(stage: Stage, open_page: Open) -> None:
    page = open_page(stage)
    for_this_tab(stage, page)
    late = Late(page, stage, "_txt2img_refresh")
    page.click(f"{ACCORDION}_refresh")
    late.wait_for(1)
    choose(page, BASE.name)
    expect(page.locator(TITLE)).to_contain_text(f"{BASE.name} · {worded('this-tab-only')}")
    late.come()
    assert f"VAE: {BASE.name}" in generate(page)
    shown(page, BASE.name)


def test_refused_pick_that_was_overtaken_leaves_the_newer_one(stage: Stage, open_page: Open) -> None:
    (stage.vaes / "page.safetensors").write_bytes(b"<!DOCTYPE html><html>sign in first</html>")
    stage.webui.call("/sdapi/v1/refresh-vae", method="POST")
    page = open_page(stage)
    for_this_tab(stage, page)
    late = Late(page, stage, *PICKS)
    choose(page, "page.safetensors")
    late.wait_for(1)
    choose(page, BASE.name)
    late.come()
    expect(page.locator(TITLE)).to_contain_text(f"{BASE.name} · {worded('this-tab-only')}")
    assert f"VAE: {BASE.name}" in generate(page)
    shown(page, BASE.name)
    choose(page, "page.safetensors")
    expect(page.locator(f"{ACCORDION}_answer").first).to_contain_text("page.safetensors")
    expect(page.locator(TITLE)).not_to_contain_text(wording("this-tab-only"))
    shown(page, "Built-in")


def test_pick_whose_answer_is_lost_holds_up_no_other(stage: Stage, open_page: Open) -> None:
    page = open_page(stage)
    page.route("**/run/predict*", lambda route: route.abort(), times=1)
    choose(page, TUNED.name)
    choose(page, BASE.name)
    expect(page.locator(TITLE)).to_contain_text(BASE.stem)
    shown(page, BASE.name)


def test_click_in_a_second_row_waits_for_the_first(stages: Stages, open_page: Open) -> None:
    stage = stages()
    page = open_page(stage)
    late = Late(page, stage, "_txt2img_act")
    page.locator(f'{ACCORDION} [data-vae-key="get mine False"]').click()
    late.wait_for(1)
    page.locator(f"{ACCORDION} [data-vae-entry=lost] button", has_text="Get").last.click()
    late.come()
    expect(page.locator(f"{ACCORDION} [data-vae-entry=lost] .vm-broken")).to_contain_text("owner/repo")
    expect(page.locator(f"{ACCORDION} [data-vae-entry=mine]")).to_contain_text("already here")


def test_late_answer_takes_back_no_pick_of_a_pass(stage: Stage, open_page: Open) -> None:
    page = open_page(stage)
    page.click(f"{ACCORDION}_passes > .label-wrap")
    hires = page.locator(f"{ACCORDION}_hires input")
    late = Late(page, stage, "_txt2img_sync")
    choose(page, TUNED.name)
    late.wait_for(1)
    hires.click()
    page.locator(f"{ACCORDION}_hires li").filter(has_text=BASE.name).first.click()
    expect(hires).to_have_value(re.compile(re.escape(BASE.name)))
    late.come()
    settled(page)
    expect(hires).to_have_value(re.compile(re.escape(BASE.name)))
