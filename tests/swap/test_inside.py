"""In a WebUI: whatever raises at whatever line, weights and book-keeping are those of before, or the new ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")

from tests.host.asking import GOOD, OTHER, Picture, choose, write_vaes
from tests.host.data import make_data_dir
from tests.host.fixtures import WebUI, start_webui

from .inside import install_inside

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    data = tmp_path_factory.mktemp("inside")
    write_vaes(data / "models" / "VAE")
    make_data_dir(data, ["demo-a"])
    install_inside(data)
    with start_webui(data, "--api", "--step-seconds", "0.001") as started:
        yield started


@pytest.mark.parametrize(("before", "after"), [(GOOD, OTHER), ("None", GOOD), (GOOD, "None")])
def test_interrupted_before_any_line_the_model_is_whole(webui: WebUI, before: str, after: str) -> None:
    status, found = webui.call("/interrupt", {"from": before, "to": after})
    assert status == 200, found
    assert found["wrong"] == []
    assert found["outcomes"]["old"] > 20
    assert found["outcomes"]["old"] + found["outcomes"]["new"] == found["steps"]
    assert Picture(webui).status == 200


def test_a_model_without_a_vae_for_a_moment_can_be_asked_about(webui: WebUI) -> None:
    """As one of 8-bit weights is while it loads."""
    choose(webui, GOOD)
    assert webui.call("/in-use-without-vae", {}) == (200, {"identity": None})
    assert Picture(webui).fields["VAE"] == GOOD
