"""The guards can be switched off and on, are applied once, and mend what the WebUI has broken without them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")

from tests.host.asking import BAD, GOOD, OTHER, Picture, choose, write_vaes
from tests.host.data import make_data_dir
from tests.host.fixtures import WebUI, start_webui

from .inside import install_inside

pytestmark = pytest.mark.torch

NAMES = [
    "load_vae",
    "reload_vae_weights",
    "load_vae_dict",
    "get_loaded_vae_hash",
    "decode_latent_batch",
    "update_vae",
    "test_for_nans",
]


@pytest.fixture
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    data = tmp_path_factory.mktemp("switch")
    write_vaes(data / "models" / "VAE")
    make_data_dir(data, ["demo-a"])
    install_inside(data)
    with start_webui(data, "--api", "--step-seconds", "0.001") as started:
        yield started


def ours(webui: WebUI) -> list[str]:
    found: list[str] = webui.call("/guards")[1]
    return found


def switch(webui: WebUI, *, on: bool) -> None:
    assert webui.call("/sdapi/v1/options", {"vae_manager_guards": on})[0] == 200


def test_what_the_webui_has_broken_without_them_is_mended(webui: WebUI) -> None:
    choose(webui, GOOD)
    good = Picture(webui)
    choose(webui, BAD)
    assert Picture(webui).pixels == good.pixels
    assert ours(webui) == NAMES

    switch(webui, on=False)
    assert ours(webui) == []
    choose(webui, BAD)
    broken = Picture(webui)
    assert broken.status != 200 or broken.pixels != good.pixels, "what the guards are for"

    switch(webui, on=True)
    assert ours(webui) == NAMES
    mended = Picture(webui)
    assert (mended.pixels, mended.fields["VAE"]) == (good.pixels, GOOD)


def test_a_reload_of_the_ui_applies_them_once(webui: WebUI) -> None:
    choose(webui, GOOD)
    good = Picture(webui).pixels
    for _ in range(2):
        seen = webui.log.stat().st_size
        webui.call("/reload-ui", {})
        webui.wait_until_ready(seen)
    assert ours(webui) == NAMES
    choose(webui, OTHER)
    switch(webui, on=False)
    assert ours(webui) == []
    choose(webui, GOOD)
    assert Picture(webui).pixels == good


def test_what_another_extension_has_put_over_them_stays(webui: WebUI) -> None:
    assert webui.call("/cover", {})[0] == 200
    switch(webui, on=False)
    assert ours(webui) == [], "the one above is not ours to take away"
    choose(webui, GOOD)
    assert Picture(webui).fields["VAE"] == GOOD
    assert webui.call("/covered")[1] is True
