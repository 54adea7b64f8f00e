"""The answer to a click, in the tab "VAE", in the comparison and in the accordion: where the click was, and in view."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Stage, Stages
from tests.browser.test_library import BASE, FILE, OTHER, TAB, diffusers, open_tab, press, row, select, unfold
from tests.browser.test_main_job import ACCORDION, TITLE
from tests.shown import coded
from tests.vaes import TUNED
from tests.wording import wording

Open = Callable[..., Page]
ANSWER = ".vm-reply"


def answer_in(place: Locator) -> Locator:
    """The answer, seen on the screen."""
    answer = place.locator(ANSWER)
    expect(answer).to_be_in_viewport()
    return answer


def below(row: Locator) -> Locator:
    """The answer below a row of the table."""
    answer = row.locator("xpath=following-sibling::tr[1]")
    expect(answer).to_have_class(ANSWER[1:])
    expect(answer).to_be_in_viewport()
    return answer


def many(stage: Stage, count: int = 30) -> None:
    """Files enough that a row is far below the top of the page."""
    content = TUNED.read_bytes()
    for number in range(count):
        (stage.vaes / f"a{number:02}.safetensors").write_bytes(content)


def test_a_refused_use_and_a_question_stand_below_the_row(stages: Stages, open_page: Open) -> None:
    stage = stages(vaes=(OTHER,))
    many(stage)
    page = open_page(stage, accordion=False)
    page.set_viewport_size({"width": 1300, "height": 700})
    open_tab(page)
    select(page, OTHER.name)
    press(page, "This is SDXL")
    expect(row(page, OTHER.name).locator(coded("other-family"))).to_contain_text("!")
    row(page, OTHER.name).get_by_text("Use", exact=True).click()
    question = below(row(page, OTHER.name))
    expect(question.locator(coded("other-family"))).to_contain_text(OTHER.name)
    expect(page.locator(f"{TAB} [data-vae-said=choice]:visible")).to_have_count(0)
    expect(page.locator(TITLE)).to_contain_text(wording("asked-about", vae=OTHER.name))
    page.wait_for_timeout(3000)
    expect(question).to_be_visible()  # the page renews itself
    page.locator(f"{TAB} [data-vae-sort=size]").click()
    expect(below(row(page, OTHER.name))).to_be_visible()
    question = below(row(page, OTHER.name))
    question.get_by_text("Use anyway").click()
    expect(row(page, OTHER.name)).to_contain_text("✓ in use")
    expect(page.locator(ANSWER)).to_have_count(0)


def test_a_use_that_fails_stands_in_the_panel_until_it_is_dismissed(stages: Stages, open_page: Open) -> None:
    stage = stages(vaes=(TUNED, BASE))
    page = open_page(stage, accordion=False)
    open_tab(page)
    select(page, BASE.name)
    (stage.vaes / BASE.name).write_bytes(b"no longer a VAE")
    press(page, "Use")
    answer = answer_in(page.locator(FILE))
    expect(answer).to_contain_text(wording("text", file=BASE.name))
    expect(page.locator(TITLE)).to_contain_text(wording("was-refused", vae=BASE.name))
    answer.locator(".vm-dismiss").click()
    expect(page.locator(ANSWER)).to_have_count(0)
    expect(page.locator(TITLE)).not_to_contain_text(wording("was-refused"))


def test_a_refused_form_keeps_its_answer_beside_it_until_it_is_closed(stages: Stages, open_page: Open) -> None:
    stage = stages(vaes=(TUNED, BASE))
    page = open_page(stage, accordion=False)
    open_tab(page)
    select(page, BASE.name)
    unfold(page, "Rename …")
    page.locator(f"{FILE} input[name=name]").fill(TUNED.name)
    page.keyboard.press("Enter")
    answer = answer_in(page.locator(FILE))
    expect(answer).to_contain_text(wording("name-taken", file=TUNED.name))
    assert page.evaluate(f"document.querySelector('{FILE} {ANSWER}').previousElementSibling.tagName") == "FORM"
    answer.locator("[data-vae-close]").click()
    expect(page.locator(ANSWER)).to_have_count(0)


def test_work_stands_where_it_was_begun(stages: Stages, open_page: Open) -> None:
    stage = stages()
    diffusers(stage.vaes / "theirs.safetensors")
    page = open_page(stage, accordion=False)
    open_tab(page)
    row(page, "theirs.safetensors").get_by_text("Convert", exact=True).click()
    done = below(row(page, "theirs.safetensors"))
    expect(done.locator(coded("converted-from"))).to_contain_text("theirs.safetensors")
    expect(page.locator(f"{TAB} [data-vae-said=told]:visible")).to_have_count(0)
    done.get_by_text("Use", exact=True).click()
    expect(row(page, "theirs-2.safetensors")).to_contain_text("✓ in use")


def test_a_refusal_in_the_comparison_stands_at_its_button(stages: Stages, open_page: Open) -> None:
    stage = stages(vaes=(TUNED,))
    page = open_page(stage, accordion=False)
    open_tab(page)
    page.locator("#vae_manager_library_pages > .tab-nav > button").nth(1).click()
    page.locator("[data-vae-start]").click()
    setup = page.locator("[data-vae-region=compare-setup]")
    expect(answer_in(setup)).to_contain_text(wording("no-picture-given"))


def test_a_refused_address_stands_below_its_field(stages: Stages, open_page: Open) -> None:
    stage = stages(vaes=(TUNED,))
    page = open_page(stage)
    page.locator(f"{ACCORDION} [data-vae-open]").click()
    downloads = page.locator("#vae_manager_downloads_page")
    downloads.locator("input[name=address]").fill("https://127.0.0.1:1/page")
    page.keyboard.press("Enter")
    answer = answer_in(downloads)
    expect(answer).to_contain_text("page is no .safetensors file")
    assert answer.evaluate("(one) => one.previousElementSibling.tagName") == "FORM"


def test_one_primary_button_in_the_accordion(stages: Stages, open_page: Open) -> None:
    page = open_page(stages(vaes=(TUNED,)))
    expect(page.locator(f"{ACCORDION} [data-vae-entry]").first).to_be_visible()
    expect(page.locator(f"{ACCORDION} .vm-primary")).to_have_count(1)
