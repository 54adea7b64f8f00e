"""Which VAE suits my pictures: pictures dropped, ranked in the background, the card, and the advice that stays."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from tests.browser.conftest import Stage, stages_in
from tests.browser.test_comparison import OTHER, SECTION, make_picture, open_section
from tests.browser.test_library import reaches_beyond
from tests.compare.planted import samples
from tests.vaes import TUNED
from tests.wording import wording
from vae_manager.compare.trial_card import TEXT

Open = Callable[..., Page]
TRIAL = f"{SECTION} [data-vae-trial]"
RANKED = f"{TRIAL} .vm-ranked"
ANSWER = "#vae_manager_library_page .vm-reply"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """With two VAEs besides that of the checkpoint; one for the whole module."""
    with stages_in(tmp_path_factory) as start:
        yield start(vaes=(TUNED, OTHER))


def open_trial(page: Page) -> None:
    open_section(page)
    page.click(f"{TRIAL} > summary")


def files(count: int, seed: int) -> list[FilePayload]:
    return [{"name": one.name, "mimeType": "image/png", "buffer": one.read()} for one in samples(count, 64, seed=seed)]


def drop(page: Page, count: int, seed: int = 1) -> None:
    page.set_input_files(f"{TRIAL} input[type=file]", files(count, seed))
    expect(page.locator(f"{TRIAL} [data-vae-trial-count]")).to_contain_text(str(count))


def test_dropped_pictures_are_ranked(made: Stage, open_page: Open) -> None:
    page = open_page(made)
    open_trial(page)
    drop(page, 7)
    page.click(f"{TRIAL} [data-vae-trial-start]")
    page.wait_for_selector(f"{TRIAL} a[download]")
    expect(page.locator(RANKED)).to_have_count(3)
    assert page.locator(RANKED).first.locator(".vm-place").inner_text() == "1"
    assert not reaches_beyond(page)
    with page.expect_download() as download:
        page.click(f"{TRIAL} a[download]")
    content = Path(download.value.path()).read_bytes()
    with Image.open(io.BytesIO(content)) as card:
        numbers = json.loads(card.text[TEXT])
    assert numbers["pictures"] == 7
    page.click(f"{TRIAL} [data-vae-key='worst parts'] > summary")
    part = page.locator(f"{TRIAL} .vm-crops img").first
    expect(part).to_have_js_property("complete", True)
    assert part.evaluate("image => image.naturalWidth") == 64
    page.click(".vm-which > summary")
    expect(page.locator(f"{SECTION} [data-vae-region=which]")).to_contain_text(wording("measured-here"))
    assert json.loads((made.data / "vae-manager" / "trials.json").read_text("utf-8"))[0]["pictures"] == 7


def test_a_trial_is_cancelled_and_goes_on(made: Stage, open_page: Open) -> None:
    page = open_page(made)
    open_trial(page)
    drop(page, 60, seed=2)
    page.click(f"{TRIAL} [data-vae-trial-start]")
    page.click(f"{TRIAL} [data-vae-key='stop trial']")
    expect(page.locator(f"{TRIAL} [data-vae-region=trial]")).to_contain_text(wording("trial-stopped"))
    lines = (made.data / "vae-manager" / "trial-journal.jsonl").read_bytes().count(b"\n")
    assert lines < 60 * 3


def test_a_folder_of_the_machine(made: Stage, open_page: Open, tmp_path: Path) -> None:
    for one in samples(2, 64, seed=3):
        (tmp_path / one.name).write_bytes(one.read())
    (tmp_path / "broken.png").write_bytes(b"no picture")
    page = open_page(made)
    open_trial(page)
    page.fill(f"{TRIAL} [data-vae-trial-folder]", str(tmp_path))
    page.click(f"{TRIAL} [data-vae-trial-start]")
    page.wait_for_selector(f"{TRIAL} a[download]")
    expect(page.locator(f"{TRIAL} [data-vae-region=trial]")).to_contain_text(wording("pictures-left-out"))
    page.fill(f"{TRIAL} [data-vae-trial-folder]", str(tmp_path / "none"))
    page.click(f"{TRIAL} [data-vae-trial-start]")
    expect(page.locator(f"{TRIAL} [data-vae-region=trial]")).to_contain_text(wording("no-such-folder"))


def test_the_last_generations(made: Stage, open_page: Open) -> None:
    page = open_page(made)
    make_picture(page, 64)
    make_picture(page, 64)
    open_trial(page)
    page.check(f"{TRIAL} [value=recent]")
    page.click(f"{TRIAL} [data-vae-trial-start]")
    page.wait_for_selector(f"{TRIAL} a[download]")
    expect(page.locator(f"{TRIAL} [data-vae-region=trial]")).to_contain_text(wording("no-original"))
    expect(page.locator(RANKED)).to_have_count(3)


def test_what_is_missing_is_told_where_it_was_clicked(made: Stage, open_page: Open) -> None:
    page = open_page(made)
    open_trial(page)
    page.check(f"{TRIAL} [value=folder]")
    page.click(f"{TRIAL} [data-vae-trial-start]")
    expect(page.locator(ANSWER)).to_contain_text(re.compile(wording("no-folder-given").pattern))
