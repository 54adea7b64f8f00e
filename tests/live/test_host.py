"""The short proof of one host: it starts with the extension, its page opens, the main job works, it makes pictures,
bad files are refused with a sentence, and its settings page leaves the quick settings alone.

    pytest tests/live/test_host.py --webui=URL --webui-dir=DIR --restart-command=CMD --webui-log=FILE
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..files.hostile import HOSTILE
from ..files.samples import ldm
from ..files.torch_files import state_dict
from ..guards.stage import assert_told
from ..guards.ways import OUR_ERRORS
from . import files
from .catalogue import Offered, sha256_of
from .conftest import option
from .page import LivePage
from .test_main_job import Fetched, builtin, by_other, fetched  # noqa: F401 (fixtures)
from .webui import Picture, WebUI, until

pytestmark = pytest.mark.live

LISTS_OF_QUICK_SETTINGS = ("quicksettings_list", "quick_setting_list")
"""The name that most hosts have for it, and Forge's."""
QUICK = ["samples_format", "grid_format"]
OWN_FRAMES = re.compile(r"vae[_-]manager")
MARKER = "host-code-has-run"


@pytest.fixture(scope="module")
def start_log(pytestconfig: pytest.Config, webui: WebUI) -> str:
    """The host's output from its start until it has served the state of its first page."""
    log: Path | None = option(pytestconfig, "--webui-log")
    if log is None or webui.restart_command is None:
        pytest.skip("needs the log of a start: --webui-log FILE and --restart-command CMD")
    webui.restart()
    return log.read_text(encoding="utf-8", errors="replace")


def tracebacks(log: str) -> Iterator[str]:
    """Yield each traceback up to its error line, also if the host indents it or puts marks before it."""
    lines = log.splitlines()
    for number, line in enumerate(lines):
        if "Traceback (most recent call last)" in line:
            indent = len(line) - len(line.lstrip())
            end = number + 1
            while end < len(lines) and len(lines[end]) - len(lines[end].lstrip()) > indent:
                end += 1
            yield "\n".join(lines[number : end + 1])


def test_it_starts_without_a_traceback_of_ours(start_log: str) -> None:
    assert [one for one in tracebacks(start_log) if OWN_FRAMES.search(one)] == []


def test_the_page_shows_the_vae_in_use(webui: WebUI, page: LivePage, other: str) -> None:
    for tab in ("txt2img", "img2img"):
        assert page.title(tab).startswith("VAE — ")
    webui.choose("None")
    until(page.title, lambda title: title.startswith("VAE — Built-in"))
    webui.choose(other)
    until(page.title, lambda title: title.startswith(f"VAE — {other.rpartition('.')[0]} "))
    page.open_accordion()
    assert page.chosen().startswith(other)


def test_the_main_job(
    request: pytest.FixtureRequest, webui: WebUI, offered: Offered, vae_folder: Path, browser: Any
) -> None:
    """Check *Get and use*: the file is whole and in use, decodes the next picture, and stands in its infotext."""
    seen: Fetched = request.getfixturevalue("fetched")
    by: dict[str, Picture] = {name: request.getfixturevalue(name) for name in ("builtin", "by_other")}
    assert sha256_of(vae_folder / offered.file_name) == offered.sha256
    assert seen.title_after.startswith(f"VAE — {offered.file_name.rpartition('.')[0]} ")
    assert webui.option("sd_vae") == offered.file_name
    given = webui.picture()
    assert given.vae == offered.file_name
    assert len({given.pixels, by["builtin"].pixels, by["by_other"].pixels}) == 3


def test_the_api_makes_pictures(webui: WebUI, other: str) -> None:
    """With the file of the option, with that of an override, and again without it."""
    webui.choose("None")
    first = webui.picture()
    assert first.vae is None
    by_override = webui.picture(override_settings={"sd_vae": other})
    assert by_override.vae == other
    again = webui.picture()
    assert (again.vae, again.looks_like(first)) == (None, True)
    webui.choose(other)
    given = webui.picture()
    assert (given.vae, given.looks_like(by_override)) == (other, True)
    assert webui.picture_from(first).vae == other


def _hostile(kind: str) -> Callable[[Path, Path], object]:
    def write(_: Path, target: Path) -> None:
        marker = target.with_name(MARKER)
        target.write_bytes(HOSTILE[kind](state_dict(ldm()), f"touch '{marker}'"))

    return write


BAD: dict[str, Callable[[Path, Path], object]] = {
    "host-bad-truncated.safetensors": files.write_truncated,
    "host-bad-truncated.ckpt": files.write_truncated,
    **{f"host-bad-{kind.replace(' ', '-')}.pt": _hostile(kind) for kind in HOSTILE},
}


@pytest.fixture
def bad_file(request: pytest.FixtureRequest, webui: WebUI, vae_folder: Path, other: str) -> Iterator[str]:
    path = vae_folder / str(request.param)
    BAD[path.name](vae_folder / other, path)
    webui.refresh()
    yield path.name
    for left in (path, path.with_name(MARKER)):
        left.unlink(missing_ok=True)
    webui.choose("Automatic")
    webui.refresh()


@pytest.mark.parametrize("bad_file", BAD, indirect=True)
def test_a_bad_file_is_refused_with_a_sentence(
    webui: WebUI, page: LivePage, other: str, bad_file: str, vae_folder: Path
) -> None:
    webui.choose(other)
    good = webui.picture()
    lying = sorted(path.name for path in vae_folder.iterdir())
    page.open_accordion()
    page.choose(bad_file)
    until(page.status, lambda status: "✗" in status and bad_file in status)
    assert_told(page.status(), bad_file)
    request = {"prompt": "a lighthouse", "steps": 1, "width": 64, "height": 64}
    status, answer = webui.ask("/sdapi/v1/txt2img", {**request, "override_settings": {"sd_vae": bad_file}})
    assert (status, answer["error"] in OUR_ERRORS) == (500, True), answer
    assert_told(str(answer["errors"]), bad_file)
    assert webui.option("sd_vae") == other
    after = webui.picture()
    assert (after.vae, after.looks_like(good)) == (good.vae, True)
    assert sorted(path.name for path in vae_folder.iterdir()) == lying  # no marker, and no host has renamed one


@pytest.fixture
def quick_settings(webui: WebUI) -> Iterator[dict[str, Any]]:
    """The host's list by its own name, with choices of a person's in it."""
    before = {name: webui.options()[name] for name in LISTS_OF_QUICK_SETTINGS if name in webui.options()}
    assert before
    webui.set(**dict.fromkeys(before, QUICK))
    yield dict.fromkeys(before, QUICK)
    webui.set(**before)


@pytest.mark.parametrize("section", ["VAE Manager", None])
def test_apply_settings_leaves_the_quick_settings_alone(
    webui: WebUI, browser: Any, quick_settings: dict[str, Any], other: str, section: str | None
) -> None:
    webui.choose(other)
    page = LivePage.open(browser, webui.url)
    page.tab("Settings")
    if section is not None:
        page.settings(section)
        page.rest(1)
    for name in quick_settings:  # the page gets its values by an event of its own, and would write the earlier ones
        lines = page.raw.locator(f"#setting_{name}")
        until(lines.text_content, lambda text: all(one in text for one in QUICK))
    page.raw.click("#settings_submit")
    until(lambda: page.raw.inner_text("#settings_result"), lambda said: "settings changed" in said)
    page.rest(1)
    page.close()
    now = webui.options()
    assert {name: now[name] for name in LISTS_OF_QUICK_SETTINGS if name in now} == quick_settings
    assert now["sd_vae"] == other
    assert not page.errors
