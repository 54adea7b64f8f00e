"""A Neo newer than 2.26 shows paths below the folders, and looks each of them up when a page loads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..forge.conftest import standing_in
from ..guards.bad_files import copy
from ..guards.stage import FROM_BUILTIN, Stage
from ..live.forge import MODULES, ROW_OF_NEO
from ..live.webui import until

FOLDER, NAME = "deeper", "newer.safetensors"


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with standing_in(tmp_path_factory.mktemp("newer"), host="neo_newer") as started:
        yield started


@pytest.fixture
def deeper(newer: Stage) -> Iterator[Path]:
    """A VAE in a folder of the VAE folder, chosen."""
    newer.begin(FROM_BUILTIN)
    path = newer.vaes / FOLDER / NAME
    path.parent.mkdir(exist_ok=True)
    copy(newer.vaes / newer.b, path)
    newer.webui.refresh()
    newer.webui.set(**{MODULES: [NAME]})
    assert newer.picture().vae == NAME
    yield path
    newer.webui.set(**{MODULES: []})
    path.unlink(missing_ok=True)
    newer.webui.refresh()
    newer.unknown()


def loaded_row(stage: Stage) -> Any:
    """Names that the row shows when a page loads."""
    status, answer = stage.webui.fire("forge_ui_preset", "sd", answers=True)
    assert status == 200, answer
    return answer["data"][1]["value"]


def synced_row(stage: Stage) -> Any:
    """Values that the row gets after a change of choice in the accordion."""
    config = stage.webui.get("/config")
    ids = {one["props"].get("elem_id"): one["id"] for one in config["components"]}
    (event,) = (
        one
        for one in config["dependencies"]
        if one["outputs"] == [ids[ROW_OF_NEO]]
        and [_of(target) for target in one["targets"]] == [ids["vae_manager_txt2img_sync"]]
    )
    number = event.get("id", config["dependencies"].index(event))
    status, answer = stage.webui.ask("/run/predict", {"fn_index": number, "data": [], "session_hash": "tests"})
    assert status == 200, answer
    return answer["data"][0]


def test_the_row_gets_what_it_shows(newer: Stage, deeper: Path) -> None:
    below = str(Path(FOLDER, NAME))
    assert loaded_row(newer) == [below]
    synced = synced_row(newer)
    assert synced["value"] == [below]
    assert below in [line if isinstance(line, str) else line[0] for line in synced["choices"]]


def test_names_are_short_where_the_option_says_so(newer: Stage, deeper: Path) -> None:
    newer.webui.set(sd_modules_dropdown_use_short=True)
    try:
        assert loaded_row(newer) == [NAME]
        assert synced_row(newer)["value"] == [NAME]
    finally:
        newer.webui.set(sd_modules_dropdown_use_short=False)


def test_a_page_loads_after_the_chosen_file_has_gone(newer: Stage, deeper: Path) -> None:
    deeper.unlink()
    newer.webui.refresh()
    assert loaded_row(newer) == [NAME]
    assert synced_row(newer)["value"] == [NAME]
    newer.picture()


def test_a_new_file_is_in_every_list(newer: Stage, deeper: Path) -> None:
    """The extension found the file while a picture was made: Neo does not rebuild its own lists then."""
    other = deeper.with_name("newer-2.safetensors")
    deeper.rename(other)
    try:
        assert newer.picture(override_settings={"sd_vae": other.name}).vae == other.name
        newer.webui.set(**{MODULES: [other.name]})
        until(lambda: loaded_row(newer) == [str(Path(FOLDER, other.name))])
        assert newer.picture().vae == other.name
    finally:
        other.rename(deeper)


def _of(target: Any) -> Any:
    """The component's id; gradio 4 tells the event's name too."""
    return target[0] if isinstance(target, list) else target
