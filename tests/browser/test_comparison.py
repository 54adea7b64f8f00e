"""The comparison, clicked, dragged and typed through: from a result to the VAE that is used and what is saved."""

from __future__ import annotations

import hashlib
import io
import itertools
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import GET_AND_USE, Stage, Stages, stages_in
from tests.browser.test_library import reaches_beyond
from tests.browser.test_main_job import TITLE, choose
from tests.shown import coded
from tests.vaes import BASE, TUNED
from tests.wording import worded, wording

Open = Callable[..., Page]
OTHER = BASE.with_name("tiny-other.safetensors")
SECTION = "#vae_manager_comparison_page"
PROGRESS = f"{SECTION} [data-vae-region=compare-progress]"
STAGE = f"{SECTION} [data-vae-stage]"
PANE = f"{STAGE} .vm-pane"
KEPT = f"{SECTION} [data-vae-region=compare-kept] button"
SLIDER = f"{STAGE} [role=slider]"
CHOOSE = "[data-vae-do*=choose]"
BUILT_IN = worded("built-in")
NUMBERS = itertools.count(1)
ANSWER = "#vae_manager_library_page .vm-reply"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """With two VAEs; one for the whole module."""
    with stages_in(tmp_path_factory) as start:
        yield start(vaes=(TUNED, OTHER))


def make_picture(page: Page, side: int = 128) -> str:
    """By txt2img, until its infotext is there; gives its prompt, which no other picture has."""
    prompt = f"a house, number {next(NUMBERS)}."
    for name in ("width", "height"):
        page.fill(f"#txt2img_{name} input[type=number]", str(side))
    page.fill("#txt2img_prompt textarea", prompt)
    page.click("#txt2img_generate")
    expect(page.locator("#html_info_txt2img p")).to_contain_text(f"Size: {side}x{side}", timeout=60_000)
    expect(page.locator("#html_info_txt2img p")).to_contain_text(prompt)
    return prompt


def open_section(page: Page) -> None:
    page.click("#tabs > .tab-nav > button:text-is('VAE')")
    page.locator("#vae_manager_library_pages > .tab-nav > button").nth(1).click()
    page.wait_for_selector(f"{SECTION} [data-vae-start]")


def compare_shown(page: Page) -> None:
    page.click("[data-vae-compare=txt2img]")
    expect(page.locator(PROGRESS)).to_contain_text(page.input_value("#txt2img_prompt textarea"))
    ended(page)


def ended(page: Page) -> None:
    page.wait_for_selector(f"{PROGRESS} [data-vae-key='save comparison']")


def card(page: Page, name: str) -> Locator:
    return page.locator(f"{SECTION} [data-vae-card]").filter(has=page.get_by_text(name, exact=True))


def transforms(page: Page) -> list[str]:
    script = "all => all.map((one) => one.style.transform)"
    return [str(one) for one in page.eval_on_selector_all(f"{STAGE} img", script)]


def scale(page: Page) -> float:
    found = re.search(r"scale\((.*)\)", transforms(page)[0])
    assert found is not None
    return float(found[1])


def shown(page: Page) -> NDArray[Any]:
    """What stands on the screen of the large picture."""
    picture = Image.open(io.BytesIO(page.locator(PANE).first.screenshot())).convert("RGB")
    return np.asarray(picture).astype(int)


def fetched(stage: Stage, path: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(f"{stage.webui.url}/vae-manager/comparison/{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert "private" in answer.headers["Cache-Control"] or "no-store" in answer.headers["Cache-Control"]
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def pixels(content: bytes) -> NDArray[Any]:
    return np.asarray(Image.open(io.BytesIO(content)))


def newest(page: Page) -> str:
    """The id of the comparison that is shown."""
    found = re.search(r"comparison/(\d+)/", page.get_attribute(f"{STAGE} img", "src") or "")
    assert found is not None
    return found[1]


# -- looking -------------------------------------------------------------------------------------------------------
def test_from_the_result_to_the_vae_that_is_used(made: Stage, open_page: Open) -> None:
    page = open_page(made)
    prompt = make_picture(page)
    choose(page, "Built-in")
    expect(page.locator(TITLE)).to_contain_text("Built-in")
    compare_shown(page)
    expect(page.locator(f"{SECTION} [data-vae-card]")).to_have_count(3)
    expect(card(page, BUILT_IN)).to_contain_text("reference")
    expect(card(page, TUNED.name)).to_contain_text(re.compile(r"SSIM \d\.\d+ · PSNR \d+\.\d dB · \d\.\d\d s"))
    expect(card(page, TUNED.name).locator(".vm-seen")).not_to_be_empty()
    expect(page.locator(PROGRESS)).to_contain_text("3 pictures")
    expect(page.locator(PROGRESS)).to_contain_text(f"128 × 128 · {prompt}")

    card(page, TUNED.name).get_by_text("Right", exact=True).click()
    expect(card(page, TUNED.name).get_by_text("Right", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(SLIDER)).to_have_attribute("aria-label", worded("boundary", left=BUILT_IN, right=TUNED.name))
    card(page, TUNED.name).locator(CHOOSE).click()
    expect(card(page, TUNED.name)).to_contain_text("✓ in use")
    expect(card(page, TUNED.name).locator(CHOOSE)).to_have_count(0)
    assert made.option("sd_vae") == TUNED.name
    page.click("#tabs > .tab-nav > button:has-text('txt2img')")
    expect(page.locator(TITLE)).to_contain_text(TUNED.stem)


def test_ticks_of_a_person_count_under_a_result_too(made: Stage, open_page: Open) -> None:
    page = open_page(made)
    make_picture(page)
    open_section(page)
    page.locator(f"{SECTION} [data-vae-chip][value='{OTHER.name}']").uncheck()
    page.click("#tabs > .tab-nav > button:has-text('txt2img')")
    compare_shown(page)
    expect(page.locator(f"{SECTION} [data-vae-card]")).to_have_count(2)
    expect(card(page, OTHER.name)).to_have_count(0)


def test_the_wipe_by_mouse_and_keyboard(made: Stage, open_page: Open) -> None:
    page = open_page(made)
    make_picture(page)
    compare_shown(page)
    card(page, OTHER.name).get_by_text("Right", exact=True).click()
    slider = page.locator(SLIDER)
    expect(slider).to_have_attribute("aria-valuenow", "50")
    size = page.locator(PANE).bounding_box()
    assert size is not None
    middle = size["y"] + size["height"] / 2
    page.mouse.move(size["x"] + size["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(size["x"] + size["width"] * 0.75, middle, steps=4)
    page.mouse.up()
    expect(slider).to_have_attribute("aria-valuenow", "75")
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(slider).to_have_attribute("aria-valuenow", "69")
    expect(slider).to_have_attribute("aria-valuetext", re.compile("^69 % "))
    page.keyboard.press("Home")
    right = shown(page)
    page.keyboard.press("End")
    left = shown(page)
    expect(slider).to_have_attribute("aria-valuenow", "100")
    assert np.abs(left - right)[80:-80, 80:-80].mean() > 10, "two pictures that differ much"
    for _ in range(5):
        page.keyboard.press("PageDown")
    half, edge = shown(page), left.shape[1] // 2
    assert np.array_equal(half[80:200, 80 : edge - 60], left[80:200, 80 : edge - 60])
    assert np.array_equal(half[80:200, edge + 60 : -80], right[80:200, edge + 60 : -80])


def test_zoom_and_movement_are_those_of_all_pictures(made: Stage, open_page: Open) -> None:
    page = open_page(made)
    make_picture(page)
    compare_shown(page)
    page.click(f"{SECTION} [data-vae-view=grid]")
    expect(page.locator(f"{STAGE} img")).to_have_count(3)
    whole = transforms(page)
    assert len(set(whole)) == 1
    page.locator(PANE).nth(1).hover()
    page.mouse.wheel(0, -300)
    assert len(set(transforms(page))) == 1
    assert transforms(page) != whole
    assert page.eval_on_selector(f"{STAGE} img", "one => getComputedStyle(one).imageRendering") == "pixelated"
    before = transforms(page)
    page.locator(STAGE).focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    assert len(set(transforms(page))) == 1
    assert transforms(page) != before
    size = page.locator(PANE).nth(2).bounding_box()
    assert size is not None
    before = transforms(page)
    page.mouse.move(size["x"] + 60, size["y"] + 60)
    page.mouse.down()
    page.mouse.move(size["x"] + 90, size["y"] + 80, steps=3)
    page.mouse.up()
    assert len(set(transforms(page))) == 1
    assert transforms(page) != before
    page.locator(STAGE).focus()
    page.keyboard.press("0")
    assert transforms(page) == whole
    assert page.eval_on_selector(f"{STAGE} img", "one => getComputedStyle(one).imageRendering") != "pixelated"


def test_two_fingers(made: Stage, open_page: Open) -> None:
    page = open_page(made)
    make_picture(page)
    compare_shown(page)
    before = scale(page)
    size = page.locator(PANE).bounding_box()
    assert size is not None
    hand = page.context.new_cdp_session(page)

    def touch(kind: str, *fingers: int) -> None:
        points = [{"x": size["x"] + x, "y": size["y"] + 100, "id": number} for number, x in enumerate(fingers)]
        hand.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 100, 140)
    touch("touchMove", 100, 180)
    touch("touchMove", 100, 220)
    touch("touchEnd")
    assert scale(page) == pytest.approx(3 * before, rel=0.01)
    where = transforms(page)
    touch("touchStart", 150)
    touch("touchMove", 190)
    touch("touchEnd")
    assert scale(page) == pytest.approx(3 * before, rel=0.01)
    assert transforms(page) != where, "one finger moves it once it is large"


def test_where_they_differ(made: Stage, open_page: Open) -> None:
    page = open_page(made)
    make_picture(page)
    compare_shown(page)
    card(page, BUILT_IN).get_by_text("Left", exact=True).click()
    card(page, TUNED.name).get_by_text("Right", exact=True).click()
    page.click(f"{SECTION} [data-vae-view=difference]")
    expect(page.locator(f"{SECTION} [data-vae-legend]")).to_have_text(wording("difference-scale"))
    source = page.get_attribute(f"{STAGE} img", "src") or ""
    first, second = (card(page, name).get_attribute("data-vae-card") for name in (BUILT_IN, TUNED.name))
    assert f"/difference/{first}/{second}.png" in source
    _, content = fetched(made, source.split("/comparison/")[1])
    levels = pixels(content)
    assert levels.shape == (128, 128)
    left, right = (pixels(fetched(made, f"{newest(page)}/{key}.png")[1]).astype(int) for key in (first, second))
    apart = np.abs(left - right).max(axis=2)
    white = int(re.sub(r"\D*(\d+) of 255.*", r"\1", page.inner_text(f"{SECTION} [data-vae-legend]")))
    assert np.array_equal(levels, (apart * (255 / white)).round())

    before = scale(page)
    page.click(f"{SECTION} [data-vae-next]")
    expect(page.locator(f"{SECTION} [data-vae-where]")).to_have_text("Difference 1 of 4")
    expect(page.locator(f"{STAGE} .vm-box")).to_be_visible()
    page.locator(STAGE).focus()
    page.keyboard.press("n")
    expect(page.locator(f"{SECTION} [data-vae-where]")).to_have_text("Difference 2 of 4")
    assert scale(page) >= before
    page.click(f"{SECTION} [data-vae-zoom=fit]")
    expect(page.locator(f"{STAGE} .vm-box")).to_be_hidden()


# -- files ---------------------------------------------------------------------------------------------------------
def test_what_is_saved(made: Stage, open_page: Open) -> None:
    page = open_page(made)
    prompt = make_picture(page)
    compare_shown(page)
    page.click(f"{PROGRESS} [data-vae-key='save comparison']")
    expect(page.locator(f"{PROGRESS} .vm-fine")).to_contain_text("Saved in")
    told = re.search(r"Saved in (.+): vae-\d+-comparison.png", page.inner_text(f"{PROGRESS} .vm-fine"))
    assert told is not None
    assert made.data in Path(told[1]).parents
    files = sorted(Path(told[1]).glob("*.png"))
    assert {file.stem[10:] for file in files} == {"Built-in", TUNED.stem, OTHER.stem, "comparison"}
    for key, name in enumerate(page.locator(f"{SECTION} [data-vae-card] bdi").all_inner_texts()):
        vae = None if name == BUILT_IN else name
        file = next(file for file in files if file.stem[10:] == ("Built-in" if vae is None else Path(vae).stem))
        with Image.open(file) as picture:
            infotext, saved = picture.info["parameters"], np.asarray(picture)
        assert infotext.startswith(f"{prompt}\n")
        digest = hashlib.sha256((made.vaes / vae).read_bytes()).hexdigest()[:10] if vae is not None else ""
        assert (f"VAE hash: {digest}, VAE: {vae}" in infotext) if vae is not None else ("VAE: " not in infotext)
        assert np.array_equal(saved, pixels(fetched(made, f"{newest(page)}/{key}.png")[1])), "pixel by pixel"
    with page.expect_popup() as opened:
        page.locator(f"{PROGRESS} a[href*='sheet.png']").click()
    opened.value.close()
    status, content = fetched(made, f"{newest(page)}/sheet.png")
    assert (status, content) == (200, next(file for file in files if "comparison" in file.name).read_bytes())
    sheet = pixels(content)
    assert sheet.shape[0] > 256
    assert sheet.shape[1] > 256


def test_pictures_are_for_the_page_alone(made: Stage, open_page: Open) -> None:
    page = open_page(made)
    make_picture(page)
    compare_shown(page)
    path = f"{newest(page)}/0.png"
    assert fetched(made, path)[0] == 200
    assert fetched(made, path, Origin="https://elsewhere.example")[0] == 403
    assert fetched(made, path, **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    id = newest(page)
    for missing in ("9999/0.png", f"{id}/77.png", f"{id}/..%2F0.png", f"{id}/original.png"):
        assert fetched(made, missing)[0] == 404, missing


def test_pictures_ask_for_the_sign_in(stages: Stages) -> None:
    stage = stages("--gradio-auth", "me:secret")
    for path in ("1/0.png", "1/sheet.png", "1/difference/0/1.png", "1/differences/0/1"):
        assert fetched(stage, path)[0] == 401, path


# -- the ones before -----------------------------------------------------------------------------------------------
def test_an_older_one_is_looked_at_again(stages: Stages, open_page: Open) -> None:
    stage = stages(vaes=(TUNED, OTHER))
    page = open_page(stage)
    prompts = []
    for side in (64, 96):
        page.click("#tabs > .tab-nav > button:has-text('txt2img')")
        prompts.append(make_picture(page, side))
        compare_shown(page)
    expect(page.locator(KEPT)).to_have_count(2)
    expect(page.locator(KEPT).first).to_have_attribute("aria-current", "true")
    expect(page.locator(KEPT).nth(1)).to_contain_text(prompts[0])
    expect(page.locator(KEPT).nth(1)).to_contain_text(re.compile(r"\d\d:\d\d · 3 VAEs"))
    last = newest(page)

    page.locator(KEPT).nth(1).click()
    expect(page.locator(PROGRESS)).to_contain_text(f"64 × 64 · {prompts[0]}")
    expect(page.locator(KEPT).nth(1)).to_have_attribute("aria-current", "true")
    expect(page.locator(KEPT).nth(1)).to_be_focused()
    older = newest(page)
    assert older != last
    expect(card(page, TUNED.name)).to_contain_text("PSNR")
    card(page, TUNED.name).get_by_text("Right", exact=True).click()
    page.locator(SLIDER).focus()
    page.keyboard.press("End")
    expect(page.locator(SLIDER)).to_have_attribute("aria-valuenow", "100")
    page.click(f"{SECTION} [data-vae-view=grid]")
    expect(page.locator(f"{STAGE} img")).to_have_count(3)
    page.click(f"{PROGRESS} [data-vae-key='save comparison']")
    expect(page.locator(f"{PROGRESS} .vm-fine")).to_contain_text("Saved in")
    assert fetched(stage, f"{older}/sheet.png")[0] == 200
    assert fetched(stage, f"{last}/sheet.png")[0] == 404
    card(page, TUNED.name).locator(CHOOSE).click()
    expect(card(page, TUNED.name)).to_contain_text("✓ in use")
    assert stage.option("sd_vae") == TUNED.name

    page.click(f"{SECTION} [data-vae-start]")  # the page goes on to what it has begun
    expect(page.locator(KEPT)).to_have_count(3)
    expect(page.locator(KEPT).first).to_have_attribute("aria-current", "true")
    ended(page)
    assert newest(page) not in (older, last)


# -- stopping, refusing --------------------------------------------------------------------------------------------
def test_cancelled_in_the_middle(stages: Stages, open_page: Open, tmp_path: Path) -> None:
    copies = [Path(shutil.copy(TUNED, tmp_path / f"vae-{number:02}.safetensors")) for number in range(12)]
    stage = stages(vaes=tuple(copies))
    page = open_page(stage)
    make_picture(page, 384)
    open_section(page)
    for box in page.locator(f"{SECTION} [data-vae-chip]").all():
        box.check()
    page.click(f"{SECTION} [data-vae-start]")
    expect(page.locator(f"{PROGRESS} [role=progressbar]")).to_be_visible()
    arrived = page.locator(f"{SECTION} [data-vae-card] img")
    expect(arrived.nth(1)).to_be_visible(timeout=60_000)  # they appear as they come
    expect(page.locator(f"{SECTION} [data-vae-card]").last.locator(coded("waits-for-turn"))).to_be_visible()
    page.click(f"{PROGRESS} [data-vae-key='stop comparison']")
    expect(page.locator(PROGRESS)).to_contain_text(wording("comparison-stopped"))
    expect(page.locator(f"{SECTION} [data-vae-card]").last.locator(coded("stopped-before-turn"))).to_be_visible()
    assert 2 <= arrived.count() < 13
    expect(page.locator(SLIDER)).to_be_visible()
    assert stage.webui.call("/sdapi/v1/txt2img", {"prompt": "x", "steps": 1, "width": 64, "height": 64})[0] == 200


def test_what_cannot_be_compared_says_why(stages: Stages, open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "page.safetensors").write_bytes(b"<!DOCTYPE html><html>sign in</html>")
    stage = stages(config={"sd_vae": TUNED.name}, vaes=(TUNED, tmp_path / "page.safetensors"))
    page = open_page(stage)
    page.click("#vae_manager_txt2img [data-vae-compare]")
    expect(page.locator(ANSWER)).to_contain_text(wording("no-picture-yet"))
    box = page.locator(f"{SECTION} [data-vae-chip][value='page.safetensors']")
    expect(box).to_be_disabled()
    expect(page.locator(f"{SECTION} [data-vae-chip]:not(:checked)")).to_have_count(1)
    page.get_by_text(worded("not-comparable", count=1)).click()
    expect(page.locator(f"{SECTION} .vm-caught")).to_contain_text(wording("web-page", file="page.safetensors"))
    page.click(f"{SECTION} [data-vae-start]")
    expect(page.locator(ANSWER)).to_contain_text(wording("no-picture-given"))
    page.get_by_text("Which VAE?").click()
    expect(page.locator(f"{SECTION} [data-vae-region=which]")).to_contain_text("is SD 1.x / 2.x")
    expect(page.locator(f"{SECTION} [data-vae-region=which] {GET_AND_USE}").first).to_be_visible()


# -- a picture of one's own ----------------------------------------------------------------------------------------
def test_a_picture_of_ones_own(made: Stage, open_page: Open, tmp_path: Path) -> None:
    page = open_page(made)
    mine = np.random.default_rng(0).integers(0, 255, (96, 100, 3), dtype=np.uint8)
    Image.fromarray(mine).save(tmp_path / "mine.png")
    make_picture(page)
    open_section(page)
    page.set_input_files(f"{SECTION} input[type=file]", tmp_path / "mine.png")
    expect(page.locator(f"{SECTION} [data-vae-picture][value=own]")).to_be_checked()
    page.locator(f"{SECTION} label:has([data-vae-key='encode each'])").click()
    page.click(f"{SECTION} [data-vae-start]")
    expect(page.locator(PROGRESS)).to_contain_text(worded("own-image", width=100, height=96))
    ended(page)
    expect(card(page, "Original")).to_contain_text("reference")
    expect(card(page, TUNED.name)).to_contain_text("PSNR")
    assert np.array_equal(pixels(fetched(made, f"{newest(page)}/original.png")[1]), mine)
    expect(page.locator(SLIDER)).to_have_attribute("aria-label", re.compile("between Original and"))

    page.click(f"{SECTION} [data-vae-take=txt2img]")
    page.wait_for_function(
        "src => { const own = document.querySelector('#vae_manager_comparison_own img');"
        " return own !== null && own.naturalWidth === 128; }"
    )
    page.click(f"{SECTION} [data-vae-start]")
    expect(page.locator(PROGRESS)).to_contain_text(worded("own-image", width=128, height=128))
    ended(page)


# -- looks ---------------------------------------------------------------------------------------------------------
def test_chinese_and_narrow(stages: Stages, open_page: Open) -> None:
    stage = stages(config={"localization": "zh_CN.vae-manager"}, vaes=(TUNED, OTHER))
    for theme in ("light", "dark"):
        page = open_page(stage, f"/?__theme={theme}", accordion=False)
        make_picture(page)
        expect(page.locator("[data-vae-compare=txt2img]")).to_have_text("比较 VAE")
        for _ in range(2):
            page.click("#tabs > .tab-nav > button:has-text('txt2img')")
            compare_shown(page)
        expect(page.locator(KEPT).first).to_contain_text("3 个 VAE")
        expect(card(page, TUNED.name)).to_contain_text("使用这个")
        expect(page.locator(f"{SECTION} [data-vae-view=difference]")).to_have_text("差异图")
        for width in (1300, 900, 600, 420):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(150)
            assert reaches_beyond(page) <= 0, width
            expect(page.locator(SLIDER)).to_be_visible()
        assert re.findall(r"[a-z]{3,} [a-z]{3,}", page.inner_text(f"{SECTION} [data-vae-viewer]")) == []
        page.close()
