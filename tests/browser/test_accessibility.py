"""The accordion and the tab by the rules of axe-core, by keyboard, and under a finger."""

from __future__ import annotations

from importlib.resources import files

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Stage, Stages
from tests.browser.test_library import TAB, open_tab
from tests.browser.test_main_job import ACCORDION, Open
from tests.vaes import BASE, TUNED

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
SMALLEST = 32
"""Pixels of the smallest target of a finger; a link within a sentence has the height of its line (WCAG 2.2, 2.5.8)."""


@pytest.fixture
def opened(stages: Stages, open_page: Open) -> Page:
    return open_page(stages(vaes=(BASE, TUNED)), "?__theme=light")


def violations(page: Page, part: str) -> dict[str, list[str]]:
    """The elements below `part` that violate a rule, by the rule's name; each folded part is opened before."""
    page.eval_on_selector_all(f"{part} details", "all => all.forEach(one => one.open = true)")
    page.evaluate(AXE)
    found = page.evaluate("part => axe.run(part, {resultTypes: ['violations']})", part)
    return {one["id"]: [node["html"] for node in one["nodes"]] for one in found["violations"]}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 400])
def test_no_rule_is_violated(stages: Stages, open_page: Open, theme: str, width: int) -> None:
    page = open_page(stages(vaes=(BASE, TUNED)), f"?__theme={theme}")
    page.set_viewport_size({"width": width, "height": 1100})
    assert violations(page, ACCORDION) == {}
    open_tab(page)
    assert violations(page, TAB) == {}


def test_the_accordion_opens_by_keyboard(opened: Page) -> None:
    title = opened.locator(f"{ACCORDION} > .label-wrap")
    content = opened.locator(f"{ACCORDION} [data-vae-region=status]")
    title.focus()
    title.press("Enter")
    expect(content).to_be_hidden()
    title.press("Space")
    expect(content).to_be_visible()


def test_a_finger_hits_what_it_means(stages: Stages, browser: Browser) -> None:
    stage: Stage = stages(vaes=(BASE, TUNED))
    page = browser.new_page(viewport={"width": 400, "height": 900}, has_touch=True, is_mobile=True)
    page.goto(stage.webui.url)
    page.wait_for_selector(f"{ACCORDION} [data-vae-region=status] p", state="attached")
    page.click(f"{ACCORDION} > .label-wrap")
    page.eval_on_selector_all(f"{ACCORDION} details", "all => all.forEach(one => one.open = true)")
    targets = page.locator(f"{ACCORDION} :is(.vm-button, .vm-dismiss, summary, .vm-form input):visible").all()
    sizes = [(one.evaluate("one => one.outerHTML.slice(0, 120)"), one.bounding_box()) for one in targets]
    assert len(sizes) > 5
    assert [text for text, box in sizes if box is not None and box["height"] < SMALLEST] == []
    page.close()
