"""Pictures of the page, to be looked at: themes, languages, a narrow window. They check only that nothing overflows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .catalogue import Offered
from .page import LivePage
from .webui import WebUI, until

pytestmark = pytest.mark.live

OVERFLOWING = """(id) => {
    const box = document.querySelector(id);
    const right = box.getBoundingClientRect().right;
    const scrolls = (one) =>
        one !== box && (getComputedStyle(one).overflowX !== 'visible' || scrolls(one.parentElement));
    return [...box.querySelectorAll('*')]
        .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > right + 1)
        .filter((one) => !scrolls(one.parentElement))
        .map((one) => `${one.tagName} ${one.className} ${one.textContent.slice(0, 40)}`);
}"""
"""What reaches beyond an element's right edge, but for what can be scrolled into view."""


def _show(page: LivePage, entry: str, picture: Path) -> None:
    """Start a download, fold everything out, and take the picture in the middle of it."""
    page.open_accordion()
    page.rest(0.5)
    for summary in page.raw.locator("#vae_manager_txt2img details.vm-more > summary").all():
        summary.click()
    button = page.row(entry).locator("button[data-vae-do*='\"use\": true']").first
    button.click()
    until(lambda: page.progress(entry), lambda seen: seen is not None and 20 < seen[0] < 90)
    page.raw.screenshot(path=picture, full_page=True)
    overflowing = page.raw.evaluate(OVERFLOWING, "#vae_manager_txt2img")
    page.row(entry).locator("button[data-vae-do*=cancel]").click()
    until(lambda: page.progress(entry), lambda seen: seen is None)
    assert overflowing == []


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 420)])
@pytest.mark.usefixtures("not_there")
def test_themes_and_widths(
    webui: WebUI, browser: Any, offered: Offered, pictures: Path, theme: str, width: int
) -> None:
    page = LivePage.open(browser, webui.url, theme=theme, width=width)
    _show(page, offered.id, pictures / f"open-{theme}-{width}.png")
    page.settings("VAE Manager")
    page.rest(1)
    page.raw.screenshot(path=pictures / f"settings-{theme}-{width}.png", full_page=True)
    page.close()


CHINESE = sorted((Path(__file__).parents[2] / "localizations").glob("zh_CN*.json"))


@pytest.fixture
def chinese(webui: WebUI, browser: Any) -> Iterator[None]:
    if not CHINESE:
        pytest.skip("there is no localizations/zh_CN*.json")
    _in_language(webui, browser, CHINESE[0].stem)
    yield
    _in_language(webui, browser, "None")


def _in_language(webui: WebUI, browser: Any, name: str) -> None:
    webui.set(localization=name)
    page = LivePage.open(browser, webui.url)
    page.reload_ui(webui)
    page.close()


@pytest.mark.usefixtures("chinese", "not_there")
def test_chinese(webui: WebUI, browser: Any, offered: Offered, pictures: Path) -> None:
    page = LivePage.open(browser, webui.url)
    _show(page, offered.id, pictures / "open-chinese.png")
    text = page.raw.inner_text("#vae_manager_txt2img")
    page.settings("VAE Manager")
    page.rest(1)
    page.raw.screenshot(path=pictures / "settings-chinese.png", full_page=True)
    page.close()
    assert "In use" not in text and "Get and use" not in text, text
