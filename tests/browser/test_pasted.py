"""A picture's infotext is pasted in both tabs: taken under the name that it has here, or offered."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import GET_AND_USE, Stage, Stages
from tests.browser.test_main_job import TITLE, generate
from tests.shown import coded
from tests.vaes import BASE, TUNED
from tests.wording import worded


def infotext(vae: Path) -> str:
    digits = hashlib.sha256(vae.read_bytes()).hexdigest()[:10]
    return f"a picture\nSteps: 3, Sampler: Euler, Seed: 7, Size: 64x64, VAE hash: {digits}, VAE: theirs.safetensors"


def paste(page: Page, tab: str, text: str) -> None:
    page.fill(f"#{tab}_prompt textarea", text)
    page.click(f"#{tab}_tools #paste")
    expect(page.locator(f"#{tab}_prompt textarea")).to_have_value("a picture")


def test_a_pictures_vae_is_found_by_its_hash(stages: Stages, open_page: Callable[[Stage], Page]) -> None:
    stage = stages(vaes=(BASE,))
    page = open_page(stage)
    status = page.locator("#vae_manager_txt2img [data-vae-region=status]")
    paste(page, "txt2img", infotext(BASE))
    expect(status.locator(coded("here-by-hash"))).to_contain_text(BASE.name)
    paste(page, "txt2img", infotext(BASE))  # its hash may have been unknown before
    expect(status.locator(coded("next-take"))).to_contain_text(worded("next-take", file=BASE.name))
    expect(page.locator("#txt2img_override_settings")).to_contain_text(f"VAE: {BASE.name}")
    assert f"VAE: {BASE.name}" in generate(page)

    page.click("#tabs > .tab-nav > button:has-text('img2img')")
    paste(page, "img2img", infotext(TUNED))
    expect(page.locator("#img2img_override_settings")).to_be_hidden()
    accordion = page.locator("#vae_manager_img2img")
    title = page.locator("#vae_manager_img2img > .label-wrap > span").first
    expect(title).to_contain_text(worded("pasted-picture"))
    accordion.locator("> .label-wrap").click()
    status = accordion.locator("[data-vae-region=status]")
    expect(status.locator(coded("not-here-but-offered") + coded("next-keep-choice"))).to_contain_text("Mine")
    mine = accordion.locator("[data-vae-entry=mine]")
    mine.locator(f"button:not({GET_AND_USE})", has_text="Get").click()
    expect(status.locator(coded("here-by-hash"))).to_contain_text("mine.safetensors")
    status.locator("button", has_text="Use").click()
    expect(page.locator(TITLE)).to_have_text(f"VAE — mine · SD 1.x / 2.x · {worded('by-choice')}")
    expect(status.locator(coded("picture-names-hash"))).to_have_count(0)


def test_the_vaes_of_single_passes_come_back(stages: Stages, open_page: Callable[[Stage], Page]) -> None:
    """The VAE of the other passes becomes the override, not the one that decoded."""
    stage = stages(vaes=(BASE, TUNED))
    page = open_page(stage)
    hires, refiner = (page.locator(f"#vae_manager_txt2img_{name} input") for name in ("hires", "refiner"))
    passes = f"Hires VAE: renamed.pt, Base VAE: {TUNED.name}"
    paste(page, "txt2img", infotext(BASE))  # its hash may be unknown before
    status = page.locator("#vae_manager_txt2img [data-vae-region=status]")
    expect(status.locator(coded("here-by-hash"))).to_contain_text(BASE.name)
    paste(page, "txt2img", infotext(BASE).replace("VAE: theirs", f"{passes}, VAE: theirs"))
    expect(hires).to_have_value(re.compile(re.escape(BASE.name)))
    expect(refiner).to_have_value("Same as above")
    expect(page.locator("#txt2img_override_settings")).to_contain_text(f"VAE: {TUNED.name}")
    assert f"VAE: {TUNED.name}" in generate(page)
    gone = re.sub(r"VAE hash: \w+, ", "Refiner VAE: gone.pt, ", infotext(BASE))
    paste(page, "txt2img", gone)
    expect(hires).to_have_value("Same as above")
    expect(refiner).to_have_value("Same as above")
