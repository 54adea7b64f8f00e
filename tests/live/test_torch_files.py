"""Torch files in the page: either scope refuses a file that torch reads differently, and uses an intact one.

The other ways in are those of tests/guards: `tests/live/test_guards.py -k "bad_files or torch or starts"`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vae_manager.webui.ui.page import EVERYWHERE, THIS_TAB

from ..guards.bad_files import READ_IN_TWO_WAYS, BadFile
from ..guards.good_files import TORCH_FORMS
from ..guards.stage import assert_told
from .page import LivePage
from .webui import WebUI, until

pytestmark = pytest.mark.live

USED = "live-torch.pt"


@pytest.fixture(scope="module")
def marker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that a hostile file would write."""
    return tmp_path_factory.mktemp("hostile") / "code-has-run"


@pytest.fixture(scope="module", params=READ_IN_TWO_WAYS, ids=lambda bad: bad.name)
def hostile(request: pytest.FixtureRequest, webui: WebUI, vae_folder: Path, other: str, marker: Path) -> Iterator[str]:
    """List a hostile file; yield its name."""
    bad: BadFile = request.param
    bad.write(vae_folder / other, vae_folder / bad.name, marker)
    webui.refresh()
    yield bad.name
    webui.choose("Automatic")
    (vae_folder / bad.name).unlink()
    webui.refresh()


@pytest.mark.parametrize("scope", [EVERYWHERE, THIS_TAB])
def test_a_file_that_is_read_in_two_ways_is_refused(
    webui: WebUI, page: LivePage, other: str, hostile: str, marker: Path, scope: str
) -> None:
    webui.choose(other)
    good = webui.picture()
    page.open_accordion()
    page.apply_to(scope)
    page.choose(hostile)
    until(page.status, lambda status: "✗" in status and hostile in status)
    assert_told(page.status(), hostile)
    until(page.chosen, lambda chosen: not chosen.startswith(hostile))
    page.prepare()
    made = page.generate()
    assert (webui.named(made.infotext), made.looks_like(good)) == (other, True)
    assert webui.option("sd_vae") == other
    after = webui.picture()
    assert (after.vae, after.looks_like(good)) == (other, True)
    assert not marker.exists()


@pytest.mark.parametrize("kind", TORCH_FORMS)
def test_a_whole_one_is_used(webui: WebUI, page: LivePage, vae_folder: Path, other: str, kind: str) -> None:
    webui.choose(other)
    expected = webui.picture()
    webui.choose("Automatic")
    TORCH_FORMS[kind](vae_folder / other, vae_folder / USED)
    try:
        page.open_accordion()
        page.raw.click("#vae_manager_txt2img_refresh")
        until(lambda: USED in webui.listed())
        page.choose(USED)
        until(lambda: webui.option("sd_vae"), lambda word: word == USED)
        page.prepare()
        made = page.generate()
        assert (webui.named(made.infotext), made.looks_like(expected)) == (USED, True), (
            made.infotext,
            webui.option("sd_vae"),
            page.status(),
        )
    finally:
        webui.choose("Automatic")
        (vae_folder / USED).unlink()
        webui.refresh()
