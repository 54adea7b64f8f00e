"""The section "Comparison": what it says and does, on a plain host whose VAEs paint in grey."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("skimage")

from tests.failing import fails_with
from tests.files.samples import ldm, safetensors
from tests.shown import shows
from tests.webui.greys import INFOTEXT, picture
from tests.webui.host import PlainHost, unfit
from tests.webui.test_page import ENTRY, SHA256, actions, wait_for, write_catalogue
from tests.wording import says, worded, wording
from vae_manager.compare import Comparison, Decoded, Result, State
from vae_manager.compare.metrics import Figures
from vae_manager.compare.pictures import png
from vae_manager.errors import NotFoundError, RefusedError, UsageError
from vae_manager.library import scan
from vae_manager.messages import msg
from vae_manager.service import Service
from vae_manager.webui.api import pixels_of
from vae_manager.webui.hosts.host_values import Permission
from vae_manager.webui.translation import translator_for
from vae_manager.webui.ui.comparison_page import figures_of, shifts_of
from vae_manager.webui.ui.page import Page
from vae_manager.webui.ui.page_handlers import perform

ENGLISH = translator_for("None", {})
LIKE = Figures(False, 0.9991, 37.04, 0.04, -0.3, 1.26, 0.19, -0.004, -0.21, None)


@pytest.fixture
def vaes(host: PlainHost) -> None:
    for name in ("a.safetensors", "b.safetensors"):
        (host.vaes / name).write_bytes(name.encode())
    host.refresh()
    host.comparing.greys = {"a.safetensors": 110, "b.safetensors": 100}
    host.comparing.kept.put([picture("7")])


def state(page: Page, shown: str = "") -> dict[str, Any]:
    found: dict[str, Any] = page.state({}, comparison=("", shown))["comparison"]
    return found


def text(page: Page, region: str) -> str:
    html = state(page)["regions"][region]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html))).strip()


def is_shown(page: Page, region: str, code: str, *texts: str) -> bool:
    return shows(state(page)["regions"][region], code, *texts)


def send(page: Page, **action: object) -> None:
    perform(page.host, page.service, json.dumps(action))


def ended(service: Service) -> Callable[[], bool]:
    def has() -> bool:
        return any(one.ended for one in service.comparisons.all()[:1])

    return has


@pytest.mark.usefixtures("vaes")
def test_the_section_is_read_only_while_it_is_seen(page: Page) -> None:
    assert "comparison" not in page.state({})
    assert state(page)["view"] is None
    assert not state(page)["active"]
    digest = state(page)["digest"]
    again = page.state({}, comparison=(digest, ""))["comparison"]
    assert "compare-setup" not in again["regions"], "what the browser has is not sent again"
    assert again["digest"] == digest


@pytest.mark.usefixtures("vaes")
def test_what_can_be_chosen(page: Page, host: PlainHost) -> None:
    host.comparing.refused = {"b.safetensors": unfit("b <i>")}
    host.comparing.kept.put([picture("8", why_not=msg("Gone."))])
    html = state(page)["regions"]["compare-setup"]
    assert "a &lt;b&gt;house&lt;/b&gt;" in html
    assert "<b>" not in html
    assert re.search(r'value="8"[^>]*disabled', html)
    assert not re.search(r'value="7"[^>]*disabled', html)
    assert re.search(r'value="b.safetensors"[^>]*disabled', html)
    assert re.search(r'value="a.safetensors"[^>]*data-vae-proposed', html)
    assert re.search(r'value="None"[^>]*data-vae-in-use', html)
    assert str(unfit("b <i>")) in text(page, "compare-setup")


def picks(page: Page) -> list[str]:
    """The VAEs that a card offers to choose."""
    return [action["word"] for action in actions(state(page)["regions"]["compare-cards"], "choose")]


def ticked(page: Page) -> list[str]:
    return re.findall(r'value="([^"]*)"[^>]*data-vae-proposed', state(page)["regions"]["compare-setup"])


@pytest.mark.usefixtures("vaes")
def test_each_set_of_weights_is_proposed_once(page: Page, host: PlainHost, service: Service) -> None:
    """By equal bytes, by equal weights in other bytes; what is in use stands for its twins."""
    shapes = ldm()
    safetensors(host.vaes / "half.safetensors", shapes)
    safetensors(host.vaes / "noted.safetensors", shapes, note="other bytes")
    shutil.copy(host.vaes / "a.safetensors", host.vaes / "a copy.safetensors")
    host.refresh()
    for file in scan(host.folders()):
        service.stores.hashes.compute(file.path)
        if file.name in ("half.safetensors", "noted.safetensors"):
            service.stores.index.fingerprints_of(file.path)
    service.maintenance.inspect(scan(host.folders()))
    assert ticked(page) == ["None", "a copy.safetensors", "b.safetensors", "half.safetensors"]
    host.loaded = host.files()["a.safetensors"]
    assert ticked(page) == ["a.safetensors", "None", "b.safetensors", "half.safetensors"]
    send(page, do="compare-shown", tab="txt2img", infotext=INFOTEXT, size=[], vaes=[])
    wait_for(ended(service))
    assert service.comparisons.all()[0].vaes == ticked(page)


@pytest.mark.usefixtures("vaes")
def test_ticks_of_a_person_count_under_a_result_too(page: Page, service: Service) -> None:
    send(page, do="compare-shown", tab="txt2img", infotext=INFOTEXT, size=[], vaes=["b.safetensors"])
    wait_for(ended(service))
    assert service.comparisons.all()[0].vaes == ["None", "b.safetensors"]


@pytest.mark.usefixtures("vaes")
def test_what_can_decode_is_worked_out_once(page: Page, host: PlainHost, service: Service) -> None:
    """Of a thousand files that is much; the page asks every 2.5 seconds."""
    for _ in range(3):
        state(page)
    wait_for(lambda: len(service.maintenance.records(scan(host.folders()))) == 2)
    state(page)
    before = host.comparing.worked_out
    for _ in range(3):
        state(page)
    assert host.comparing.worked_out == before
    (host.vaes / "a.safetensors").write_bytes(b"<html>")
    state(page)
    wait_for(lambda: (state(page), host.comparing.worked_out > before)[1])
    (host.vaes / "c.safetensors").write_bytes(b"weights")
    host.refresh()
    assert 'value="c.safetensors"' in state(page)["regions"]["compare-setup"]
    host.checkpoint = "another"
    before = host.comparing.worked_out
    state(page)
    assert host.comparing.worked_out > before


@pytest.mark.usefixtures("vaes")
def test_compared_and_saved(page: Page, host: PlainHost, service: Service) -> None:
    send(page, do="compare", kept="7", vaes=["a.safetensors", "b.safetensors"])
    wait_for(ended(service))
    view = state(page)["view"]
    assert (view["width"], view["height"]) == (16, 16)
    assert [one["key"] for one in view["pictures"]] == ["0", "1", "2"]
    cards = text(page, "compare-cards")
    assert "brighter" in cards
    assert re.search(wording("same-picture").pattern + re.escape(" SSIM 1 · PSNR ∞ · 0.50 s"), cards)
    assert picks(page) == ["a.safetensors", "b.safetensors"], "not for the one in use"
    host.refused[Permission.CHOOSE] = msg("Not now.")
    assert picks(page) == []

    send(page, do="save-comparison", id=view["id"])
    wait_for(lambda: "Saved in" in text(page, "compare-progress"))
    folder = host.comparing.save_folder()
    assert f"Saved in {folder}: vae-00001-comparison.png" in text(page, "compare-progress")
    names = ["Built-in", "a", "b", "comparison"]
    assert sorted(file.name for file in folder.iterdir()) == [f"vae-00001-{name}.png" for name in names]
    with Image.open(folder / "vae-00001-a.png") as saved:
        assert saved.info["parameters"] == f"{INFOTEXT}, VAE hash: 0123456789, VAE: a.safetensors"
        assert np.unique(np.asarray(saved)).tolist() == [110]
    host.shared_with_others = True
    assert str(folder) not in text(page, "compare-progress")
    folder.rename(host.root / "moved")
    folder.write_text("")
    send(page, do="save-comparison", id=view["id"])
    wait_for(lambda: says(text(page, "compare-progress"), "not-writable"))


@pytest.mark.usefixtures("vaes")
def test_stopped_in_the_middle(page: Page, host: PlainHost, service: Service) -> None:
    host.comparing.may_go_on.clear()
    send(page, do="compare", kept="7", vaes=["a.safetensors", "b.safetensors"])
    wait_for(lambda: state(page)["view"] is not None)
    wait_for(lambda: "1 of 3 · a.safetensors" in text(page, "compare-progress"))
    assert state(page)["active"]
    assert is_shown(page, "compare-cards", "is-decoding")
    with pytest.raises(RefusedError):
        send(page, do="save-comparison", id=state(page)["view"]["id"])
    send(page, do="stop-comparison", id=state(page)["view"]["id"])
    host.comparing.may_go_on.set()
    wait_for(ended(service))
    assert says(text(page, "compare-progress"), "comparison-stopped")
    [stopped] = service.comparisons.all()
    assert (stopped.state, len(stopped.vaes), len(stopped.results)) == (State.STOPPED, 3, 1)
    cards = re.findall(r"data-vae-card=.*?</li>", state(page)["regions"]["compare-cards"], re.DOTALL)
    assert ["<img" in card for card in cards] == [True, False, False]
    assert "Save" in text(page, "compare-progress"), "what there is can be kept"


@pytest.mark.usefixtures("vaes")
def test_a_rescue_shows_what_it_has_tried(page: Page, service: Service) -> None:
    assert "data-vae-rescue" in state(page)["regions"]["compare-setup"]
    send(page, do="rescue", kept="7")
    wait_for(ended(service))
    [found] = service.comparisons.all()
    assert (found.state, list(found.vaes)) == (State.DONE, ["None", "a.safetensors"])
    assert "b.safetensors" not in state(page)["regions"]["compare-cards"]
    with pytest.raises(NotFoundError):
        send(page, do="rescue", kept="8")


def test_without_pictures_there_is_nothing_to_rescue(page: Page) -> None:
    assert "data-vae-rescue" not in state(page)["regions"]["compare-setup"]


@pytest.mark.usefixtures("vaes")
def test_first_looks_stand_where_pictures_will(page: Page, host: PlainHost, service: Service) -> None:
    host.comparing.may_go_on.clear()
    host.comparing.looks = {vae: np.full((2, 3, 3), 107, np.uint8) for vae in ("None", "b.safetensors")}
    send(page, do="compare", kept="7", vaes=["a.safetensors", "b.safetensors"])
    wait_for(lambda: state(page)["view"] is not None)
    id = state(page)["view"]["id"]
    assert [shown["key"] for shown in state(page)["view"]["pictures"]] == ["0"]
    first, second, third = re.findall(r"data-vae-card=.*?</li>", state(page)["regions"]["compare-cards"], re.DOTALL)
    assert f"/{id}/0.png" in first
    assert "<img" not in second
    assert f"/{id}/look-2.png" in third
    assert shows(third, "first-look-error", "7")  # how far the look of the finished one was off
    [running] = service.comparisons.all()
    assert pixels_of(running, "look-2").shape == (2, 3, 3)
    for key in ("look-1", "look-3", "look-", "look-look-2", "look-original"):
        with pytest.raises(NotFoundError):
            pixels_of(running, key)
    host.comparing.may_go_on.set()
    wait_for(ended(service))
    assert "look-" not in state(page)["regions"]["compare-cards"]


@pytest.mark.usefixtures("vaes")
def test_older_ones_are_kept_and_shown_again(page: Page, host: PlainHost, service: Service) -> None:
    assert state(page)["regions"]["compare-kept"] == ""
    for vae in ("a.safetensors", "b.safetensors"):
        send(page, do="compare", kept="7", vaes=[vae])
        wait_for(ended(service))
    newer, older = service.comparisons.all()
    assert [one.vaes[1] for one in (newer, older)] == ["b.safetensors", "a.safetensors"]
    host.comparing.may_go_on.clear()
    page.compare_picture(
        json.dumps({"do": "compare-own", "vaes": ["a.safetensors"], "each": True}), png(np.zeros((10, 20, 3), np.uint8))
    )
    try:
        wait_for(lambda: "▶ is running" in text(page, "compare-kept"))
        running = service.comparisons.all()[0]
        row = state(page, older.id)["regions"]["compare-kept"]
        assert re.findall(r'data-vae-key="kept (\d+)"( aria-current="true")?', row) == [
            (running.id, ""), (newer.id, ""), (older.id, ' aria-current="true"'),
        ]  # fmt: skip
        assert re.findall(r'data-vae-shown="(\d*)"', row) == ["", newer.id, older.id]
        assert re.findall(r'src="([^?]+)', row) == [
            f"./vae-manager/comparison/{running.id}/original.png",
            f"./vae-manager/comparison/{newer.id}/0.png",
            f"./vae-manager/comparison/{older.id}/0.png",
        ]
        assert text(page, "compare-kept").count("· 2 VAEs") == 3
        assert "a <b>house</b>" in text(page, "compare-kept")
        looked_at = state(page, older.id)
        assert looked_at["view"]["id"] == older.id
        assert "b.safetensors" not in looked_at["regions"]["compare-cards"]
        assert looked_at["active"], "the other one still runs"
        assert state(page, "99")["view"]["id"] == running.id, "what is no longer kept gives way to the newest"
    finally:
        host.comparing.may_go_on.set()
    wait_for(ended(service))
    send(page, do="save-comparison", id=older.id)
    wait_for(lambda: "Saved in" in state(page, older.id)["regions"]["compare-progress"])
    assert "Saved in" not in text(page, "compare-progress")


@pytest.mark.usefixtures("vaes")
def test_the_picture_that_is_shown(page: Page, host: PlainHost, service: Service) -> None:
    host.comparing.kept.put([picture("8", prompt=INFOTEXT.replace("Seed: 1", "Seed: 2"), tab="img2img")])
    in_the_page = INFOTEXT.replace("\n", "")
    send(page, do="compare-shown", tab="txt2img", infotext=in_the_page, size=[16, 16], vaes=[])
    wait_for(ended(service))
    newest = service.comparisons.all()[0]
    assert newest.infotext == INFOTEXT
    assert newest.vaes == ["None", "a.safetensors", "b.safetensors"]
    with fails_with(RefusedError, "no-longer-kept"):
        send(page, do="compare-shown", tab="txt2img", infotext="of yesterday", size=[], vaes=[])


@pytest.mark.usefixtures("vaes")
@pytest.mark.parametrize(("size", "told"), [([32, 16], True), ([16, 16], False), ([], False), ([0, 0], False)])
def test_a_grid_is_not_taken_for_the_picture(page: Page, service: Service, size: list[object], told: bool) -> None:
    """Nor what SD upscale puts together: their infotext is that of their first picture."""
    send(page, do="compare-shown", tab="txt2img", infotext=INFOTEXT, size=size, vaes=[])
    wait_for(ended(service))
    assert is_shown(page, "compare-progress", "other-picture-seen", "32", "16") is told


@pytest.mark.usefixtures("vaes")
def test_a_picture_of_ones_own(page: Page, service: Service) -> None:
    mine = png(np.full((10, 20, 3), 100, np.uint8))
    page.compare_picture(json.dumps({"do": "compare-own", "vaes": ["a.safetensors"], "each": True}), mine)
    wait_for(ended(service))
    assert [one["key"] for one in state(page)["view"]["pictures"]] == ["original", "0", "1"]
    assert worded("own-image", width=20, height=10) in text(page, "compare-progress")
    nothing = json.dumps({"do": "compare-own", "vaes": [], "each": False})
    number = json.dumps({"do": "compare-own", "vaes": [1], "each": False})
    other = json.dumps({"do": "refresh-files"})
    for message, own in (("{", mine), (nothing, mine), (number, mine), (other, mine), ("{}", None)):
        with pytest.raises(UsageError):
            page.compare_picture(message, own)


@pytest.mark.usefixtures("vaes")
def test_what_is_refused(page: Page) -> None:
    with pytest.raises(NotFoundError):
        send(page, do="compare", kept="99", vaes=["a.safetensors"])
    for vaes in ([], [1], "a.safetensors"):
        with pytest.raises(UsageError):
            send(page, do="compare", kept="7", vaes=vaes)
    with pytest.raises(NotFoundError):
        send(page, do="save-comparison", id="99")


def test_figures() -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    result = Result(Decoded("a", pixels, 12.3, peak=1_250_000_000, nan=True), LIKE)
    assert figures_of(result, ENGLISH) == [
        "SSIM 0.99910",
        "PSNR 37.0 dB",
        "12 s",
        worded("gpu-memory", amount="1.2 GB"),
        "NaN",
    ]
    seen = replace(result, figures=replace(LIKE, lpips=0.0312))
    assert figures_of(seen, ENGLISH)[:3] == ["SSIM 0.99910", "PSNR 37.0 dB", "LPIPS 0.031"]
    assert shifts_of(result, ENGLISH) == [
        "brightness 0.0", "saturation +19 %", "contrast 0 %", "green–red −0.3", "blue–yellow +1.3", "sharpness −21 %",
    ]  # fmt: skip


def test_an_error_stands_in_its_card(page: Page, service: Service) -> None:
    failed = Result(Decoded("a.safetensors", None, 0.1, nan=True, error=unfit("a.safetensors")))
    service.comparisons.put(Comparison("1", "x", ["a.safetensors"], state=State.DONE, results=(failed,)))
    assert str(unfit("a.safetensors")) in text(page, "compare-cards")
    assert state(page)["view"] is None
    assert "Save" not in text(page, "compare-progress")


def test_which_vae(page: Page, host: PlainHost) -> None:
    assert is_shown(page, "which", "carries-unknown-weights", "demo", "SD 1.x / 2.x")
    assert "ft-MSE" in text(page, "which")
    host.family = "sdxl"
    assert is_shown(page, "which", "carries-unknown-weights", "demo", "SDXL")
    assert "ft-MSE" not in text(page, "which")
    host.checkpoint = host.family = None
    assert is_shown(page, "which", "no-checkpoint")


def test_the_weights_that_a_checkpoint_carries_are_named(
    page: Page, host: PlainHost, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("safetensors")
    from tests.vaes import TUNED

    (host.vaes / "mine.safetensors").write_bytes(TUNED.read_bytes())
    host.refresh()
    carrier = tmp_path / "demo.safetensors"
    carrier.write_bytes(TUNED.read_bytes())
    monkeypatch.setattr(PlainHost, "checkpoint_file", property(lambda self: str(carrier)))
    wait_for(lambda: page.facts().builtin.is_known)
    assert (page.facts().builtin.name, "mine.safetensors" in text(page, "which")) == (None, False)
    service.stores.hashes.compute(host.vaes / "mine.safetensors")
    service.learn([host.vaes / "mine.safetensors"])
    wait_for(lambda: is_shown(page, "which", "carries-same-weights", "mine.safetensors"))
    digest = hashlib.sha256(TUNED.read_bytes()).hexdigest()
    write_catalogue(host, ENTRY.replace(SHA256, digest))
    assert is_shown(page, "which", "carries-same-weights", "Mine.")
