"""The stand-in's page in a browser: what the scripts of extensions and the browser tests rely on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")
pytest.importorskip("playwright")

from playwright import sync_api

from tests.host.fixtures import WebUI, start_webui
from tests.host.pages import EventSockets
from tests.host.probe import install_probe

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    data = tmp_path_factory.mktemp("page")
    install_probe(data)
    config = {"localization": "zh_CN", "quicksettings_list": ["sd_model_checkpoint", "sd_vae"]}
    (data / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with start_webui(data, "--no-extension", "--step-seconds", "0.001") as started:
        yield started


@pytest.fixture
def page(browser: sync_api.Browser, webui: WebUI) -> Iterator[sync_api.Page]:
    """The page in dark theme, newly opened for each test."""
    opened = browser.new_page()
    events = EventSockets(opened)
    opened.goto(f"{webui.url}/?__theme=dark")
    opened.wait_for_function("Object.keys(opts).length > 0")
    events.wait_until_idle()
    yield opened
    events.wait_until_idle()
    opened.close()


def test_scripts_styles_settings_and_theme_arrive(page: sync_api.Page, webui: WebUI) -> None:
    page.wait_for_selector("body[data-probe=loaded].dark")
    saved = json.loads((webui.data / "config.json").read_text(encoding="utf-8"))
    assert page.evaluate("opts.probe_number") == saved.get("probe_number", 7)
    style = page.evaluate("getComputedStyle(document.querySelector('#footer')).getPropertyValue('--probe')")
    assert style.strip() == "yes"


def test_texts_are_translated(page: sync_api.Page) -> None:
    assert page.inner_text("#txt2img_generate").strip() == "生成"
    assert "一个数" in (page.text_content("#setting_probe_number") or "")


def test_a_picture_arrives_with_its_infotext(page: sync_api.Page) -> None:
    for name in ("width", "height"):
        page.fill(f"#txt2img_{name} input[type=number]", "64")
    page.fill("#txt2img_prompt textarea", "a house")
    page.click("#txt2img_generate")
    page.wait_for_selector("#html_info_txt2img p")
    assert "Size: 64x64" in page.inner_text("#html_info_txt2img")
    page.wait_for_function("document.querySelector('#txt2img_gallery img').naturalWidth === 64")
    page.wait_for_selector("#txt2img_interrupt", state="hidden")


def test_a_pasted_vae_becomes_an_override(page: sync_api.Page) -> None:
    infotext = "a tree\nSteps: 3, Seed: 5, Size: 64x64, VAE hash: 0123456789, VAE: other.safetensors, Version: v1.10.1"
    page.fill("#txt2img_prompt textarea", infotext)
    page.click("#txt2img_tools #paste")
    page.wait_for_selector("#txt2img_override_settings >> text=VAE: other.safetensors")
    assert page.input_value("#txt2img_prompt textarea") == "a tree"
    assert page.input_value("#txt2img_steps input[type=number]") == "3"


def test_quick_settings_and_settings_change_options(page: sync_api.Page, webui: WebUI) -> None:
    choice = page.locator("#quicksettings #setting_sd_vae input")
    choice.click()
    page.click("#quicksettings #setting_sd_vae ul li:has-text('None')")
    page.wait_for_function("opts.sd_vae === 'None'")
    page.click("#tabs > .tab-nav > button:has-text('Settings')")
    page.click("#settings > .tab-nav > button:has-text('Probe section')")
    page.fill("#setting_probe_number input", "9")
    page.click("#settings_submit")
    page.wait_for_function("opts.probe_number === 9")
    saved = json.loads(Path(webui.data, "config.json").read_text(encoding="utf-8"))
    assert (saved["sd_vae"], saved["probe_number"]) == ("None", 9)


def test_reload_ui_brings_the_page_back(page: sync_api.Page, webui: WebUI) -> None:
    page.click("#tabs > .tab-nav > button:has-text('Settings')")
    seen = webui.log.stat().st_size
    page.click("#settings_restart_gradio")
    webui.wait_until_ready(seen)
    page.wait_for_selector("#txt2img_generate")
