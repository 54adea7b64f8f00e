"""Neo honours the override `sd_vae`, which X/Y/Z's axis uses: by a path, a name or a word."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..guards.bad_files import copy, one_nan
from ..guards.stage import FROM_BUILTIN, FROM_FILE, Stage, assert_told
from ..guards.ways import OUR_ERRORS, _plot_args
from ..live.forge import MODULES
from ..live.webui import Picture

CAPITAL = "Guard-CAPITAL.safetensors"
NAN = "guard-nan.safetensors"


@pytest.fixture(scope="module")
def capital(stage: Stage) -> Iterator[str]:
    """VAE c under a name with capitals."""
    copy(stage.vaes / stage.c, stage.vaes / CAPITAL)
    stage.webui.refresh()
    yield CAPITAL
    (stage.vaes / CAPITAL).unlink()
    stage.webui.refresh()


@pytest.fixture
def bad(stage: Stage) -> Iterator[str]:
    """A file whose header is as it should be, and that has a NaN."""
    one_nan(stage.vaes / stage.c, stage.vaes / NAN, Path())
    stage.webui.refresh()
    yield NAN
    (stage.vaes / NAN).unlink()
    stage.webui.refresh()
    stage.unknown()


def chosen(stage: Stage, name: str) -> Picture:
    """The picture with this VAE as the setting; its hash is known then."""
    stage.webui.choose(name)
    stage.picture()
    stage.status()  # once nothing is hashed any more
    picture = stage.picture()
    stage.unknown()
    assert picture.vae == name
    assert picture.vae_hash is not None
    return picture


@pytest.mark.parametrize("by", ["path", "name"])
def test_a_path_or_a_name_makes_the_picture_with_that_vae(stage: Stage, capital: str, by: str) -> None:
    expected = {name: chosen(stage, name) for name in (stage.b, capital)}
    stage.begin(FROM_FILE)
    for name, picture in expected.items():
        given = stage.picture(override_settings={"sd_vae": str(stage.vaes / name) if by == "path" else name})
        assert given.looks_like(picture)
        assert (given.vae, given.vae_hash) == (name, picture.vae_hash)
        stage.assert_as_before()


@pytest.mark.parametrize("word", ["None", "Automatic"])
def test_a_word_makes_the_picture_with_the_checkpoints_own(stage: Stage, word: str) -> None:
    expected = stage.begin(FROM_BUILTIN)
    stage.begin(FROM_FILE)
    given = stage.picture(override_settings={"sd_vae": word})
    assert given.vae is None
    assert given.looks_like(expected)
    stage.assert_as_before()


def test_automatic_for_one_picture_takes_what_the_card_prefers(stage: Stage) -> None:
    """The setting, Built-in, would not."""
    expected = chosen(stage, stage.b)
    stage.begin(FROM_BUILTIN)
    with stage.carded(stage.first, stage.b):
        assert stage.picture().vae is None
        given = stage.picture(override_settings={"sd_vae": "Automatic"})
        assert given.vae == stage.b
        assert given.looks_like(expected)
        assert stage.picture(override_settings={"sd_vae": "None"}).vae is None
    stage.assert_as_before()


@pytest.mark.parametrize("name", ["nowhere.safetensors", "/nowhere/nowhere.safetensors"])
def test_an_unknown_name_is_refused(stage: Stage, name: str) -> None:
    stage.begin(FROM_FILE)
    status, answer = stage.try_picture(override_settings={"sd_vae": name})
    assert status == 500
    assert answer["error"] in OUR_ERRORS
    assert_told(str(answer["errors"]), "nowhere.safetensors")
    stage.assert_as_before()


def test_another_file_of_a_listed_name_is_refused(stage: Stage, tmp_path: Path) -> None:
    other = tmp_path / stage.b
    copy(stage.vaes / stage.c, other)
    stage.begin(FROM_FILE)
    status, answer = stage.try_picture(override_settings={"sd_vae": str(other)})
    assert status == 500
    assert answer["error"] in OUR_ERRORS
    assert_told(str(answer["errors"]), stage.b)
    stage.assert_as_before()


def test_each_cell_of_a_plot_has_its_vae(stage: Stage, capital: str) -> None:
    expected = {name: chosen(stage, name) for name in (stage.b, capital, stage.a)}
    builtin = stage.begin(FROM_BUILTIN)
    stage.begin(FROM_FILE)
    values = [stage.b, capital, "None", "nowhere.safetensors", "Automatic", stage.a]
    cells = plotted(stage, values)
    for value, (picture, text) in zip(values, cells, strict=True):
        if value in ("None", "Automatic"):
            assert picture.looks_like(builtin), value
            assert stage.webui.named(text) is None
        elif value in expected:
            assert picture.looks_like(expected[value]), value
            found = Picture((0, 0), b"", text)
            assert (stage.webui.named(text), found.vae_hash) == (value, expected[value].vae_hash)
        else:
            assert_told(text, value)
    stage.assert_as_before()


def plotted(stage: Stage, values: list[str]) -> list[tuple[Picture, str]]:
    axes, rest = _plot_args(stage)
    axis = [axes["choices"].index("VAE"), ", ".join(values), values, 0, "", [], 0, "", []]
    shown = {"Draw legend": False, "Include Sub Images": True}
    args: list[Any] = [*axis, *(shown.get(one["label"], one["value"]) for one in rest)]
    status, answer = stage.try_picture(script_name="X/Y/Z plot", script_args=args)
    assert status == 200, answer
    count = len(values)
    texts = json.loads(answer["info"])["infotexts"][-count:]
    return [
        (Picture.of(base64.b64decode(png)), text) for png, text in zip(answer["images"][-count:], texts, strict=True)
    ]


def test_this_tab_only_takes_automatic(stage: Stage) -> None:
    expected = stage.begin(FROM_BUILTIN)
    stage.begin(FROM_FILE)
    given = stage.picture(alwayson_scripts={"VAE": {"args": ["Automatic"]}})
    assert given.vae is None
    assert given.looks_like(expected)
    stage.assert_as_before()


@pytest.fixture
def unloaded(stage: Stage) -> Iterator[None]:
    """The second checkpoint is chosen, and the first one is still loaded."""
    stage.begin(FROM_FILE)
    stage.webui.set(sd_model_checkpoint=stage.second)
    yield
    stage.webui.set(sd_model_checkpoint=stage.first)
    stage.assert_as_before()
    assert "✗" not in stage.webui.state()["titles"]["txt2img"]  # that of the setting is not refused


@pytest.mark.parametrize("key", ["sd_vae", MODULES])
@pytest.mark.usefixtures("unloaded")
def test_a_bad_file_is_refused_for_a_checkpoint_that_is_not_loaded_yet(stage: Stage, bad: str, key: str) -> None:
    """Only reading it shows the fault, and it is read when that checkpoint is there."""
    status, answer = stage.try_picture(override_settings={key: bad if key == "sd_vae" else [bad]})
    assert status == 500
    assert answer["error"] in OUR_ERRORS
    assert_told(str(answer["errors"]), bad)


@pytest.mark.parametrize("first", ["checkpoint", "vae"])
def test_a_bad_file_is_refused_together_with_another_checkpoint(stage: Stage, bad: str, first: str) -> None:
    stage.begin(FROM_FILE)
    overrides = {"sd_model_checkpoint": stage.second, "sd_vae": bad}
    if first == "vae":
        overrides = dict(reversed(overrides.items()))
    status, answer = stage.try_picture(override_settings=overrides)
    assert status == 500
    assert answer["error"] in OUR_ERRORS
    assert_told(str(answer["errors"]), bad)
    stage.assert_as_before()
