"""The components of a checkpoint go into Forge's list of modules, beside what is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.files.engines.small import chroma, flux_vae, t5
from tests.library.vaes import sha256

from ..guards.stage import FROM_BUILTIN, Stage
from ..live.forge import MODULES
from ..live.webui import ACT, until

CHECKPOINT = "chroma-by-another-name.safetensors"


@dataclass
class Parts:
    vae: Path
    encoder: Path


@pytest.fixture
def parts(stage: Stage) -> Iterator[Parts]:
    """A checkpoint of Chroma is chosen; its components are here under odd names, the VAE known by its hash."""
    stage.begin(FROM_BUILTIN)
    before = stage.webui.options()["sd_model_checkpoint"]
    checkpoint = chroma(stage.folder / "models" / "Stable-diffusion" / CHECKPOINT)
    encoder = t5(stage.folder / "models" / "text_encoder" / "odd.safetensors")
    vae = flux_vae(stage.vaes / "strange.safetensors")
    catalogue = stage.folder / "vae-manager" / "catalogue.yaml"
    catalogue.parent.mkdir(exist_ok=True)
    catalogue.write_text(f"[{{id: own, name: Own, family: flux1, sha256: {sha256(vae)}}}]", encoding="utf-8")
    stage.webui.refresh()
    stage.webui.ask("/sdapi/v1/refresh-checkpoints", {})
    stage.webui.set(sd_model_checkpoint=CHECKPOINT)
    yield Parts(vae, encoder)
    stage.webui.set(**{MODULES: [], "sd_model_checkpoint": before})
    for path in (checkpoint, encoder, vae, catalogue):
        path.unlink()
    stage.webui.refresh()
    stage.webui.ask("/sdapi/v1/refresh-checkpoints", {})
    stage.unknown()


def region(stage: Stage) -> str:
    return str(stage.webui.get("/vae-manager/state")["regions"]["needs"])


def use(stage: Stage) -> None:
    action = json.dumps({"do": "get-needs", "accept": False})
    assert stage.webui.fire(ACT, action, answers=True)[0] == 200


def listed(stage: Stage) -> list[str]:
    return [str(path) for path in stage.webui.options()[MODULES]]


def test_they_are_put_into_the_list(stage: Stage, parts: Parts) -> None:
    until(lambda: "strange.safetensors" in region(stage))
    use(stage)
    until(lambda: listed(stage) == [str(parts.vae), str(parts.encoder)])
    assert stage.webui.option("sd_vae") == parts.vae.name
    until(lambda: "data-vae-do" not in region(stage))


def test_other_files_of_the_list_stay_and_another_vae_does_not(stage: Stage, parts: Parts) -> None:
    other = t5(parts.encoder.with_name("second.safetensors"), fill=b"\x05")
    stage.webui.refresh()
    stage.webui.set(**{MODULES: [other.name, stage.b]})
    until(lambda: "strange.safetensors" in region(stage))
    use(stage)
    until(lambda: str(parts.vae) in listed(stage))
    assert sorted(listed(stage)) == sorted([str(parts.vae), str(other)]), "its own T5 stays, and no second one comes"
    other.unlink()


def test_a_file_whose_name_the_webui_lists_for_another_one_is_refused(stage: Stage, parts: Parts) -> None:
    """A page that loads would choose the other one."""
    twin = t5(parts.encoder.parent / "sub" / parts.vae.name)
    parts.encoder.unlink()
    try:
        stage.webui.refresh()
        until(lambda: parts.vae.name in region(stage))
        status, answer = stage.webui.fire(ACT, json.dumps({"do": "get-needs", "accept": False}), answers=True)
        assert status == 200
        assert "listed-twice" in str(answer)
        assert listed(stage) == []
    finally:
        twin.unlink()
        twin.parent.rmdir()
        t5(parts.encoder)


def test_the_list_of_the_preset_keeps_its_own_encoder(stage: Stage, parts: Parts) -> None:
    if not stage.is_neo:
        pytest.skip("Forge has one list")
    own = t5(parts.encoder.with_name("zz-own.safetensors"), fill=b"\x05")
    stage.webui.refresh()
    stage.webui.set(**{f"{MODULES}_flux": [str(own)]})
    until(lambda: "strange.safetensors" in region(stage))
    use(stage)
    until(lambda: str(parts.vae) in listed(stage))
    of_preset = stage.webui.options()[f"{MODULES}_flux"]
    assert sorted(of_preset) == sorted([str(parts.vae), str(own)])
    stage.webui.set(**{f"{MODULES}_flux": []})
    own.unlink()


@pytest.mark.parametrize("has_vae", [True, False])
def test_the_list_of_another_preset_keeps_its_vae(stage: Stage, parts: Parts, has_vae: bool) -> None:
    """Of the one that is shown, too: a checkpoint that was set through the API may be of another engine. Without a VAE
    of its own that list gets the files, since the next page brings it into force."""
    if not stage.is_neo:
        pytest.skip("Forge has one list")
    own = [str(stage.vaes / stage.a)] if has_vae else []
    shown, other = (f"{MODULES}_{preset}" for preset in ("sd", "xl"))
    stage.webui.set(**{shown: own, other: own})
    until(lambda: "strange.safetensors" in region(stage))
    use(stage)
    until(lambda: str(parts.vae) in listed(stage))
    options = stage.webui.options()
    stage.webui.set(**{shown: [], other: [], f"{MODULES}_flux": []})
    assert options[other] == own
    assert options[shown] == (own if has_vae else options[MODULES])
