"""A VAE for one checkpoint, and one for a family: set, used, and taken away."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Stages
from tests.browser.test_main_job import ACCORDION, DROPDOWN, STATUS, TITLE, choose, generate
from tests.browser.test_settings import open_settings
from tests.vaes import BASE, TUNED
from tests.wording import worded, wording

Open = Callable[..., Page]
PREFER = "button[data-vae-do*=prefer]"
USE, NO_LONGER = f"{PREFER}:not([data-vae-do*=Automatic])", f"{PREFER}[data-vae-do*=Automatic]"
CHOOSE_AUTOMATIC = "button[data-vae-do*=choose][data-vae-do*=Automatic]"


def test_for_this_checkpoint_and_for_the_family(stages: Stages, open_page: Open) -> None:
    stage = stages(vaes=(TUNED, BASE))
    checkpoints = stage.data / "models" / "Stable-diffusion"
    card = checkpoints / "demo-a.json"
    card.write_text('{"description": "mine"}', encoding="utf-8")
    page = open_page(stage)

    def click(button: str) -> None:
        page.click(f"{STATUS} {button}")

    choose(page, TUNED.name)
    click(USE)
    expect(page.locator(f"{STATUS} {NO_LONGER}")).to_be_visible()
    assert json.loads(card.read_text(encoding="utf-8")) == {"description": "mine", "vae": TUNED.name}
    click(CHOOSE_AUTOMATIC)
    expect(page.locator(TITLE)).to_have_text(f"VAE — {TUNED.stem} · SD 1.x / 2.x · {worded('by-card')}")
    expect(page.locator(DROPDOWN)).to_have_value(worded("automatic-by-card", file=TUNED.name))
    assert f"VAE: {TUNED.name}" in generate(page)

    (stage.vaes / "late.safetensors").write_bytes(BASE.read_bytes())
    page.click(f"{ACCORDION}_refresh")
    page.wait_for_timeout(3500)  # a list that is open stays as it is
    open_settings(page)
    page.click("#setting_vae_manager_default_sd1 input")
    expect(page.locator("#setting_vae_manager_default_sd1 ul.options")).to_contain_text("late.safetensors")
    page.click(f"#setting_vae_manager_default_sd1 ul.options li:has-text('{BASE.name}')")
    page.click("#settings_submit")
    expect(page.locator("#settings_result").first).to_contain_text("vae_manager_default_sd1")
    page.click("#tabs > .tab-nav > button:has-text('txt2img')")
    expect(page.locator(TITLE)).to_contain_text(wording("by-card"))
    click(NO_LONGER)
    by_default = f"VAE — {BASE.stem} · SD 1.x / 2.x · {worded('by-family', family='SD 1.x / 2.x')}"
    expect(page.locator(TITLE)).to_have_text(by_default)
    assert json.loads(card.read_text(encoding="utf-8")) == {"description": "mine"}
    assert f"VAE: {BASE.name}" in generate(page)

    page.close()
    stage.webui.restart()
    page = open_page(stage)
    expect(page.locator(TITLE)).to_have_text(by_default)
    card.write_text('{"description": ', encoding="utf-8")
    click(USE)
    alert = page.locator(f"{ACCORDION} [role=alert]:visible").first
    expect(alert).to_contain_text("demo-a.json, the checkpoint's card")
    assert card.read_text(encoding="utf-8") == '{"description": '
