"""Files with the names of diffusers, or with a prefix before their names, on a WebUI that loads them as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .bad_files import write_ckpt
from .stage import FROM_FILE, Stage
from .test_converted import MADE, WRITE
from .test_converted import made_in as made_in  # a fixture


@pytest.fixture
def only_where_they_load(stage: Stage) -> Iterator[None]:
    """Asked for by each test and not by itself: tests/live takes all of these modules into one."""
    if not stage.loads_any_layout:
        pytest.skip("this WebUI needs them converted; see test_converted")
    yield


@pytest.mark.usefixtures("only_where_they_load")
@pytest.mark.parametrize("kind", WRITE)
@pytest.mark.parametrize("way", ["option", "override"])
def test_it_decodes_as_the_one_that_it_was_made_from(stage: Stage, made_in: Path, kind: str, way: str) -> None:
    before = stage.begin(FROM_FILE)
    expected = stage.picture(override_settings={"sd_vae": stage.b})
    WRITE[kind](made_in / stage.b, made_in / MADE)
    (made,) = made_in.glob(f"{MADE}*")
    stage.webui.refresh()
    if way == "option":
        stage.webui.choose(made.name)
        picture = stage.picture()
    else:
        picture = stage.picture(override_settings={"sd_vae": made.name})
        assert stage.picture().looks_like(before)
    assert picture.vae == made.name
    assert picture.looks_like(expected)
    assert made.exists()


@pytest.mark.usefixtures("only_where_they_load")
def test_the_page_offers_it_as_it_is(stage: Stage, made_in: Path) -> None:
    stage.begin(FROM_FILE)
    WRITE["diffusers"](made_in / stage.b, made_in / MADE)
    stage.webui.refresh()
    told = json.dumps(stage.webui.state(library=""))
    assert f"{MADE}.safetensors" in told
    assert "needs converting" not in told


@pytest.mark.usefixtures("only_where_they_load")
def test_a_pickle_is_read_without_running_it_or_renaming_it(stage: Stage, made_in: Path) -> None:
    """Such as the WebUI's own reader of pickles refuses: its names are of the training, and no code is in it."""
    expected = stage.begin(FROM_FILE)
    write_ckpt(made_in / stage.a, made_in / f"{MADE}.ckpt", epoch=3)
    stage.webui.refresh()
    stage.webui.choose(f"{MADE}.ckpt")
    assert stage.picture().looks_like(expected)
    assert [path.name for path in made_in.glob(f"{MADE}*")] == [f"{MADE}.ckpt"]
