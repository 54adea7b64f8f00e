"""The main job, clicked through: see, get, use, generate."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import GET_AND_USE, PATIENCE_MS, Stage, Stages
from tests.hub import Fault, Link
from tests.shown import coded
from tests.vaes import BASE, TUNED
from tests.wording import worded, wording

ACCORDION = "#vae_manager_txt2img"
TITLE = f"{ACCORDION} > .label-wrap > span:first-child"
STATUS = f"{ACCORDION} [data-vae-region=status]"
MINE = f"{ACCORDION} [data-vae-entry=mine]"
DROPDOWN = f"{ACCORDION}_choice input"

Open = Callable[..., Page]


def percent(page: Page) -> int:
    return int(page.get_attribute(f"{MINE} [role=progressbar]", "aria-valuenow") or 0)


def generate(page: Page) -> str:
    """Click *Generate*; the infotext of the new picture, told from an earlier one by its seed."""
    before = seed(page.text_content("#html_info_txt2img") or "")
    page.click("#txt2img_generate")
    page.wait_for_function(
        "before => { const seed = document.querySelector('#html_info_txt2img').textContent.match(/Seed: (\\d+)/);"
        " return seed !== null && seed[1] !== before; }",
        arg=before,
    )
    return page.text_content("#html_info_txt2img") or ""


def seed(infotext: str) -> str:
    found = re.search(r"Seed: (\d+)", infotext)
    return found[1] if found else ""


def choose(page: Page, label: str, accordion: str = ACCORDION) -> None:
    page.click(f"{accordion}_choice input")
    page.click(f"{accordion}_choice ul.options li:has-text({json.dumps(label)})")


@pytest.fixture
def filled(stage: Stage) -> Stage:
    """The module's stage with the VAE that the first test fetches, whether that has run or not."""
    if not (stage.vaes / "mine.safetensors").exists():
        shutil.copy(TUNED, stage.vaes / "mine.safetensors")
        stage.webui.call("/sdapi/v1/refresh-vae", method="POST")
    return stage


def test_the_whole_job(stage: Stage, open_page: Open) -> None:
    stage.hub.cdn.link = Link(rate_per_connection=300_000)
    page = open_page(stage)
    expect(page.locator(TITLE)).to_have_text(f"VAE — Built-in · SD 1.x / 2.x · {worded('none-by-name')}")
    assert "VAE:" not in generate(page)

    page.click(f"{MINE} {GET_AND_USE}")
    page.wait_for_selector(f"{MINE} [role=progressbar]")
    page.wait_for_function("() => document.querySelector('[data-vae-entry=mine] [role=progressbar]').ariaValueNow > 5")
    first = percent(page)
    expect(page.locator(f"{MINE} .vm-progress")).to_contain_text(re.compile(r"[kM]B of .* MB · .*/s · [\d.]+ s left"))
    page.wait_for_function(
        "first => document.querySelector('[data-vae-entry=mine] [role=progressbar]').ariaValueNow > first", arg=first
    )
    page.click(f"{MINE} button:has-text('Pause')")
    expect(page.locator(MINE)).to_contain_text("Paused · ")
    sent = stage.hub.cdn.sent()
    stage.hub.cdn.link = Link()
    page.click(f"{MINE} button:has-text('Resume')")

    expect(page.locator(TITLE)).to_have_text(f"VAE — mine · SD 1.x / 2.x · {worded('by-choice')}")
    expect(page.locator(MINE)).to_contain_text("✓ in use")
    assert (stage.vaes / "mine.safetensors").read_bytes() == TUNED.read_bytes()
    assert stage.hub.cdn.sent() < sent + TUNED.stat().st_size, "the download went on, it did not start over"
    digest = hashlib.sha256(TUNED.read_bytes()).hexdigest()
    expect(page.locator(STATUS)).to_contain_text(digest[:10])
    expect(page.locator(DROPDOWN)).to_have_value(re.compile("^mine.safetensors"))
    assert "VAE: mine.safetensors" in generate(page)
    assert stage.saved("sd_vae") == "mine.safetensors"


def test_lines_that_come_into_an_open_list_are_all_seen(stages: Stages, open_page: Open) -> None:
    stage = stages(vaes=(TUNED,))
    page = open_page(stage)
    page.click(DROPDOWN)
    shutil.copy(BASE, stage.vaes / "late.safetensors")
    stage.webui.call("/sdapi/v1/refresh-vae", method="POST")
    lines = page.locator(f"{ACCORDION}_choice ul.options li")
    expect(lines.last).to_contain_text(TUNED.name, timeout=PATIENCE_MS)
    expect(lines).to_have_count(4)


def test_built_in_and_back(filled: Stage, open_page: Open) -> None:
    page = open_page(filled)
    choose(page, "Built-in")
    expect(page.locator(TITLE)).to_contain_text("Built-in")
    assert filled.option("sd_vae") == "None"
    choose(page, "mine.safetensors")
    expect(page.locator(TITLE)).to_contain_text("mine")


def test_the_webuis_own_settings_follow_and_are_followed(filled: Stage, open_page: Open) -> None:
    page = open_page(filled)
    choose(page, "Built-in")
    own = page.locator("#setting_sd_vae input")
    expect(own).to_have_value("None")
    filled.webui.call("/sdapi/v1/options", {"sd_vae": "mine.safetensors"})
    expect(page.locator(TITLE)).to_contain_text("mine")
    expect(page.locator(DROPDOWN)).to_have_value(re.compile("^mine.safetensors"))
    expect(own).to_have_value("mine.safetensors")


def test_this_tab_only(filled: Stage, open_page: Open) -> None:
    filled.webui.call("/sdapi/v1/options", {"sd_vae": "mine.safetensors"})
    page = open_page(filled)
    page.click(f"{ACCORDION}_scope label:has(input[value=tab])")
    choose(page, "Built-in")
    expect(page.locator(TITLE)).to_contain_text(f"{worded('built-in')} · {worded('this-tab-only')}")
    assert "VAE:" not in generate(page)
    assert filled.option("sd_vae") == "mine.safetensors"
    _, answer = filled.webui.call("/sdapi/v1/txt2img", {"prompt": "x", "steps": 1, "width": 64, "height": 64})
    assert "VAE: mine.safetensors" in json.loads(answer["info"])["infotexts"][0], "a request is not of this tab"
    page.click(f"{ACCORDION}_scope label:has(input[value=everywhere])")
    expect(page.locator(TITLE)).to_contain_text(f"mine · SD 1.x / 2.x · {worded('by-choice')}")
    assert "VAE: mine.safetensors" in generate(page)


def test_a_picture_begun_at_once_has_the_tabs_own_vae(filled: Stage, open_page: Open) -> None:
    """*Generate* is clicked while the server still looks at what was picked for this tab."""
    filled.webui.call("/sdapi/v1/options", {"sd_vae": "None"})
    page = open_page(filled)
    page.click(f"{ACCORDION}_scope label:has(input[value=tab])")
    expect(page.locator(TITLE)).to_contain_text(wording("this-tab-only"))
    held: list[Route] = []
    page.route("**/run/predict*", lambda route: route.continue_() if held else held.append(route))
    choose(page, "mine.safetensors")
    assert "VAE: mine.safetensors" in generate(page)
    held[0].continue_()
    expect(page.locator(TITLE)).to_contain_text(f"mine.safetensors · {worded('this-tab-only')}")
    assert filled.option("sd_vae") == "None"


def test_a_file_that_cannot_work_is_refused_with_a_sentence(filled: Stage, open_page: Open) -> None:
    (filled.vaes / "page.safetensors").write_bytes(b"<!DOCTYPE html><html>sign in first</html>")
    filled.webui.call("/sdapi/v1/options", {"sd_vae": "mine.safetensors"})
    page = open_page(filled)
    page.click(f"{ACCORDION}_refresh")
    choose(page, "page.safetensors")
    expect(page.locator(STATUS)).to_contain_text(wording("web-page", file="page.safetensors"))
    expect(page.locator(DROPDOWN)).to_have_value(re.compile("^mine.safetensors"))
    assert "VAE: mine.safetensors" in generate(page)
    page.click(f"{STATUS} .vm-dismiss")
    expect(page.locator(STATUS)).not_to_contain_text("web page")


def test_a_failed_download_is_a_sentence_in_its_row(stage: Stage, open_page: Open) -> None:
    page = open_page(stage)
    lost = page.locator(f"{ACCORDION} [data-vae-entry=lost]")
    lost.locator("button", has_text="Get").last.click()
    expect(lost.locator(".vm-broken")).to_contain_text("owner/repo")
    expect(lost.locator(".vm-broken .vm-sign")).to_have_attribute("aria-label", "Problem")
    assert not (stage.vaes / "lost.safetensors").exists()


def test_chosen_while_a_picture_is_made(stages: Stages, open_page: Open) -> None:
    stage = stages("--step-seconds", "0.5", vaes=(BASE, TUNED))
    page = open_page(stage)
    page.click("#txt2img_generate")
    page.wait_for_timeout(600)
    choose(page, TUNED.name)
    expect(page.locator(f"{STATUS} {coded('after-this-picture')}")).to_contain_text(TUNED.name)
    page.wait_for_function("() => document.querySelector('#html_info_txt2img').textContent.includes('Steps:')")
    assert "VAE:" not in (page.text_content("#html_info_txt2img") or "")
    expect(page.locator(TITLE)).to_contain_text(TUNED.stem)


def test_a_download_outlives_the_page_and_reload_ui(stages: Stages, open_page: Open) -> None:
    stage = stages()
    stage.hub.cdn.link = Link(rate_per_connection=60_000)  # it lasts longer than Reload UI on a busy machine
    page = open_page(stage)
    page.click(f"{MINE} {GET_AND_USE}")
    page.wait_for_selector(f"{MINE} [role=progressbar]")
    seen = stage.webui.log.stat().st_size
    page.click("#tabs > .tab-nav > button:has-text('Settings')")
    page.click("#settings_restart_gradio")
    # The WebUI itself fails to start if any page asks it something between two lines of its start, where it sets its
    # middleware up: a busy machine makes that moment long.
    stage.webui.wait_for_line("Restarting UI", seen)
    page.close()
    stage.webui.wait_until_ready(seen)
    page = open_page(stage)
    page.wait_for_selector(f"{MINE} [role=progressbar]")
    expect(page.locator(TITLE)).to_contain_text("mine", timeout=60_000)


def test_a_restart_goes_on_where_it_was(stages: Stages, open_page: Open) -> None:
    stage = stages()
    stage.hub.cdn.link = Link(rate_per_connection=300_000)
    page = open_page(stage)
    page.click(f"{MINE} {GET_AND_USE}")
    page.wait_for_function(
        "() => document.querySelector('[data-vae-entry=mine] [role=progressbar]')?.ariaValueNow > 20"
    )
    stage.webui.kill()
    page.close()
    stage.hub.settle()
    sent = stage.hub.cdn.sent()
    stage.hub.cdn.link = Link()
    stage.webui.start()
    page = open_page(stage)
    expect(page.locator(f"{MINE} [data-vae-do*=discard]")).to_be_visible()
    page.click(f"{MINE} {GET_AND_USE}")
    expect(page.locator(TITLE)).to_contain_text("mine")
    assert stage.hub.cdn.sent() - sent < 0.95 * TUNED.stat().st_size


def test_a_wrong_hash_is_never_published(stages: Stages, open_page: Open) -> None:
    stage = stages()
    stage.hub.cdn.fail_always(Fault.flip(100_000))
    page = open_page(stage)
    page.click(f"{MINE} {GET_AND_USE}")
    expect(page.locator(f"{MINE} .vm-broken")).to_contain_text(hashlib.sha256(TUNED.read_bytes()).hexdigest()[:10])
    assert list(stage.vaes.glob("*.safetensors")) == []
    expect(page.locator(TITLE)).to_contain_text("Built-in")
