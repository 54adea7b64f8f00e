"""Forge's own row at the top: its list of VAEs and text encoders, and the accordion, show one choice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wording import wording

from .forge import MODULES, ForgeWebUI
from .page import LivePage
from .webui import WebUI, until

pytestmark = pytest.mark.live

ROW = ".gradio-dropdown:has(span:text-is('VAE / Text Encoder'))"


@pytest.fixture(autouse=True)
def at_automatic(webui: WebUI) -> Iterator[None]:
    if not isinstance(webui, ForgeWebUI):
        pytest.skip("this WebUI has its VAE in Settings; see test_in_step")
    webui.set(**{MODULES: []})
    yield
    webui.set(**{MODULES: []})


@pytest.fixture
def encoder(webui: WebUI, folder: Path) -> Iterator[str]:
    """A text encoder of no weight that could change a picture, listed and chosen."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    path = folder / "models" / "text_encoder" / "live-clip.safetensors"
    path.parent.mkdir(exist_ok=True)
    save_file({"text_model.encoder.layers.0.layer_norm1.bias": torch.ones(768)}, path)
    webui.refresh()
    webui.set(**{MODULES: [path.name]})
    yield path.name
    webui.set(**{MODULES: []})
    path.unlink()
    webui.refresh()


def _tokens(page: LivePage) -> list[str]:
    """What the row shows as chosen."""
    return [text.strip() for text in page.raw.locator(f"{ROW} .token").all_inner_texts()]


def test_from_the_accordion_to_the_row(webui: WebUI, encoder: str, page: LivePage, other: str) -> None:
    page.open_accordion()
    page.choose(other)
    until(lambda: webui.option("sd_vae"), lambda word: word == other)
    until(lambda: sorted(_tokens(page)), lambda tokens: tokens == sorted([encoder, other]))
    page.choose("Built-in")
    until(lambda: _tokens(page), lambda tokens: tokens == [encoder])
    assert [Path(path).name for path in webui.options()[MODULES]] == [encoder]


def test_from_the_row_to_the_accordion(webui: WebUI, encoder: str, page: LivePage, other: str) -> None:
    page.open_accordion()
    until(lambda: _tokens(page), lambda tokens: tokens == [encoder])
    _pick(page, other)
    until(page.chosen, lambda chosen: chosen.startswith(other))
    assert sorted(Path(path).name for path in webui.options()[MODULES]) == sorted([encoder, other])
    assert webui.picture().vae == other  # a checkpoint in memory keeps its VAE until then, and the title says so
    until(page.title, lambda title: title.startswith("VAE — live-other"))
    page.raw.locator(f"{ROW} .token", has_text=other).locator(".token-remove").click()
    until(page.chosen, lambda chosen: not chosen.startswith(other))
    assert [Path(path).name for path in webui.options()[MODULES]] == [encoder]


def test_no_quick_setting_is_offered(page: LivePage) -> None:
    """The row is there always; a switch that adds it would do nothing."""
    page.settings("VAE Manager")
    switch = page.raw.locator("#tab_settings .vm-switch").first
    until(lambda: switch.is_visible())
    assert switch.is_disabled()
    page.raw.get_by_text(wording("forge-shows-it")).first.wait_for()


def _pick(page: LivePage, name: str) -> None:
    page.raw.click(f"{ROW} input")
    line = page.raw.locator(f"{ROW} ul.options li", has_text=name)
    line.wait_for(state="visible")
    line.dispatch_event("mousedown")
    page.raw.keyboard.press("Escape")
