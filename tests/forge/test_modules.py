"""VAEs and text encoders stand in one list: what is done to the one leaves the others alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.wording import says

from ..guards.stage import FROM_BUILTIN, Stage
from ..live.forge import MODULES
from ..live.webui import until

ENCODER = "clip.safetensors"
CUT = "cut.safetensors"
BARE = "bare.safetensors"
DEFAULT = "vae_manager_default_sd1"
OF_SD1 = {
    "input_blocks.0.0.weight": (320, 4, 3, 3),
    "input_blocks.1.0.in_layers.0.weight": (320,),
    "input_blocks.1.1.proj_in.weight": (320, 320, 1, 1),
    "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768),
    "middle_block.0.in_layers.0.weight": (1280,),
    "out.2.weight": (4, 320, 3, 3),
}


@pytest.fixture(scope="module")
def encoders(stage: Stage) -> Iterator[Path]:
    folder = stage.folder / "models" / "text_encoder"
    folder.mkdir(exist_ok=True)
    save_file({"text_model.encoder.layers.0.layer_norm1.bias": torch.ones(768)}, folder / ENCODER)
    (folder / CUT).write_bytes((folder / ENCODER).read_bytes()[:-8])
    stage.webui.refresh()
    yield folder
    stage.webui.set(**{MODULES: []})
    for path in [one for one in folder.iterdir() if one.is_file()]:
        path.unlink()
    stage.webui.refresh()
    stage.unknown()


@pytest.fixture(autouse=True)
def at_rest(stage: Stage) -> Iterator[None]:
    stage.begin(FROM_BUILTIN)
    yield
    stage.webui.set(**{MODULES: []})
    stage.unknown()


def chosen(stage: Stage) -> list[str]:
    return [Path(path).name for path in stage.webui.options()[MODULES]]


def pick(stage: Stage, word: str) -> None:
    """In the accordion, and wait until it is there."""
    status, answer = stage.webui.fire("vae_manager_txt2img_pick", word, "everywhere", answers=True)
    assert (status, answer["data"][1]) == (200, "")
    until(lambda: stage.webui.option("sd_vae") == word)


def test_text_encoders_stay(stage: Stage, encoders: Path) -> None:
    own = stage.picture()
    stage.webui.set(**{MODULES: [ENCODER]})
    encoded = stage.picture()
    assert not encoded.looks_like(own)
    pick(stage, stage.b)
    assert sorted(chosen(stage)) == sorted([ENCODER, stage.b])
    both = stage.picture()
    assert f"Module 2: {Path(ENCODER).stem}" in both.infotext
    assert both.vae == stage.b
    pick(stage, "None")
    assert chosen(stage) == [ENCODER]
    assert stage.picture().looks_like(encoded)


def test_an_override_of_the_vae_keeps_them(stage: Stage, encoders: Path) -> None:
    stage.webui.set(**{MODULES: [ENCODER, stage.b]})
    both = stage.picture()
    stage.webui.set(**{MODULES: [ENCODER]})
    given = stage.picture(override_settings={"sd_vae": stage.b})
    assert given.looks_like(both)
    assert chosen(stage) == [ENCODER]


def test_a_damaged_text_encoder_is_not_taken(stage: Stage, encoders: Path) -> None:
    before = stage.picture()
    assert stage.webui.ask("/sdapi/v1/options", {MODULES: [CUT]}) == (200, None)
    assert chosen(stage) == []
    assert CUT in stage.status()
    assert stage.picture().looks_like(before)
    assert sorted(path.name for path in encoders.iterdir()) == sorted([ENCODER, CUT])


def test_what_is_set_goes_in_at_once(stage: Stage) -> None:
    stage.webui.set(**{MODULES: [stage.b]})
    until(lambda: stage.status().startswith(f"In use: {stage.b}"))


@pytest.mark.parametrize("chosen_before", ["None", "a file"])
def test_after_an_override_the_choice_is_back_at_once(stage: Stage, chosen_before: str) -> None:
    """Forge itself would wait for the next picture."""
    word = stage.a if chosen_before == "a file" else chosen_before
    stage.webui.set(sd_vae=word)
    stage.picture()
    assert stage.picture(override_settings={"sd_vae": stage.b}).vae == stage.b
    told = "In use: Built-in" if word == "None" else f"In use: {word}"
    until(lambda: stage.status().startswith(told), patience=10)
    assert not says(stage.status(), "not-applied-yet")


def test_the_last_of_two_vaes_wins(stage: Stage) -> None:
    stage.webui.set(**{MODULES: [stage.a, stage.b]})
    assert stage.picture().vae == stage.b


def test_the_card_keeps_its_text_encoders(stage: Stage, encoders: Path) -> None:
    card = stage.folder / "models" / "Stable-diffusion" / f"{stage.first}.json"
    card.write_text(json.dumps({"vae_te": [stage.a, ENCODER], "notes": "mine"}), encoding="utf-8")
    try:
        action = {"do": "prefer", "checkpoint": stage.first, "word": stage.b}
        stage.webui.fire("vae_manager_txt2img_act", json.dumps(action), answers=True)
        until(lambda: stage.b in card.read_text(encoding="utf-8"))
        assert json.loads(card.read_text(encoding="utf-8")) == {"vae_te": [stage.b, ENCODER], "notes": "mine"}
    finally:
        card.unlink()


def test_the_switch_of_the_quick_settings_is_not_offered(stage: Stage) -> None:
    region = stage.webui.get("/vae-manager/state")["regions"]["settings"]
    assert 'data-vae-key="quick-settings" disabled' in region
    assert says(region, "forge-shows-it")


@pytest.fixture
def bare(stage: Stage) -> Iterator[str]:
    """A checkpoint of SD 1.x without a VAE of its own: what the network is, some of its tensors show."""
    folder = stage.folder / "models" / "Stable-diffusion"
    tensors = load_file(folder / f"{stage.first}.safetensors")
    network = {f"model.diffusion_model.{name}": torch.zeros(shape) for name, shape in OF_SD1.items()}
    others = {name: one for name, one in tensors.items() if not name.startswith("first_stage")}
    save_file({**others, **network}, folder / BARE)
    stage.webui.post("/sdapi/v1/refresh-checkpoints")
    yield Path(BARE).stem
    stage.webui.set(**{MODULES: []}, sd_model_checkpoint=stage.first)
    (folder / BARE).unlink()
    stage.webui.post("/sdapi/v1/refresh-checkpoints")
    stage.unknown()


def test_a_checkpoint_without_a_vae_takes_a_file(stage: Stage, bare: str) -> None:
    """Forge has to load the first one itself; the next is exchanged. Going back is refused: there is nothing."""
    expected = {}
    for name in (stage.a, stage.b):
        stage.webui.set(**{MODULES: [name]})
        expected[name] = stage.picture()
    stage.webui.set(**{MODULES: [stage.a]}, sd_model_checkpoint=BARE)
    assert stage.picture().looks_like(expected[stage.a])
    stage.webui.set(**{MODULES: [stage.b]})
    assert stage.picture().looks_like(expected[stage.b])
    status, answer = stage.webui.fire("vae_manager_txt2img_pick", "None", "everywhere", answers=True)
    assert status == 200, answer
    until(lambda: says(stage.status(), "no-own-vae"))
    assert stage.picture().looks_like(expected[stage.b])


def test_a_checkpoint_without_a_vae_takes_the_default_of_its_family(stage: Stage, bare: str) -> None:
    """Automatic then works for checkpoints of FLUX.1 and the like, which bring no VAE."""
    stage.webui.set(**{MODULES: [stage.c]})
    expected = stage.picture()
    stage.webui.set(**{MODULES: [], "sd_vae": "Automatic", DEFAULT: stage.c})
    try:
        stage.webui.set(sd_model_checkpoint=BARE)
        made = stage.picture()
    finally:
        stage.webui.set(**{DEFAULT: "None"})
    assert made.looks_like(expected)
    assert made.vae == stage.c
    assert chosen(stage) == []


def test_what_the_dropdown_gives_back_is_no_choice(stage: Stage) -> None:
    """The page sends it the setting, and its event comes back when the setting may be another one already."""
    if stage.is_neo:
        pytest.skip("only a person triggers the event of Neo's row")
    stage.webui.set(**{MODULES: [stage.b]})
    (sync,) = (one for one in stage.webui.get("/config")["dependencies"] if _sends_modules(stage, one))
    body = {"fn_index": sync["id"], "data": [], "session_hash": "tests"}
    status, answer = stage.webui.ask("/run/predict", body)
    assert status == 200
    assert answer["data"][0]["value"] == [stage.b]
    stage.webui.set(**{MODULES: []})
    change = next(
        one
        for one in stage.webui.get("/config")["dependencies"]
        if one["inputs"] == sync["outputs"] and not one["outputs"] and one["backend_fn"]
    )
    for expected in ([], [stage.b]):  # the echo; then a person
        stage.webui.ask("/run/predict", {"fn_index": change["id"], "data": [[stage.b]], "session_hash": "tests"})
        assert chosen(stage) == expected


def _sends_modules(stage: Stage, event: dict[str, Any]) -> bool:
    """The page's event that sets Forge's own dropdown."""
    components = {one["id"]: one["props"] for one in stage.webui.get("/config")["components"]}
    by = [components[target].get("elem_id") for target, _ in event["targets"] if target in components]
    labels = [components[one].get("label") for one in event["outputs"]]
    return by == ["vae_manager_txt2img_sync"] and labels == ["VAE / Text Encoder"]
