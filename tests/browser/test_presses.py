"""A click counts although the server has news of the same place between the press and the release."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Stage, Stages
from tests.browser.test_library import BAR, FILE, TAB, open_tab, press, row, select
from tests.browser.test_main_job import ACCORDION, STATUS
from tests.vaes import BASE, TUNED

Open = Callable[..., Page]
OTHER = BASE.with_name("tiny-other.safetensors")


@pytest.fixture
def stage(stages: Stages) -> Stage:
    return stages(vaes=(BASE, TUNED), config={"sd_vae": TUNED.name})


def hold(page: Page, button: Locator) -> None:
    """Press the primary mouse button on `button`, and do not release it."""
    button.hover()
    page.mouse.down()


@contextmanager
def news(page: Page, word: str) -> Iterator[None]:
    """Make a change; then wait for the state with `word` in it, which comes once, and for the page to show it."""

    def tells(response: object) -> bool:
        return "/vae-manager/state" in response.url and response.ok and word in response.text()  # type: ignore[attr-defined]

    with page.expect_response(tells):
        yield
    page.evaluate("() => new Promise((shown) => requestAnimationFrame(() => setTimeout(shown)))")


def test_press_in_a_region_that_is_renewed(stage: Stage, open_page: Open) -> None:
    page = open_page(stage)
    open_tab(page)
    select(page, BASE.name)
    press(page, "Delete")
    restore = page.locator(f"{TAB} button:visible").get_by_text("Restore", exact=True).first
    expect(restore).to_be_visible()
    hold(page, restore)
    with news(page, OTHER.name):
        shutil.copy(OTHER, stage.vaes)
    expect(row(page, OTHER.name)).to_have_count(0)  # nothing moves under the pointer
    page.mouse.up()
    expect(row(page, BASE.name)).to_have_count(1)
    expect(row(page, OTHER.name)).to_have_count(1)
    assert (stage.vaes / BASE.name).exists()


def test_press_in_a_row_that_is_renewed(stage: Stage, open_page: Open) -> None:
    page = open_page(stage)
    open_tab(page)
    use = row(page, BASE.name).get_by_text("Use", exact=True)
    expect(use).to_be_visible()
    hold(page, use)
    with news(page, "more.safetensors"):
        shutil.copy(OTHER, stage.vaes / BASE.name)
        shutil.copy(OTHER, stage.vaes / "more.safetensors")
    page.mouse.up()
    expect(row(page, BASE.name)).to_contain_text("✓ in use")


def test_press_in_the_accordion(stage: Stage, open_page: Open) -> None:
    page = open_page(stage)
    button = page.locator(f"{STATUS} button:visible").first
    expect(button).to_be_visible()
    page.evaluate(
        "(place) => { window.clicked = 0; document.querySelector(place).addEventListener('click',"
        " (event) => { window.clicked += event.isTrusted && event.target.closest('button') !== null; }); }",
        ACCORDION,
    )
    hold(page, button)
    with news(page, BASE.name):
        stage.webui.call("/sdapi/v1/options", {"sd_vae": BASE.name})
    expect(page.locator(STATUS)).to_contain_text(TUNED.name)
    page.mouse.up()
    expect(page.locator(STATUS)).to_contain_text(BASE.name)
    assert page.evaluate("() => window.clicked") == 1


def test_release_outside_the_window_is_told_by_the_next_movement(stage: Stage, open_page: Open) -> None:
    page = open_page(stage)
    open_tab(page)
    page.evaluate(
        "(file) => document.querySelector(file).dispatchEvent(new PointerEvent('pointerdown',"
        " {bubbles: true, isPrimary: true, button: 0, buttons: 1}))",
        FILE,
    )
    with news(page, OTHER.name):
        shutil.copy(OTHER, stage.vaes)
    expect(page.locator(BAR)).to_contain_text("2 files")
    page.mouse.move(20, 20)
    expect(page.locator(BAR)).to_contain_text("3 files")
