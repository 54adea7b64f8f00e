"""No way through the page may break the loaded model or turn an override into the setting."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect
from safetensors.torch import load_file, save_file

from tests.browser.conftest import Stage, Stages
from tests.browser.test_main_job import ACCORDION, DROPDOWN, STATUS, TITLE, choose
from tests.vaes import TUNED

Open = Callable[..., Page]


def picture(stage: Stage, **more: object) -> tuple[int, str]:
    """Status and the picture's hash, with a fixed seed."""
    request = {"prompt": "x", "seed": 1, "steps": 1, "width": 64, "height": 64, **more}
    status, answer = stage.webui.call("/sdapi/v1/txt2img", request)
    image = answer["images"][0] if status == 200 else json.dumps(answer)
    return status, hashlib.sha256(image.encode()).hexdigest()


def broken(folder: Path) -> str:
    """A VAE that lacks one tensor: the WebUI itself loads the others and raises then."""
    tensors = load_file(TUNED)
    del tensors["decoder.conv_out.bias"]
    save_file(tensors, folder / "broken.safetensors")
    return "broken.safetensors"


def with_tab_choice(word: str) -> dict[str, object]:
    return {"alwayson_scripts": {"VAE": {"args": [word]}}}


def test_a_broken_file_chosen_with_sd_vae_in_the_quick_settings(stages: Stages, open_page: Open) -> None:
    config: dict[str, object] = {"quicksettings_list": ["sd_model_checkpoint", "sd_vae"]}
    stage = stages("--step-seconds", "0.2", config=config)
    name = broken(stage.vaes)
    before = picture(stage)
    page = open_page(stage)
    page.click(f"{ACCORDION}_refresh")
    page.click("#txt2img_generate")
    page.wait_for_timeout(600)
    choose(page, name)
    expect(page.locator(f"{STATUS} .vm-broken")).to_contain_text("broken.safetensors", timeout=20_000)
    page.wait_for_timeout(3000)
    assert stage.option("sd_vae") == "Automatic"
    expect(page.locator(DROPDOWN)).to_have_value("Automatic")
    assert picture(stage) == before


def test_a_broken_file_for_a_tab_only(stages: Stages, open_page: Open) -> None:
    stage = stages()
    name = broken(stage.vaes)
    stage.webui.call("/sdapi/v1/refresh-vae", {})
    before = picture(stage)
    assert picture(stage, **with_tab_choice(name)) == before, "left out, with a comment"
    assert picture(stage) == before
    page = open_page(stage)
    page.click(f"{ACCORDION}_refresh")
    page.click(f"{ACCORDION}_scope label:has(input[value=tab])")
    choose(page, name)
    expect(page.locator(f"{ACCORDION} [role=alert]:visible").first).to_contain_text("broken.safetensors")
    expect(page.locator(DROPDOWN)).to_have_value("Automatic")


def test_a_tab_choice_where_settings_are_frozen(stages: Stages) -> None:
    stage = stages("--freeze-settings", vaes=(TUNED,))
    assert picture(stage, **with_tab_choice(TUNED.name)) == picture(stage)


def test_an_override_is_not_taken_for_the_choice(stages: Stages, open_page: Open) -> None:
    config: dict[str, object] = {"quicksettings_list": ["sd_model_checkpoint", "sd_vae"]}
    stage = stages("--step-seconds", "0.3", config=config, vaes=(TUNED,))
    page = open_page(stage)
    page.click(f"{ACCORDION}_scope label:has(input[value=tab])")
    choose(page, TUNED.name)
    page.click(f"{ACCORDION}_scope label:has(input[value=tab])")
    for name in ("width", "height"):
        page.fill(f"#txt2img_{name} input[type=number]", "64")
    page.click("#txt2img_generate")
    quick = page.locator("#quicksettings #setting_sd_vae input")
    for _ in range(8):
        page.wait_for_timeout(500)
        assert quick.input_value() == "Automatic"
    page.wait_for_function("() => document.querySelector('#html_info_txt2img').textContent.includes('Steps:')")
    assert f"VAE: {TUNED.name}" in (page.text_content("#html_info_txt2img") or "")
    assert stage.option("sd_vae") == "Automatic"


def test_a_shared_server_shows_the_present_choice(stages: Stages, open_page: Open) -> None:
    stage = stages("--listen", vaes=(TUNED,))
    stage.webui.call("/sdapi/v1/options", {"sd_vae": TUNED.name})
    page = open_page(stage)
    expect(page.locator(TITLE)).to_contain_text(TUNED.stem)
    expect(page.locator(DROPDOWN)).to_have_value(re.compile(f"^{re.escape(TUNED.name)}"))
