"""The choice is one, wherever it is made: accordion, Settings, quick settings, the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.wording import says
from vae_manager.webui.ui.page import EVERYWHERE, THIS_TAB

from .page import LivePage
from .webui import Picture, WebUI, until

pytestmark = pytest.mark.live

LONG = 150
"""Steps of a picture that takes long enough for a person to do something meanwhile."""


@pytest.fixture
def setting(webui: WebUI) -> str:
    """Where the WebUI's own choice of a VAE is, in Settings and in the quick settings."""
    if "setting" in webui.lacks:
        pytest.skip(webui.lacks["setting"])
    return "#setting_sd_vae"


@pytest.fixture(autouse=True)
def at_automatic(webui: WebUI) -> Iterator[None]:
    webui.choose("Automatic")
    yield
    webui.choose("Automatic")


def test_from_the_accordion_to_the_settings(webui: WebUI, page: LivePage, setting: str, other: str) -> None:
    page.open_accordion()
    page.choose(other)
    until(lambda: webui.option("sd_vae"), lambda word: word == other)
    until(page.title, lambda title: title.startswith("VAE — live-other · "))
    page.settings("VAE")
    until(lambda: page.value_of(setting), lambda value: value == other)
    page.tab("img2img")
    page.open_accordion("img2img")
    assert page.chosen("img2img").startswith(other)


def test_from_the_settings_to_the_accordion(webui: WebUI, page: LivePage, setting: str, other: str) -> None:
    page.open_accordion()
    page.settings("VAE")
    page.pick_in(setting, other)
    page.raw.click("#settings_submit")
    until(lambda: webui.option("sd_vae"), lambda word: word == other)
    until(page.title, lambda title: title.startswith("VAE — live-other · "))
    page.tab("txt2img")
    until(page.chosen, lambda chosen: chosen.startswith(other))


def test_apply_settings_does_not_undo_a_choice(webui: WebUI, page: LivePage, other: str) -> None:
    """The Settings page was built with the old choice; *Apply settings*, for something else, must not bring it back."""
    page.open_accordion()
    page.choose(other)
    until(page.title, lambda title: title.startswith("VAE — live-other"))
    page.settings("VAE")
    page.rest(1)
    page.raw.click("#settings_submit")
    page.rest(2)
    assert webui.option("sd_vae") == other


def test_from_the_api_to_the_page(webui: WebUI, page: LivePage, other: str) -> None:
    page.open_accordion()
    webui.choose(other)
    until(page.chosen, lambda chosen: chosen.startswith(other))
    webui.choose("None")
    until(page.chosen, lambda chosen: chosen.startswith("Built-in"))
    until(page.title, lambda title: title.startswith("VAE — Built-in"))


def test_the_quick_settings_follow_and_lead(webui: WebUI, browser: Any, setting: str, other: str) -> None:
    webui.set(quicksettings_list=["sd_model_checkpoint", "sd_vae", "CLIP_stop_at_last_layers"])
    page = LivePage.open(browser, webui.url)
    page.reload_ui(webui)
    page.open_accordion()
    page.choose(other)
    until(lambda: page.value_of(f"#quicksettings {setting}"), lambda value: value == other)
    page.pick_in(f"#quicksettings {setting}", "None")
    until(page.chosen, lambda chosen: chosen.startswith("Built-in"))
    assert webui.option("sd_vae") == "None"
    webui.set(quicksettings_list=["sd_model_checkpoint"])
    page.reload_ui(webui)
    assert page.raw.locator(f"#quicksettings {setting}").count() == 0
    page.close()


def test_chosen_during_a_generation(webui: WebUI, page: LivePage, other: str) -> None:
    """It is queued at once, the page says so, the running picture keeps its VAE, and the next one has the new one."""
    webui.choose("None")
    before = webui.picture(steps=LONG)
    page.open_accordion()
    page.prepare(steps=LONG)
    page.start_picture()
    until(webui.busy)
    page.choose(other)
    said = until(page.status, lambda status: says(status, "after-this-picture"), 30)
    assert other in said
    assert page.chosen().startswith(other)
    assert webui.busy()
    running = page.finish_picture()
    assert webui.named(running.infotext) is None
    assert running.looks_like(before)
    until(lambda: webui.option("sd_vae"), lambda word: word == other)
    until(page.status, lambda status: not says(status, "after-this-picture"))
    assert webui.picture().vae == other


def test_the_newest_of_several_choices_wins(webui: WebUI, page: LivePage, there: str, other: str) -> None:
    page.open_accordion()
    page.prepare(steps=LONG)
    page.start_picture()
    until(webui.busy)
    for name in (other, there, "Built-in", there):
        page.choose(name)
    page.finish_picture()
    until(lambda: webui.option("sd_vae"), lambda word: word == there)
    page.rest(3)
    assert webui.option("sd_vae") == there
    assert webui.picture().vae == there
    assert page.chosen().startswith(there)


def test_a_newer_choice_elsewhere_wins(webui: WebUI, page: LivePage, there: str, other: str) -> None:
    """Chosen in the accordion during a generation, and then, before it ends, something else in the settings."""
    page.open_accordion()
    page.prepare(steps=LONG)
    page.start_picture()
    until(webui.busy)
    page.choose(other)
    until(page.status, lambda status: says(status, "after-this-picture"), 30)
    webui.set(sd_vae=there)  # answers when the picture is done
    page.rest(3)
    assert webui.option("sd_vae") == there
    assert webui.picture().vae == there


def test_a_new_file_is_listed_everywhere_after_refresh(
    webui: WebUI, page: LivePage, vae_folder: Any, other: str
) -> None:
    page.open_accordion()
    new = vae_folder / "live-new.safetensors"
    new.hardlink_to(vae_folder / other)
    page.raw.click("#vae_manager_txt2img_refresh")
    until(webui.listed, lambda names: new.name in names)
    page.rest(2)
    assert any(line.startswith(new.name) for line in page.lines("#vae_manager_txt2img_choice"))
    if "setting" not in webui.lacks:
        page.settings("VAE")
        assert new.name in page.lines("#setting_sd_vae")
    new.unlink()
    webui.refresh()


@pytest.fixture
def gone(webui: WebUI, vae_folder: Path, other: str) -> Iterator[Path]:
    """A file that is chosen before the page opens: as it opens, Forge's row says once more what was chosen then."""
    path = vae_folder / "live-gone.safetensors"
    path.hardlink_to(vae_folder / other)
    webui.refresh()
    webui.choose(path.name)
    webui.picture()  # Forge may have no model before it
    yield path
    path.unlink(missing_ok=True)


def test_a_chosen_file_that_is_missing_is_told(webui: WebUI, gone: Path, page: LivePage) -> None:
    page.open_accordion()
    until(page.title, lambda title: title.startswith("VAE — live-gone · "))
    gone.unlink()
    webui.refresh()
    assert webui.picture().vae is None
    until(page.status, lambda status: says(status, "chosen-not-listed", file=gone.name))
    until(page.chosen, lambda chosen: "missing" in chosen)
    assert webui.option("sd_vae") == "live-gone.safetensors"


@pytest.fixture
def images(webui: WebUI, other: str) -> dict[str, Picture]:
    """The same latent decoded by the checkpoint's own VAE and by another one."""
    webui.choose(other)
    by_other = webui.picture()
    webui.choose("None")
    return {"None": webui.picture(), other: by_other}


def test_this_tab_only(webui: WebUI, page: LivePage, other: str, images: dict[str, Picture]) -> None:
    page.open_accordion()
    page.apply_to(THIS_TAB)
    page.choose(other)
    until(page.title, lambda title: title.startswith(f"VAE — {other} · ") and says(title, "this-tab-only"))
    assert webui.option("sd_vae") == "None"
    page.prepare()
    own = page.generate()
    assert webui.named(own.infotext) == other
    assert own.looks_like(images[other])
    assert webui.option("sd_vae") == "None"
    assert webui.picture().looks_like(images["None"])
    until(lambda: page.title("img2img"), lambda title: title.startswith("VAE — Built-in"))
    page.apply_to(EVERYWHERE)
    until(page.title, lambda title: title.startswith("VAE — Built-in"))
    until(page.chosen, lambda chosen: chosen.startswith("Built-in"))
    assert page.generate().looks_like(images["None"])


def test_this_tab_only_in_img2img(
    webui: WebUI, page: LivePage, other: str, images: dict[str, Picture], tmp_path: Any
) -> None:
    from PIL import Image

    source = tmp_path / "source.png"
    Image.frombytes("RGB", (64, 64), images["None"].pixels).save(source)
    page.tab("img2img")
    page.raw.set_input_files("#img2img_image input[type=file]", source)
    page.open_accordion("img2img")
    page.prepare("img2img")
    plain = page.generate("img2img")
    assert webui.named(plain.infotext) is None
    page.apply_to(THIS_TAB, "img2img")
    page.choose(other, "img2img")
    until(lambda: page.title("img2img"), lambda title: says(title, "this-tab-only"))
    own = page.generate("img2img")
    assert webui.named(own.infotext) == other
    assert not own.looks_like(plain)
    assert webui.option("sd_vae") == "None"
    until(page.title, lambda title: title.startswith("VAE — Built-in"))


def test_a_tab_of_its_own_leaves_the_shown_choice_alone(webui: WebUI, page: LivePage, other: str) -> None:
    """While the override is in force, the page goes on showing what the user has chosen."""
    webui.choose("None")
    page.tab("img2img")
    page.open_accordion("img2img")
    own = "#vae_manager_img2img_choice input"
    until(lambda: page.raw.input_value(own), lambda shown: shown.startswith("Built-in"))
    page.raw.evaluate(
        "() => { window.shown = new Set(); setInterval(() => window.shown.add("
        "document.querySelector('#vae_manager_img2img_choice input').value), 20); }"
    )
    page.rest(0.5)
    webui.picture(steps=LONG, override_settings={"sd_vae": other})
    page.rest(4)
    assert len(page.raw.evaluate("() => [...window.shown]")) == 1, page.raw.evaluate("() => [...window.shown]")


def test_an_override_of_a_request_is_left_alone(
    webui: WebUI, there: str, other: str, images: dict[str, Picture]
) -> None:
    overridden = webui.picture(override_settings={"sd_vae": other})
    assert overridden.vae == other
    assert overridden.looks_like(images[other])
    assert webui.option("sd_vae") == "None"
    both = webui.picture(override_settings={"sd_vae": other}, alwayson_scripts={"VAE": {"args": [there]}})
    assert both.looks_like(images[other])
    assert webui.picture().looks_like(images["None"])


def test_a_request_may_bring_a_choice_of_its_own(webui: WebUI, other: str, images: dict[str, Picture]) -> None:
    own = webui.picture(alwayson_scripts={"VAE": {"args": [other]}})
    assert own.vae == other
    assert own.looks_like(images[other])
    assert webui.option("sd_vae") == "None"
