"""The queue in the page: pausing, cancelling, moving, trying again, the history, an address, a key; and whether the
figures are those of the server."""

from __future__ import annotations

import json
import random
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import GET_AND_USE, Stage, Stages, offer
from tests.browser.test_main_job import ACCORDION
from tests.files.corpus.case import tensors
from tests.files.samples import some_vae
from tests.hub import Hub, Link
from tests.shown import coded
from tests.vaes import BASE, TUNED
from tests.wording import wording
from vae_manager.jobs import WINDOW_SECONDS
from vae_manager.transfer import unfinished

Open = Callable[..., Page]
DOWNLOADS = "#vae_manager_downloads_page"
OPEN = f"{ACCORDION} [data-vae-open]"
QUEUE = f"{DOWNLOADS} [data-vae-download] .vm-what"
KEY = "0123456789abcdef0123456789abcdef"


def row(entry: str) -> str:
    """Wherever it is seen: in the accordion, or in the tab."""
    return f"[data-vae-entry={entry}]:visible"


def queued(name: str) -> str:
    return f"{DOWNLOADS} [data-vae-download]:has(strong:text-is('{name}'))"


def fill_hub(stage: Stage, **sizes: int) -> None:
    for name, size in sizes.items():
        path = stage.data / name
        path.write_bytes(random.Random(name).randbytes(size))
        offer(stage.data, stage.hub, name, name.capitalize(), path)
        path.unlink()


def get(page: Page, entry: str) -> None:
    page.locator(row(entry)).get_by_text("Get", exact=True).click()
    page.wait_for_selector(f"{row(entry)} [role=progressbar]")


def press(page: Page, where: str, label: str) -> None:
    page.locator(f"{where} button", has_text=label).click()


# -- the queue -----------------------------------------------------------------------------------------------------
def test_pause_move_cancel_and_the_history(stages: Stages, open_page: Open) -> None:
    stage = stages()
    fill_hub(stage, first=3_000_000, second=1_000_000, third=2_000_000)
    stage.hub.cdn.link = Link(rate_total=500_000)
    page = open_page(stage)
    page.locator(OPEN).click()
    for entry in ("first", "second", "third"):
        get(page, entry)
    expect(page.locator(row("second"))).to_contain_text(wording("waiting-for-turn"))
    expect(page.locator(row("third"))).to_contain_text(wording("waiting-in-queue", place=2))
    expect(page.locator(OPEN)).to_contain_text("(3)")

    press(page, queued("Third"), "Move up")
    expect(page.locator(row("third"))).to_contain_text(wording("waiting-for-turn"))
    expect(page.locator(QUEUE)).to_have_text(["First", "Third", "Second"])

    page.wait_for_function(
        "() => document.querySelector('[data-vae-entry=first] [role=progressbar]').ariaValueNow > 10"
    )
    press(page, row("first"), "Pause")
    expect(page.locator(row("first"))).to_contain_text("Paused · ")
    expect(page.locator(row("third"))).to_contain_text("kB/s")
    press(page, row("second"), "Cancel")
    expect(page.locator(f"{row('second')} {GET_AND_USE}")).to_be_visible()
    press(page, queued("Third"), "Cancel")
    expect(page.locator(f"{row('third')} {GET_AND_USE}")).to_be_visible()
    assert len(list(stage.vaes.glob(".*.part"))) == 1, "the paused one's"

    stage.hub.cdn.link = Link()
    sent = stage.hub.cdn.sent()
    press(page, row("first"), "Resume")
    expect(page.locator(f"{row('first')} {coded('already-here')}")).to_be_visible()
    assert stage.hub.cdn.sent() - sent < 2_800_000
    history = page.locator(f"{DOWNLOADS} .vm-past")
    expect(history).to_have_count(2)
    expect(history.first).to_contain_text(re.compile(r"First.*3\.0 MB · ⌀ .*B/s.*✓ verified"))
    expect(history.last).to_contain_text("cancelled")
    history.first.locator("summary").click()
    expect(history.first).to_contain_text("hub:owner/repo/first.safetensors")
    expect(page.locator(OPEN)).not_to_contain_text("(")


def test_what_failed_is_tried_again(stages: Stages, open_page: Open) -> None:
    stage = stages()
    page = open_page(stage)
    page.click(f"{row('lost')} {GET_AND_USE}")
    expect(page.locator(f"{row('lost')} .vm-broken")).to_be_visible()
    stage.hub.add("owner/repo", "lost.safetensors", BASE)
    press(page, row("lost"), "Try again")
    expect(page.locator(row("lost"))).to_contain_text("✓ in use")


def test_by_keyboard_alone(stages: Stages, open_page: Open) -> None:
    stage = stages()
    stage.hub.cdn.link = Link(rate_total=200_000)
    page = open_page(stage)
    page.locator(f"{row('mine')} {GET_AND_USE}").focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"{row('mine')} [data-vae-do*=pause]")).to_be_focused()
    page.keyboard.press("Enter")
    resume = page.locator(f"{row('mine')} [data-vae-do*=resume]")
    expect(resume).to_be_focused()
    expect(page.locator(row("mine"))).to_contain_text("Paused")
    page.keyboard.press("Tab")
    expect(page.locator(f"{row('mine')} [data-vae-do*=cancel]")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator(f"{row('mine')} {GET_AND_USE}")).to_be_focused()
    page.locator(OPEN).focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"{DOWNLOADS} input[name=address]")).to_be_visible()


def test_unfinished_ones_are_offered_again_after_a_restart(stages: Stages, open_page: Open) -> None:
    stage = stages()
    address = stage.hub.publish("/files/typed.safetensors", some_vae(2_000_000))
    stage.hub.cdn.link = Link(rate_total=500_000)
    page = open_page(stage)
    page.locator(OPEN).click()
    page.fill(f"{DOWNLOADS} input[name=address]", address)
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('[data-vae-download] [role=progressbar]')?.ariaValueNow > 60")
    stage.webui.kill()
    page.close()
    stage.webui.start()
    stage.hub.cdn.link = Link()
    page = open_page(stage)
    page.locator(OPEN).click()
    left = queued("typed.safetensors")
    expect(page.locator(left)).to_contain_text("of 2.00 MB are here already")
    press(page, left, "Continue")
    expect(page.locator(f"{DOWNLOADS} .vm-past")).to_contain_text("typed.safetensors")
    assert (stage.vaes / "typed.safetensors").stat().st_size == 2_000_000


# -- forms ---------------------------------------------------------------------------------------------------------
def test_what_was_typed_stays_where_a_no_comes_late(stages: Stages, open_page: Open) -> None:
    """Of some addresses the file's name has to be asked for first, which takes as long as the line wants."""
    page = open_page(stages())

    def slowly(route: Route) -> None:
        if "get-from" in (route.request.post_data or ""):
            time.sleep(1.5)
        route.continue_()

    page.route("**/*", slowly)
    page.locator(OPEN).click()
    field = page.locator(f"{DOWNLOADS} input[name=address]")
    field.fill("https://example.org/a/page")
    page.keyboard.press("Enter")
    answer = page.locator(f"{DOWNLOADS} .vm-reply [role=alert]")
    expect(answer).to_contain_text("page is no .safetensors file")
    expect(answer).to_be_in_viewport()
    expect(field).to_have_value("https://example.org/a/page")


def test_an_address(stages: Stages, open_page: Open) -> None:
    stage = stages()
    address = stage.hub.publish("/files/own.safetensors", TUNED.read_bytes())
    page = open_page(stage)
    page.locator(OPEN).click()
    field = page.locator(f"{DOWNLOADS} input[name=address]")
    field.fill("https://example.org/a/page")
    page.keyboard.press("Enter")
    expect(page.locator(f"{DOWNLOADS} .vm-reply [role=alert]")).to_contain_text("page is no .safetensors file")
    expect(field).to_have_value("https://example.org/a/page")
    field.fill(f"{address}?token=swordfish")
    page.keyboard.press("Enter")
    past = page.locator(f"{DOWNLOADS} .vm-past")
    expect(past).to_contain_text("! unverified")
    expect(field).to_have_value("")
    assert (stage.vaes / "own.safetensors").read_bytes() == TUNED.read_bytes()
    assert "swordfish" not in json.dumps(stage.webui.call("/vae-manager/state")[1])
    assert "swordfish" not in stage.webui.log.read_text()
    assert "swordfish" not in (stage.data / "vae-manager" / "history.jsonl").read_text()


def test_a_panel_says_what_is_behind_an_address(stages: Stages, open_page: Open) -> None:
    stage = stages(vaes=(TUNED,))
    stage.hub.add("me/many", "vae.safetensors", BASE.read_bytes())
    stage.hub.add("me/many", "lora.safetensors", tensors({"lora_unet_x.lora_up.weight": (2, 2)}))
    page = open_page(stage)
    page.locator(OPEN).click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/look") else None)
    field, name = (page.locator(f"{DOWNLOADS} input[name={name}]") for name in ("address", "name"))
    panel = page.locator(f"{DOWNLOADS} [data-vae-remote]")
    field.press_sequentially("me/many")
    expect(panel.locator("[data-vae-source]")).to_have_count(2)
    expect(panel.locator(coded("lora"))).to_be_visible()
    assert len(asked) == 1, "one round trip"

    panel.locator("[data-vae-source$='lora.safetensors']").click()
    expect(panel.locator(f".vm-broken{coded('lora')}")).to_be_visible()
    expect(name).to_have_value("lora.safetensors")
    field.press("Enter")
    expect(page.locator(f"{DOWNLOADS} .vm-reply {coded('lora')}")).to_be_visible()

    field.fill("hub:me/many/vae.safetensors")
    expect(panel.locator(coded("loadable-as-it-is"))).to_be_visible()
    expect(name).to_have_value("many-vae.safetensors")
    name.fill(TUNED.name)
    expect(panel.locator(coded("name-taken"))).to_be_visible()
    name.fill("mine")
    expect(panel.locator(coded("name-taken"))).to_have_count(0)
    name.press("Enter")
    expect(page.locator(f"{DOWNLOADS} .vm-past")).to_be_visible()
    expect(field).to_have_value("")
    expect(name).to_have_value("")
    expect(panel).to_be_empty()
    assert (stage.vaes / "mine.safetensors").read_bytes() == BASE.read_bytes()


def test_a_key_is_saved_and_never_shown(stages: Stages, open_page: Open) -> None:
    stage = stages()
    page = open_page(stage)
    page.locator(OPEN).click()
    page.fill(f"{DOWNLOADS} input[name=key]", KEY)
    page.keyboard.press("Enter")
    expect(page.locator(f"{DOWNLOADS} [data-vae-do*=remove-key]")).to_be_visible()
    file = stage.data / "vae-manager" / "keys.json"
    assert json.loads(file.read_text()) == {"civitai.com": KEY}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for place in (page.content(), json.dumps(stage.webui.call("/vae-manager/state")[1]), stage.webui.log.read_text()):
        assert KEY not in place
    assert KEY not in (stage.data / "config.json").read_text()
    press(page, DOWNLOADS, "Remove")
    expect(page.locator(f"{DOWNLOADS} input[name=key]")).to_have_value("")
    assert not file.exists()


def test_a_server_open_to_others_takes_no_addresses_and_no_keys(stages: Stages, open_page: Open) -> None:
    stage = stages("--listen")
    page = open_page(stage)
    page.locator(OPEN).click()
    expect(page.locator(DOWNLOADS)).to_contain_text(wording("use-the-command-line"))
    assert page.locator(f"{DOWNLOADS} input").count() == 0


def test_chinese(stages: Stages, open_page: Open) -> None:
    stage = stages(config={"localization": "zh_CN.vae-manager"})
    stage.hub.cdn.link = Link(rate_total=300_000)
    page = open_page(stage, "/?__theme=dark")
    page.locator(OPEN).click()
    page.click(f"{row('mine')} {GET_AND_USE}")
    expect(page.locator(row("mine"))).to_contain_text(re.compile("剩余 .* 秒"))
    page.click(f"{row('mine')} [data-vae-do*=pause]")
    expect(page.locator(row("mine"))).to_contain_text("已暂停")
    page.click(f"{row('mine')} [data-vae-do*=cancel]")
    expect(page.locator(f"{DOWNLOADS} .vm-past")).to_contain_text("已取消")


# -- figures -------------------------------------------------------------------------------------------------------
FIGURES = re.compile(r"([\d.]+) (kB|MB) of ([\d.]+) MB · ([\d.]+) (kB|MB)/s · (?:(\d+) min )?([\d.]+) s left")
UNITS = {"kB": 1e3, "MB": 1e6}


@contextmanager
def counting(hub: Hub) -> Iterator[list[tuple[float, int]]]:
    """What the server has sent, noted many times a second."""
    points: list[tuple[float, int]] = []
    ended = threading.Event()

    def note() -> None:
        while not ended.wait(0.02):
            points.append((time.monotonic(), hub.cdn.sent()))

    thread = threading.Thread(target=note)
    thread.start()
    try:
        yield points
    finally:
        ended.set()
        thread.join()


@dataclass(frozen=True)
class Look:
    """What the page showed at one moment, and what the server had sent by then."""

    amount: float
    """Bytes, as shown."""
    speed: float
    """Bytes a second, as shown."""
    seconds_left: float
    """As shown."""
    sent: int
    """Bytes of this file that the server had sent right after the look, with those kept from before."""
    rates: list[float]
    """The server's own bytes a second, over each span of time that the page may have measured."""


def rates(points: list[tuple[float, int]]) -> list[float]:
    """The average over each span of half a window to a window and a half that ended in the last three seconds.

    A page is never older than its last news, and a busy machine holds news up. So the test asks whether the shown
    speed is one that the server had lately, whatever the machine did to either of them.
    """
    now = points[-1][0]
    return [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for later in points[::5]
        if now - later[0] <= 3
        for earlier in points[::5]
        if 0.5 * WINDOW_SECONDS <= later[0] - earlier[0] <= 1.5 * WINDOW_SECONDS
    ]


def looks(page: Page, stage: Stage, size: int, click: str, kept: int = 0) -> list[Look]:
    """Start a download with a click, and look at its figures until five different ones were seen."""
    found: list[Look] = []
    texts: set[str] = set()
    base = stage.hub.cdn.sent()
    figures = page.locator(f"{row('large')} .vm-progress span")
    with counting(stage.hub) as points:
        page.locator(row("large")).get_by_text(click, exact=True).click()
        page.wait_for_function(
            "least => document.querySelector('[data-vae-entry=large] [role=progressbar]')?.ariaValueNow > least",
            arg=100 * (kept + 0.4 * (size - kept)) / size,
        )
        while len(found) < 5:
            text = figures.inner_text()
            sent = kept + stage.hub.cdn.sent() - base
            if text in texts:
                continue
            texts.add(text)
            shown = FIGURES.fullmatch(text)
            assert shown is not None, text
            found.append(
                Look(
                    float(shown[1]) * UNITS[shown[2]],
                    float(shown[4]) * UNITS[shown[5]],
                    60 * float(shown[6] or 0) + float(shown[7]),
                    sent,
                    rates(points),
                )
            )
    return found


def test_the_figures_are_those_of_the_server_also_after_a_pause(stages: Stages, open_page: Open) -> None:
    stage = stages()
    size = 30_000_000
    fill_hub(stage, large=size)
    stage.hub.cdn.link = Link(rate_total=2_500_000)
    page = open_page(stage)
    found = looks(page, stage, size, "Get")
    press(page, row("large"), "Pause")
    expect(page.locator(row("large"))).to_contain_text("Paused · ")
    [left] = unfinished(stage.vaes)
    paused = f"Paused · {left.done / 1e6:.1f} MB"  # the last bytes arrive after the word
    expect(page.locator(row("large"))).to_contain_text(paused)
    stage.hub.settle()
    stage.hub.cdn.link = Link(rate_total=1_500_000)
    found += looks(page, stage, size, "Resume", left.done)
    for one in found:
        assert one.amount <= one.sent * 1.01, "more than the server has sent"
        assert 0.9 * min(one.rates) <= one.speed <= 1.1 * max(one.rates), one
        # A time left is counted from the moment of the look; the amount was counted up to some seconds before it.
        reckoned = (size - one.amount) / one.speed
        assert 0.9 * reckoned - 3 <= one.seconds_left <= 1.1 * reckoned + 1, one
    for part in (found[:5], found[5:]):
        amounts = [one.amount for one in part]
        assert amounts == sorted(amounts) and amounts[-1] > amounts[0]
