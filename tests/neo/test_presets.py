"""Each preset of Neo has its own list of modules, beside the one in force."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..guards.bad_files import BAD, layout_of
from ..guards.stage import FROM_BUILTIN, Stage
from ..live.forge import MODULES
from ..live.webui import until

OTHER = "xl"
"""Another preset than the one that is shown first."""
FLUX = "bad-flux.safetensors"


def names(paths: list[str]) -> list[str]:
    return [Path(path).name for path in paths]


def lists(stage: Stage) -> tuple[list[str], list[str], list[str]]:
    """The list in force, that of the first preset and that of the other one."""
    options = stage.webui.options()
    in_force, first, other = (names(options.get(MODULES + of, [])) for of in ("", "_sd", f"_{OTHER}"))
    return in_force, first, other


def switch(stage: Stage, preset: str, checkpoint: str, modules: list[str]) -> None:
    """As the page does: the preset's own values come into the row, and the row's are taken."""
    webui = stage.webui
    webui.fire("forge_ui_preset", preset, answers=True)
    status, answer = webui.fire("setting_sd_model_checkpoint", checkpoint, modules, "Automatic", preset)
    assert status == 200, answer


@pytest.fixture(autouse=True)
def in_the_first_preset(stage: Stage) -> Iterator[None]:
    stage.begin(FROM_BUILTIN)
    yield
    switch(stage, "sd", f"{stage.first}.safetensors", [])
    stage.webui.set(**{MODULES: [], f"{MODULES}_sd": [], f"{MODULES}_{OTHER}": []}, sd_model_checkpoint=stage.first)
    stage.unknown()


def picture_of(stage: Stage, name: str) -> Any:
    return stage.picture(override_settings={"sd_vae": name})


def test_a_choice_through_the_api_reaches_the_list_of_the_preset_that_is_shown(stage: Stage) -> None:
    stage.webui.set(**{MODULES: [stage.b]})
    assert lists(stage) == ([stage.b], [stage.b], [])
    _, row = stage.webui.fire("forge_ui_preset", "sd", answers=True)  # as a page does when it loads
    assert [stage.b] in [one.get("value") for one in row["data"] if isinstance(one, dict)]
    stage.webui.set(**{MODULES: []})
    assert lists(stage) == ([], [], [])


def test_an_override_reaches_no_list(stage: Stage) -> None:
    stage.webui.set(**{MODULES: [stage.a]})
    assert picture_of(stage, stage.b).vae == stage.b
    assert stage.picture(override_settings={MODULES: [stage.b]}).vae == stage.b
    assert lists(stage) == ([stage.a], [stage.a], [])


def test_a_choice_in_the_accordion_reaches_both(stage: Stage) -> None:
    stage.webui.fire("vae_manager_txt2img_pick", stage.b, "everywhere", answers=True)
    until(lambda: lists(stage) == ([stage.b], [stage.b], []))


def test_a_switch_with_the_same_checkpoint_is_applied(stage: Stage) -> None:
    """Neo by itself writes the list down and goes on with the one before."""
    expected = {name: picture_of(stage, name) for name in (stage.a, stage.b)}
    checkpoint = f"{stage.first}.safetensors"
    stage.webui.set(**{MODULES: [stage.a]})
    stage.picture()
    switch(stage, OTHER, checkpoint, [stage.b])
    assert lists(stage) == ([stage.b], [stage.a], [stage.b])
    picture = stage.picture()
    assert picture.vae == stage.b
    assert picture.looks_like(expected[stage.b])
    assert stage.status().startswith(f"In use: {stage.b}")
    switch(stage, "sd", checkpoint, [stage.a])
    assert stage.picture().looks_like(expected[stage.a])
    assert lists(stage) == ([stage.a], [stage.a], [stage.b])


def test_a_switch_with_the_same_checkpoint_outlives_a_restart(stage: Stage) -> None:
    stage.webui.set(**{MODULES: [stage.a]})
    switch(stage, OTHER, f"{stage.first}.safetensors", [stage.b])
    stage.webui.restart()
    try:
        assert lists(stage) == ([stage.b], [stage.a], [stage.b])
        assert stage.picture().vae == stage.b
    finally:
        switch(stage, "sd", f"{stage.first}.safetensors", [])
        stage.webui.restart()  # each page that loads brings the preset of the start back


@pytest.fixture
def flux(stage: Stage, tmp_path: Path) -> Iterator[str]:
    """A VAE for other latents, with numbers in it."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    next(one for one in BAD if one.name == FLUX).write(stage.vaes / stage.c, tmp_path / FLUX, tmp_path)
    save_file({name: torch.rand(shape) for name, (_, shape) in layout_of(tmp_path / FLUX).items()}, stage.vaes / FLUX)
    stage.webui.refresh()
    yield FLUX
    stage.webui.set(**{MODULES: []}, sd_model_checkpoint=stage.first)
    (stage.vaes / FLUX).unlink()
    stage.webui.refresh()


def test_a_switch_takes_the_list_though_the_loaded_checkpoint_would_refuse_it(stage: Stage, flux: str) -> None:
    """The preset's own checkpoint comes after its modules."""
    stage.picture()
    switch(stage, OTHER, f"{stage.second}.safetensors", [flux])
    assert lists(stage) == ([flux], [], [flux])


@pytest.mark.parametrize("first", ["checkpoint", "modules"])
def test_a_list_set_together_with_a_checkpoint_is_for_that_one(stage: Stage, flux: str, first: str) -> None:
    stage.picture()
    request = {"sd_model_checkpoint": f"{stage.second}.safetensors", MODULES: [flux]}
    stage.webui.set(**(request if first == "checkpoint" else dict(reversed(request.items()))))
    assert lists(stage)[0] == [flux]
