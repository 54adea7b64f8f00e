"""Files that are no VAE for this WebUI are refused from the dropdown, and pictures go on as before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from . import files
from .page import LivePage
from .webui import WebUI, until

pytestmark = pytest.mark.live

BAD: dict[str, Callable[[Path, Path], Path]] = {
    "live-bad-diffusers.safetensors": files.write_renamed,
    "live-bad-truncated.safetensors": files.write_truncated,
    "live-bad-page.safetensors": lambda source, target: files.write_web_page(target),
    "live-bad-page.ckpt": lambda source, target: files.write_web_page(target),
}


@pytest.fixture(scope="module")
def bad_files(webui: WebUI, vae_folder: Path, offered_file: Path) -> Iterator[None]:
    for name, write in BAD.items():
        write(offered_file, vae_folder / name)
    webui.refresh()
    yield
    for name in BAD:
        (vae_folder / name).unlink(missing_ok=True)
    webui.choose("Automatic")
    webui.refresh()


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("before", ["None", "a file"])
@pytest.mark.usefixtures("bad_files")
def test_a_bad_file_changes_nothing(webui: WebUI, page: LivePage, other: str, name: str, before: str) -> None:
    word = other if before == "a file" else before
    webui.choose(word)
    good = webui.picture()
    page.open_accordion()
    page.choose(name)
    until(page.status, lambda status: "✗" in status and name in status)  # not what an earlier file has left there
    page.rest(3)
    assert webui.option("sd_vae") == word
    assert not page.chosen().startswith(name)
    after = webui.picture()
    assert after.looks_like(good)
    assert after.vae == good.vae
    page.choose("Built-in" if before == "a file" else other)
    until(page.status, lambda status: "✗" not in status)
    until(lambda: webui.option("sd_vae"), lambda now: now == ("None" if before == "a file" else other))
