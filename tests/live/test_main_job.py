"""The main job: open the page, get a VAE with one click, and the next picture is decoded with it and says so."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ..hub import Hub
from .catalogue import Offered, sha256_of
from .page import LivePage
from .webui import PATIENCE, Picture, WebUI, until

pytestmark = pytest.mark.live


@dataclass
class Fetched:
    """What one *Get and use* was seen to do."""

    title_before: str
    title_after: str
    readings: list[tuple[int, str]] = field(default_factory=list)
    """Percent and text of the progress bar, each different one, in order."""
    seconds: float = 0.0
    sent: int = 0
    """Bytes that the hub sent for it."""


@pytest.fixture(scope="module")
def builtin(webui: WebUI) -> Picture:
    """The picture that the checkpoint's own VAE decodes."""
    webui.choose("None")
    picture = webui.picture()
    webui.choose("Automatic")
    return picture


@pytest.fixture(scope="module")
def by_other(webui: WebUI, other: str, builtin: Picture) -> Picture:
    """The picture that another VAE decodes, loaded by the host's own way."""
    webui.choose(other)
    picture = webui.picture()
    webui.choose("Automatic")
    return picture


@pytest.fixture(scope="module")
def fetched(
    webui: WebUI, browser: Any, hub: Hub, offered: Offered, vae_folder: Path, by_other: Picture, pictures: Path
) -> Iterator[Fetched]:
    """Click *Get and use* in the page and watch until the VAE is in use."""
    target = vae_folder / offered.file_name
    for path in [target, *vae_folder.glob(".*.vae-manager.*")]:
        path.unlink(missing_ok=True)
    webui.refresh()
    page = LivePage.open(browser, webui.url)
    seen = Fetched(page.title(), "")
    sent_before = hub.cdn.sent(offered.file_name)
    page.open_accordion()
    page.get_and_use(offered.id)
    began = time.monotonic()
    while not target.exists():
        reading = page.progress(offered.id)
        if reading is not None and (not seen.readings or reading != seen.readings[-1]):
            seen.readings.append(reading)
            if 30 < reading[0] < 60:
                page.raw.screenshot(path=pictures / "getting-light.png", full_page=True)
        assert time.monotonic() - began < PATIENCE, seen.readings
        page.rest(0.1)
    seen.seconds = time.monotonic() - began
    hub.settle()
    seen.sent = hub.cdn.sent(offered.file_name) - sent_before
    until(page.title, lambda title: offered.file_name.rpartition(".")[0] in title)
    seen.title_after = page.title()
    page.rest(1)
    page.raw.screenshot(path=pictures / "in-use-light.png", full_page=True)
    assert not page.errors
    page.close()
    (pictures / "main.json").write_text(json.dumps(dataclasses.asdict(seen), indent=1, ensure_ascii=False))
    yield seen
    webui.choose("Automatic")


def test_the_title_names_vae_family_and_rule(fetched: Fetched) -> None:
    assert re.fullmatch(r"VAE — Built-in · SD 1\.x.* · .+", fetched.title_before)


def test_progress_moves_and_is_told(fetched: Fetched, offered: Offered) -> None:
    percents = [percent for percent, _ in fetched.readings]
    assert percents == sorted(percents)
    moving = [text for percent, text in fetched.readings if 0 < percent < 100]
    assert len(set(moving)) >= 3, fetched.readings
    assert any(re.search(rf"\d+ MB of {offered.size / 1e6:.0f} MB", text) for text in moving), moving
    assert any(re.search(r"[\d.]+ MB/s", text) for text in moving), moving
    assert any(re.search(r"\d+ s left", text) for text in moving), moving


def test_the_file_has_the_right_hash(fetched: Fetched, offered: Offered, vae_folder: Path) -> None:
    assert sha256_of(vae_folder / offered.file_name) == offered.sha256
    assert not list(vae_folder.glob(".*.vae-manager.*"))


def test_it_is_chosen_listed_and_named(fetched: Fetched, webui: WebUI, offered: Offered) -> None:
    assert webui.option("sd_vae") == offered.file_name
    assert offered.file_name in webui.listed()
    stem = offered.file_name.rpartition(".")[0]
    assert fetched.title_after.startswith(f"VAE — {stem} · SD 1.x"), fetched.title_after


@pytest.fixture(scope="module")
def decoded(fetched: Fetched, webui: WebUI) -> Picture:
    """The next picture."""
    return webui.picture()


def test_the_next_picture_names_it(decoded: Picture, offered: Offered) -> None:
    assert decoded.vae == offered.file_name
    assert decoded.vae_hash == offered.sha256[:10]


def test_the_next_picture_of_the_page_names_it(
    decoded: Picture, webui: WebUI, offered: Offered, page: LivePage, pictures: Path
) -> None:
    page.prepare()
    made = page.generate()
    assert webui.named(made.infotext) == offered.file_name
    assert made.looks_like(decoded)
    page.open_accordion()
    page.rest(1)
    page.raw.screenshot(path=pictures / "picture-light.png", full_page=True)


def test_its_pixels_are_those_of_the_file_loaded_afresh(
    decoded: Picture, builtin: Picture, by_other: Picture, webui: WebUI, offered: Offered
) -> None:
    """Built-in, then the file by the host's own way of loading: the same latent, the same pixels."""
    assert len({builtin.pixels, by_other.pixels, decoded.pixels}) == 3
    webui.choose("None")
    assert webui.picture().looks_like(builtin)
    webui.choose(offered.file_name)
    afresh = webui.picture()
    assert afresh.looks_like(decoded)
    assert afresh.vae == offered.file_name


def test_the_same_after_reload_ui(decoded: Picture, webui: WebUI, offered: Offered, page: LivePage) -> None:
    page.reload_ui(webui)
    assert page.title().startswith(f"VAE — {offered.file_name.rpartition('.')[0]} ")
    again = webui.picture()
    assert again.looks_like(decoded)
    assert again.vae == offered.file_name


@pytest.mark.usefixtures("restart")
def test_the_same_after_a_restart(decoded: Picture, webui: WebUI, offered: Offered, browser: Any) -> None:
    webui.restart()
    page = LivePage.open(browser, webui.url)
    until(page.title, lambda title: title.startswith(f"VAE — {offered.file_name.rpartition('.')[0]} "))
    page.close()
    again = webui.picture()
    assert again.looks_like(decoded)
    assert again.vae == offered.file_name


def test_the_line_carried_the_file_once(fetched: Fetched, offered: Offered) -> None:
    assert offered.size <= fetched.sent < 1.01 * offered.size
