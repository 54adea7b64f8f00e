"""The tab "VAE", clicked and typed through: the table, a file's acts, long work, names that are no names."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import GET_AND_USE, Stages, offer
from tests.browser.test_main_job import ACCORDION, DROPDOWN, STATUS, TITLE, choose
from tests.files.samples import encode, header_of, ldm
from tests.library.vaes import vae
from tests.shown import coded
from tests.vaes import BASE, TUNED
from tests.wording import worded, wording
from vae_manager.files.conversion import convert

Open = Callable[..., Page]
OTHER = BASE.with_name("tiny-other.safetensors")
TAB = "#vae_manager_library_page"
FILE = f"{TAB} [data-vae-region=file]"
BAR = f"{TAB} [data-vae-region=library-bar]"
VERIFIED = f":is({coded('verified-as-before')}, {coded('verified-as-published')})"
READ = f":is({VERIFIED}, {coded('read-for-the-first-time')})"
NAMES = f"{TAB} tr[data-vae-row]:not([hidden]) [data-vae-select]"


def open_tab(page: Page) -> None:
    page.click("#tabs > .tab-nav > button:text-is('VAE')")
    page.wait_for_selector(f"{BAR} p")


def row(page: Page, name: str) -> Locator:
    return page.locator(f"{TAB} tr[data-vae-row]").filter(has=page.get_by_text(name, exact=True))


def select(page: Page, name: str) -> None:
    row(page, name).locator("[data-vae-select]").click()
    expect(page.locator(f"{FILE} h3")).to_have_text(name)


def press(page: Page, label: str, where: str = FILE) -> None:
    page.locator(f"{where} button:visible").get_by_text(label, exact=True).click()


def unfold(page: Page, label: str) -> None:
    page.locator(f"{TAB} summary").get_by_text(label, exact=True).click()


def choose_marked(page: Page, line: str) -> None:
    """Choose what stands last in the dropdown, with the reason."""
    page.click(DROPDOWN)
    last = page.locator(f"{ACCORDION}_choice ul.options li").last
    expect(last).to_contain_text(line)
    last.click()


def big(path: Path, size: int) -> Path:
    """A VAE of `size` bytes that takes no room on the disk, and takes its time to be read."""
    shapes = {**ldm(), "decoder.mid.block_1.conv1.weight": (size // 36, 1, 3, 3)}
    header, data = header_of(shapes)
    path.write_bytes(encode(header))
    os.truncate(path, path.stat().st_size + data)
    return path


# -- the table -----------------------------------------------------------------------------------------------------
def test_the_table_by_mouse_and_keyboard(stages: Stages, open_page: Open) -> None:
    stage = stages(config={"sd_vae": TUNED.name}, vaes=(TUNED,))
    vae(stage.vaes / "v10.safetensors")
    vae(stage.vaes / "v2.safetensors", note="x" * 5000)
    (stage.vaes / "page.safetensors").write_bytes(b"<!DOCTYPE html><html>sign in</html>")
    page = open_page(stage, accordion=False)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(3000)
    assert asked
    assert not any("library" in url for url in asked), "nobody sees it"
    open_tab(page)
    expect(page.locator(f"{BAR} .vm-summary")).to_contain_text("4 files · ")
    expect(page.locator(f"{BAR} .vm-summary")).to_contain_text("3 with problems")
    names = page.locator(NAMES)
    expect(names).to_have_text(["page.safetensors", TUNED.name, "v2.safetensors", "v10.safetensors"])
    expect(page.locator(f"{FILE} h3")).to_have_text(TUNED.name)
    expect(row(page, TUNED.name)).to_have_attribute("aria-current", "true")
    expect(row(page, TUNED.name)).to_contain_text("✓ in use")

    size = page.locator(f"{TAB} th.vm-c-size")
    page.locator(f"{TAB} [data-vae-sort=size]").focus()
    page.keyboard.press("Enter")
    expect(size).to_have_attribute("aria-sort", "ascending")
    expect(names).to_have_text(["page.safetensors", "v10.safetensors", "v2.safetensors", TUNED.name])
    page.keyboard.press("Space")
    expect(size).to_have_attribute("aria-sort", "descending")
    expect(page.locator(f"{TAB} th[aria-sort=descending]")).to_have_count(1)
    expect(names).to_have_text([TUNED.name, "v2.safetensors", "v10.safetensors", "page.safetensors"])
    page.locator(f"{TAB} [data-vae-sort=state]").click()
    page.locator(f"{TAB} [data-vae-sort=state]").click()
    expect(names.first).to_have_text("page.safetensors")

    page.fill(f"{TAB} [data-vae-filter]", "FP32 ldm")
    expect(names).to_have_text(["v2.safetensors", "v10.safetensors"])
    expect(page.locator(f"{TAB} [data-vae-shown]")).to_have_text("2 of 4 shown")
    page.fill(f"{TAB} [data-vae-filter]", "nothing at all")
    expect(page.locator(f"{TAB} [data-vae-nothing]")).to_be_visible()
    page.fill(f"{TAB} [data-vae-filter]", "")
    expect(names).to_have_count(4)

    names.nth(0).focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"{FILE} h3")).to_have_text("page.safetensors")
    expect(page.locator(FILE)).to_contain_text(wording("web-page", file="page.safetensors"))
    expect(page.locator(f"{FILE} button").get_by_text("Use", exact=True)).to_have_count(0)
    asked.clear()
    page.wait_for_timeout(5500)
    assert 1 <= len([url for url in asked if "library" in url]) <= 3, "nothing moves"
    answer = stage.webui.call(asked[-1].removeprefix(stage.webui.url))[1]
    assert answer["library"]["rows"] == {}, "what the browser has is not sent again"


# -- a file --------------------------------------------------------------------------------------------------------
def test_rename_move_delete_undo(stages: Stages, open_page: Open, tmp_path: Path) -> None:
    stage = stages("--vae-dir", str(tmp_path), config={"sd_vae": TUNED.name}, vaes=(TUNED, BASE))
    page = open_page(stage)
    open_tab(page)
    select(page, TUNED.name)
    expect(page.locator(f"{FILE} .vm-acts ~ .vm-hint")).to_be_visible()
    expect(page.locator(f"{FILE} :is(form, [data-vae-do*=delete-file])")).to_have_count(0)
    expect(page.locator(f"{FILE} summary").get_by_text("Rename …")).to_have_count(0)

    select(page, BASE.name)
    unfold(page, "Rename …")
    field = page.locator(f"{FILE} input[name=name]")
    field.fill("page.html.pt")
    page.wait_for_timeout(3000)
    expect(field).to_have_value("page.html.pt")  # the page renews itself, and what is typed stays
    field.fill("better name.safetensors")
    page.keyboard.press("Enter")
    expect(page.locator(f"{FILE} h3")).to_have_text("better name.safetensors")
    assert (stage.vaes / "better name.safetensors").read_bytes() == BASE.read_bytes()
    assert not (stage.vaes / BASE.name).exists()
    unfold(page, "Rename …")
    field.fill(TUNED.name)
    page.keyboard.press("Enter")
    expect(page.locator(f"{TAB} [role=alert]:visible")).to_contain_text(wording("name-taken", file=TUNED.name))

    unfold(page, "Move …")
    page.locator(f"{FILE} select[name=folder]").select_option(label=str(tmp_path))
    press(page, "Move")
    expect(page.locator(f"{FILE} dd").first).to_have_text(str(tmp_path / "better name.safetensors"))
    expect(page.locator(f"{TAB} [role=alert]:visible")).to_have_count(0)

    press(page, "Delete")
    expect(row(page, "better name.safetensors")).to_have_count(0)
    assert list(tmp_path.iterdir()) == []
    page.locator(f"{TAB} button:visible").get_by_text("Restore", exact=True).first.click()
    expect(row(page, "better name.safetensors")).to_have_count(1)
    assert (tmp_path / "better name.safetensors").read_bytes() == BASE.read_bytes()

    row(page, "better name.safetensors").get_by_text("Use", exact=True).click()
    expect(row(page, "better name.safetensors")).to_contain_text("✓ in use")
    assert stage.option("sd_vae") == "better name.safetensors"


def test_take_in_a_file_and_say_what_it_is(stages: Stages, open_page: Open, tmp_path: Path) -> None:
    source = shutil.copy(OTHER, tmp_path)
    stage = stages()
    page = open_page(stage)
    open_tab(page)
    expect(page.locator(f"{BAR} {coded('no-files-yet')}")).to_be_visible()
    page.locator(f"{TAB} details[data-vae-key=adopt] > summary").click()
    page.fill(f"{TAB} input[name=path]", str(source))
    page.locator(f"{TAB} select[name=how]").select_option("move")
    page.wait_for_timeout(2700)
    expect(page.locator(f"{TAB} select[name=how]")).to_have_value("move")  # kept through a renewal
    page.locator(f"{TAB} button[data-vae-key=adopt]").click()
    expect(row(page, OTHER.name).locator(coded("usable"))).to_be_visible()
    expect(page.locator(BAR)).to_contain_text(wording("adopted", file=OTHER.name))
    assert list(tmp_path.iterdir()) == []
    press(page, "Use", f"{TAB} :is(.vm-reply, [data-vae-said])")
    expect(row(page, OTHER.name)).to_contain_text("✓ in use")

    select(page, OTHER.name)
    press(page, "This is SDXL")
    expect(row(page, OTHER.name)).to_contain_text(f"SDXL {worded('set-by-you')}")
    expect(row(page, OTHER.name).locator(coded("other-family"))).to_contain_text("!")
    page.click("#tabs > .tab-nav > button:has-text('txt2img')")
    expect(page.locator(f"{STATUS} {coded('noise-expected')}")).to_contain_text("SDXL")
    choose(page, "Built-in")
    expect(page.locator(TITLE)).to_contain_text("Built-in")
    choose_marked(page, f"{OTHER.name} · SDXL · {worded('option-of-other-family')}")
    expect(page.locator(f"{STATUS} {coded('other-family')}")).to_contain_text(OTHER.name)
    expect(page.locator(TITLE)).to_contain_text("Built-in")


def test_where_others_can_reach_the_page(stages: Stages, open_page: Open) -> None:
    stage = stages("--listen", vaes=(TUNED,))
    page = open_page(stage)
    open_tab(page)
    select(page, TUNED.name)
    expect(page.locator(FILE)).to_contain_text(wording("shared-webui"))
    for label in ("Delete", "Rename …", "This is SDXL"):
        expect(page.locator(FILE).get_by_text(label, exact=True)).to_have_count(0)
    expect(page.locator(f"{TAB} form")).to_have_count(0)
    press(page, "Verify")
    expect(page.locator(f"{FILE} {VERIFIED}")).to_be_visible()
    row(page, TUNED.name).get_by_text("Use", exact=True).click()
    expect(row(page, TUNED.name)).to_contain_text("✓ in use")


# -- conversion ----------------------------------------------------------------------------------------------------
def diffusers(path: Path) -> Path:
    """TUNED in the layout that the WebUI cannot load."""
    convert(TUNED, path, layout="diffusers")
    return path


def test_convert_and_use(stages: Stages, open_page: Open) -> None:
    stage = stages()
    content = diffusers(stage.vaes / "theirs.safetensors").read_bytes()
    page = open_page(stage)
    open_tab(page)
    select(page, "theirs.safetensors")
    expect(row(page, "theirs.safetensors").locator(coded("needs-converting"))).to_contain_text("!")
    expect(page.locator(FILE).locator(coded("usable-if-converted"))).to_be_visible()
    press(page, "Convert")
    made = worded(
        "converted-from", file="theirs-2.safetensors", source="theirs.safetensors", done=worded("names-changed")
    )
    expect(page.locator(BAR)).to_contain_text(made)
    expect(row(page, "theirs-2.safetensors").locator(coded("usable"))).to_be_visible()
    press(page, "Use", f"{TAB} :is(.vm-reply, [data-vae-said])")
    expect(row(page, "theirs-2.safetensors")).to_contain_text("✓ in use")
    assert (stage.vaes / "theirs.safetensors").read_bytes() == content
    assert (stage.vaes / "theirs-2.safetensors").is_file()

    page.click("#tabs > .tab-nav > button:has-text('txt2img')")
    choose(page, "Built-in")
    expect(page.locator(TITLE)).to_contain_text("Built-in")
    choose_marked(page, f"theirs.safetensors · {worded('option-needs-converting')}")
    expect(page.locator(f"{STATUS} .vm-broken{coded('diffusers')}")).to_contain_text("theirs.safetensors")
    page.click(f"{STATUS} [data-vae-do*=convert-file]")
    expect(page.locator(TITLE)).to_contain_text("theirs-2")
    expect(page.locator(DROPDOWN)).to_have_value(re.compile("^theirs-2.safetensors"))
    assert len(list(stage.vaes.iterdir())) == 2, "the first result is used"


def test_a_download_that_cannot_be_loaded_is_converted(stages: Stages, open_page: Open, tmp_path: Path) -> None:
    stage = stages()
    offer(stage.data, stage.hub, "theirs", "Theirs", diffusers(tmp_path / "theirs.safetensors"))
    page = open_page(stage)
    page.click(f"{ACCORDION} [data-vae-entry=theirs] {GET_AND_USE}")
    expect(page.locator(TITLE)).to_contain_text("theirs-2")
    assert (stage.vaes / "theirs.safetensors").read_bytes() == (tmp_path / "theirs.safetensors").read_bytes()


# -- long work -----------------------------------------------------------------------------------------------------
def test_verify_all_shows_progress_and_can_be_cancelled(stages: Stages, open_page: Open) -> None:
    stage = stages(vaes=(TUNED,))
    big(stage.vaes / "big.safetensors", 6_000_000_000)
    page = open_page(stage)
    open_tab(page)
    press(page, "Verify all", BAR)
    progress = page.locator(f"{BAR} [role=progressbar]")
    expect(progress).to_be_visible()
    expect(page.locator(f"{BAR} [data-vae-do*=stop-work][data-vae-do*=verify-all]")).to_be_visible()
    page.wait_for_function("() => document.querySelector('#vae_manager_library_page .vm-work span')?.textContent"
                           ".includes('/s · ')")  # fmt: skip
    page.click("#tabs > .tab-nav > button:has-text('txt2img')")
    page.fill("#txt2img_prompt textarea", "a house")
    choose(page, TUNED.name)
    expect(page.locator(TITLE)).to_contain_text(TUNED.stem)  # nothing waits for it
    open_tab(page)
    press(page, "Cancel", BAR)
    expect(progress).to_have_count(0)
    select(page, TUNED.name)
    (stage.vaes / "big.safetensors").unlink()
    press(page, "Verify all", BAR)
    expect(page.locator(f"{FILE} {READ}")).to_be_visible()
    press(page, "Find duplicates", BAR)
    expect(page.locator(BAR)).to_contain_text(wording("no-duplicates"))


# -- names ---------------------------------------------------------------------------------------------------------
HOSTILE = {
    "<img src=x onerror=alert(1)>.safetensors": "<img src=x onerror=alert(1)>.safetensors",
    "\">'<b onclick=alert(1)>.safetensors": "\">'<b onclick=alert(1)>.safetensors",
    "a&lt;b&amp;c.safetensors": "a&lt;b&amp;c.safetensors",
    "\u202egnp.exe.safetensors": "\ufffdgnp.exe.safetensors",
    "😀 and 👩‍🚀.safetensors": "😀 and 👩‍🚀.safetensors",
    f"long {'x' * 200}.safetensors": f"long {'x' * 200}.safetensors",
    "{count} ${shown} %s.safetensors": "{count} ${shown} %s.safetensors",
}
"""Names of files, and how they are shown."""


def test_names_are_text_and_acted_on(stages: Stages, open_page: Open) -> None:
    stage = stages()
    for name in HOSTILE:
        shutil.copy(TUNED, stage.vaes / name)
    page = open_page(stage)
    page.on("dialog", lambda dialog: pytest.fail("a name was run"))
    open_tab(page)
    expect(page.locator(NAMES)).to_have_count(len(HOSTILE))
    assert sorted(page.locator(NAMES).all_inner_texts()) == sorted(HOSTILE.values())
    for name, text in HOSTILE.items():
        select(page, text)
        assert page.locator(f"{TAB} :is(img, script)").count() == 0
        press(page, "Delete")
        expect(page.locator(BAR)).to_contain_text(wording("in-trash", file=text))
        assert not (stage.vaes / name).exists()
        page.locator(f"{TAB} button:visible").get_by_text("Restore", exact=True).first.click()
        expect(row(page, text)).to_have_count(1)
        assert (stage.vaes / name).exists()
    text = HOSTILE["<img src=x onerror=alert(1)>.safetensors"]
    row(page, text).get_by_text("Use", exact=True).click()
    expect(row(page, text)).to_contain_text("✓ in use")
    assert stage.option("sd_vae") == text
    page.set_viewport_size({"width": 420, "height": 900})
    assert reaches_beyond(page) <= 0


# -- looks ---------------------------------------------------------------------------------------------------------
def reaches_beyond(page: Page) -> int:
    return int(page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth"))


def test_chinese_and_narrow(stages: Stages, open_page: Open) -> None:
    stage = stages(config={"localization": "zh_CN.vae-manager", "sd_vae": TUNED.name}, vaes=(TUNED, BASE))
    (stage.vaes / "page.safetensors").write_bytes(b"<html>")
    for theme in ("light", "dark"):
        page = open_page(stage, f"/?__theme={theme}", accordion=False)
        open_tab(page)
        expect(page.locator(BAR)).to_contain_text("3 个文件")
        expect(row(page, TUNED.name)).to_contain_text("✓ 使用中")
        expect(row(page, "page.safetensors")).to_contain_text("是网页")
        press(page, "全部校验", BAR)
        expect(page.locator(FILE)).to_contain_text("所有数值正常")
        for width in (1300, 900, 600, 420):
            page.set_viewport_size({"width": width, "height": 900})
            assert reaches_beyond(page) <= 0, width
            inside = page.evaluate(
                "() => [...document.querySelectorAll('#vae_manager_library_page *')]"
                ".filter((one) => one.getBoundingClientRect().right > window.innerWidth + 1).length"
            )
            assert inside == 0, width
        page.close()


@pytest.mark.parametrize("width", [1440, 1100, 400])
def test_state_and_main_act_are_in_view(stages: Stages, open_page: Open, width: int) -> None:
    stage = stages(vaes=(TUNED,))
    long = stage.vaes / "a_very_long_name_of_a_merge_of_many_models_v3.0-final.safetensors"
    shutil.copy(OTHER, long)
    shutil.copy(stage.vaes / TUNED.name, stage.vaes / "orange.vae.safetensors")
    Image.new("RGB", (8, 12), "red").save(stage.vaes / "orange.vae.preview.png")
    page = open_page(stage, accordion=False)
    page.set_viewport_size({"width": width, "height": 900})
    open_tab(page)
    press(page, "Refresh", BAR)  # the WebUI has listed its files before these came
    for name in (long.name, "orange.vae.safetensors"):
        expect(row(page, name).locator("[data-vae-do*=use-file]")).to_be_visible()
    page.wait_for_function(
        """() => [...document.querySelectorAll("tr[data-vae-row] :is(.vm-c-state > *, .vm-c-do button)")]
        .every((part) => {
            const {left, right} = part.getBoundingClientRect();
            const frame = part.closest(".vm-files").getBoundingClientRect();
            return left >= frame.left && right <= frame.right;
        })"""
    )
    preview = row(page, "orange.vae.safetensors").locator("img")
    page.wait_for_function("(image) => image.naturalWidth === 8", arg=preview.element_handle())
    assert reaches_beyond(page) <= 0


def test_compare_and_copy_on_a_row(stages: Stages, open_page: Open) -> None:
    stage = stages(config={"sd_vae": TUNED.name}, vaes=(TUNED, BASE, OTHER))
    page = open_page(stage, accordion=False)
    page.evaluate("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    open_tab(page)
    copy = row(page, TUNED.name).locator("[data-vae-copy]")
    copy.click()
    expect(copy).to_contain_text("copied")
    assert page.evaluate("window.copied") == hashlib.sha256(TUNED.read_bytes()).hexdigest()
    row(page, BASE.name).get_by_text("Compare", exact=True).click()
    ticked = page.locator("#vae_manager_comparison_page [data-vae-chip]:checked")
    expect(ticked).to_have_count(1)
    expect(ticked).to_have_attribute("value", BASE.name)


def test_the_accordions_title_by_keyboard(stages: Stages, open_page: Open) -> None:
    page = open_page(stages(), accordion=False)
    title = page.locator(f"{ACCORDION} > .label-wrap")
    expect(title).to_have_attribute("aria-expanded", "false")
    title.focus()
    page.keyboard.press("Enter")
    expect(title).to_have_attribute("aria-expanded", "true")
    expect(page.locator(STATUS)).to_be_visible()
    page.keyboard.press("Space")
    expect(title).to_have_attribute("aria-expanded", "false")
