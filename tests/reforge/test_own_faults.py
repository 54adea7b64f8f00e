"""What reForge gets wrong by itself, which the stand-in does too, is right with the extension."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from safetensors.torch import load_file, save_file

from ..guards.stage import FROM_BUILTIN, Stage
from ..guards.walk import GUARDS
from ..live.webui import Picture


@pytest.fixture
def builtin(stage: Stage) -> Iterator[Picture]:
    """What the first checkpoint makes with its own VAE, which is chosen."""
    yield stage.begin(FROM_BUILTIN)
    stage.unknown()


@contextmanager
def unguarded(stage: Stage) -> Iterator[None]:
    stage.webui.set(**{GUARDS: False})
    try:
        yield
    finally:
        stage.webui.set(**{GUARDS: True})


@pytest.fixture
def broken(stage: Stage) -> Iterator[str]:
    """A VAE without one of its tensors."""
    tensors = load_file(stage.vaes / stage.b)
    del tensors["decoder.norm_out.weight"]
    path = stage.vaes / "reforge-broken.safetensors"
    save_file(tensors, path)
    stage.webui.refresh()
    yield path.name
    path.unlink()
    stage.webui.refresh()


def test_none_brings_the_own_vae_back(stage: Stage, builtin: Picture) -> None:
    stage.webui.choose(stage.a)
    assert stage.picture().vae == stage.a
    stage.webui.choose("None")
    assert stage.picture().looks_like(builtin)


def test_an_override_taints_nothing(stage: Stage, builtin: Picture) -> None:
    assert stage.picture(override_settings={"sd_vae": stage.a}).vae == stage.a
    assert stage.picture().looks_like(builtin)


def test_a_checkpoint_from_memory_has_the_vae_that_is_chosen_now(stage: Stage, builtin: Picture) -> None:
    stage.webui.set(sd_checkpoints_limit=2)
    stage.webui.choose(stage.a)
    by_a = stage.picture()
    stage.checkpoint(stage.second)
    stage.webui.choose("None")
    asked = stage.picture(override_settings={"sd_model_checkpoint": stage.first})
    assert (asked.vae, asked.pixels) == (None, builtin.pixels)
    stage.webui.choose(stage.a)
    stage.checkpoint(stage.first)
    assert stage.picture().looks_like(by_a)
    stage.webui.set(sd_checkpoints_limit=1)


def test_a_setting_that_fails_is_taken_back_and_not_saved(stage: Stage, builtin: Picture, broken: str) -> None:
    assert stage.webui.ask("/sdapi/v1/options", {"sd_vae": broken}) == (200, None)
    assert stage.webui.option("sd_vae") == "None"
    assert json.loads((stage.folder / "config.json").read_text(encoding="utf-8"))["sd_vae"] == "None"


def test_the_stand_in_has_these_faults(stage: Stage, builtin: Picture, broken: str) -> None:
    """Else the tests above would show nothing. What is left is mended once the guards are on again."""
    with unguarded(stage):
        stage.webui.choose(stage.a)
        stage.picture()
        stage.webui.choose("None")
        tainted = stage.picture()
        assert tainted.vae is None
        assert not tainted.looks_like(builtin)
        stage.webui.set(sd_vae=broken)
        assert stage.webui.option("sd_vae") == broken
        assert stage.picture().vae == broken
        stage.webui.set(sd_vae="None")
    assert stage.picture().looks_like(builtin)
    stage.webui.choose(stage.a)
    stage.webui.choose("None")
    assert stage.picture().looks_like(builtin)


def test_a_choice_in_the_page_works_without_the_guards(stage: Stage, builtin: Picture) -> None:
    with unguarded(stage):
        stage.webui.choose(stage.a)
        stage.picture()
        status, answer = stage.webui.fire("vae_manager_txt2img_pick", "None", "everywhere", answers=True)
        assert status == 200, answer
        stage.status()
        assert stage.picture().looks_like(builtin)
