"""An override holds for one picture, whatever happens meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .bad_files import copy
from .stage import FROM_FILE, STARTS, Stage, assert_told

NAME = "guard-passing.safetensors"
RENAMED = "guard-passed.safetensors"

FAILING: dict[str, dict[str, Any]] = {
    "an unknown refiner": {"refiner_checkpoint": "nowhere"},
    "a broken prompt": {"prompt": "[a:b:", "styles": ["nowhere"], "hr_upscaler": "nowhere", "enable_hr": True},
    "a script that raises": {
        "script_name": "X/Y/Z plot",
        "script_args": [1, "x", [], 0, "", [], 0, "", [], False, False, False, False, False, False, False, 0, True],
    },
}


@pytest.fixture
def passing(stage: Stage) -> Iterator[Path]:
    """A copy of VAE c that comes and goes."""
    path = stage.vaes / NAME
    copy(stage.vaes / stage.c, path)
    stage.webui.refresh()
    yield path
    for name in (NAME, RENAMED):
        (stage.vaes / name).unlink(missing_ok=True)
    stage.unknown()
    stage.webui.set(sd_vae="None")
    stage.webui.refresh()


@pytest.mark.parametrize("start", STARTS)
def test_it_does_not_stick(stage: Stage, start: str) -> None:
    stage.begin(start)
    for word, vae in ((stage.c, stage.c), ("None", None), ("Automatic", stage.b if start == "Automatic" else None)):
        assert stage.picture(override_settings={"sd_vae": word}).vae == vae
        stage.assert_as_before()


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("why", FAILING)
def test_it_does_not_stick_to_a_picture_that_fails(stage: Stage, start: str, why: str) -> None:
    stage.begin(start)
    status, _ = stage.try_picture(**FAILING[why], override_settings={"sd_vae": stage.c})
    assert status == 500
    stage.assert_as_before()


@pytest.fixture
def lost_checkpoint(stage: Stage) -> Iterator[str]:
    """A checkpoint that the WebUI lists and whose file is gone; its name."""
    models = stage.folder / "models" / "Stable-diffusion"
    lost = models / "guard-lost.safetensors"
    lost.hardlink_to(models / f"{stage.second}.safetensors")
    stage.webui.post("/sdapi/v1/refresh-checkpoints")
    lost.unlink()
    yield lost.stem
    stage.webui.post("/sdapi/v1/refresh-checkpoints")


@pytest.mark.parametrize("start", STARTS)
def test_it_does_not_stick_to_a_picture_that_fails_half_way(stage: Stage, lost_checkpoint: str, start: str) -> None:
    """The WebUI undoes its hijack before it looks for the refiner's file, and leaves it so."""
    prompt = {"prompt": "a (lighthouse:1.4)"}
    stage.begin(start)
    emphasised = stage.picture(**prompt)
    override = {"sd_vae": stage.c}
    status, _ = stage.try_picture(steps=4, refiner_checkpoint=lost_checkpoint, override_settings=override)
    assert status == 500
    stage.assert_as_before()
    assert stage.picture(**prompt).looks_like(emphasised)


@pytest.mark.parametrize("start", STARTS)
def test_it_does_not_stick_where_the_chosen_file_is_gone_meanwhile(stage: Stage, passing: Path, start: str) -> None:
    """Not even where nobody knows the chosen file any more."""
    stage.begin(start)
    stage.webui.choose(NAME)
    before = stage.picture()
    passing.unlink()
    assert stage.picture(override_settings={"sd_vae": stage.b}).vae == stage.b
    assert stage.webui.option("sd_vae") == NAME
    after = stage.picture()
    assert after.vae in (NAME, None)
    if after.vae == NAME:
        assert after.looks_like(before)
    else:
        assert after.looks_like(stage.picture(override_settings={"sd_vae": "None"}))


def test_it_does_not_stick_where_the_chosen_file_is_renamed_meanwhile(stage: Stage, passing: Path) -> None:
    stage.begin(FROM_FILE)
    stage.webui.choose(NAME)
    builtin = stage.picture(override_settings={"sd_vae": "None"})
    passing.rename(stage.vaes / RENAMED)
    stage.webui.refresh()
    assert stage.picture(override_settings={"sd_vae": RENAMED}).vae == RENAMED
    assert stage.webui.option("sd_vae") == NAME
    after = stage.picture()
    assert after.vae is None
    assert after.looks_like(builtin)


def test_an_unknown_name_is_built_in_for_one_picture_and_told(stage: Stage) -> None:
    """The WebUI takes its own for it; the infotext names none."""
    if stage.is_neo:
        pytest.skip("Neo refuses it by itself; see tests/neo/test_overrides.py")
    builtin = stage.picture(override_settings={"sd_vae": "None"})
    stage.begin(FROM_FILE)
    mark = stage.said()
    given = stage.picture(override_settings={"sd_vae": "nowhere.safetensors"})
    assert given.vae is None
    assert given.looks_like(builtin) or given.size != builtin.size
    said = stage.said_since(mark)
    if said is not None:
        assert_told(said, "nowhere.safetensors")
    stage.assert_as_before()


def test_a_file_that_no_list_has_yet_is_found(stage: Stage, passing: Path) -> None:
    stage.begin(FROM_FILE)
    expected = stage.picture(override_settings={"sd_vae": NAME})
    passing.rename(stage.vaes / RENAMED)
    given = stage.picture(override_settings={"sd_vae": RENAMED})
    assert given.vae == RENAMED
    assert given.looks_like(expected)
    stage.assert_as_before()


@pytest.mark.usefixtures("bad_files")
def test_a_picture_is_not_lost_when_a_bad_file_is_set_while_its_override_lasts(stage: Stage) -> None:
    """The WebUI writes an option before it waits for the lock, so a picture may begin and end with what is refused."""
    stage.begin(FROM_FILE)
    expected = stage.picture(override_settings={"sd_vae": stage.b})
    other = stage.another()
    bad = "bad-missing-key.safetensors"
    statuses: list[int] = []

    def set_bad() -> None:
        for _ in range(12):
            other.webui.ask("/sdapi/v1/options", {"sd_vae": bad})

    thread = threading.Thread(target=set_bad)
    thread.start()
    while thread.is_alive():
        status, _ = stage.try_picture(override_settings={"sd_vae": stage.b})
        statuses.append(status)
    thread.join()
    assert set(statuses) == {200}
    stage.webui.set(sd_vae=stage.a)
    assert stage.picture(override_settings={"sd_vae": stage.b}).looks_like(expected)
    stage.unknown()
