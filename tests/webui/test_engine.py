"""The family of the checkpoint: by the loaded model, by its file before that, and what is offered for it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vae_manager.catalogue.engines import ENGINES
from vae_manager.files.headers import TensorTable
from vae_manager.records.verdict import VaeSignature
from vae_manager.webui.hosts.common.checkpoint_metadata import family
from vae_manager.webui.ui.page import Page

from ..files.engines.cases import UNET, below, checkpoints, sparse, table
from .host import PlainHost


def model(name: str, **flags: bool) -> Any:
    """A loaded model of a class of this name."""
    return type(name, (), flags)()


@pytest.mark.parametrize(
    ("loaded", "expected"),
    [
        (model("LatentDiffusion", is_sd1=True), "sd1"),
        (model("LatentDiffusion", is_sd2=True), "sd1"),
        (model("DiffusionEngine", is_sdxl=True), "sdxl"),
        (model("SD3Inferencer", is_sd3=True), "sd3"),
        (model("Mugen", is_sdxl=True), "flux2"),
        (model("Anima", is_wan=True), "qwen"),
        (model("PiD"), None),
        (model("Unheard"), None),
        (None, None),
    ],
)
def test_a_loaded_model_has_its_family(loaded: Any, expected: str | None) -> None:
    assert family(loaded) == expected


def test_a_model_of_every_class_has_the_family_of_its_engine() -> None:
    for engine in ENGINES.values():
        for name in engine.classes:
            assert family(model(name)) == engine.family, name


# -- the file ----------------------------------------------------------------------------------------------------------
@pytest.fixture
def detection(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Forge's detection, without a Forge."""
    stub = ModuleType("modules_forge")
    stub.main_entry = ModuleType("modules_forge.main_entry")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "modules_forge", stub)
    name = "vae_manager.webui.hosts.forge.detection"
    monkeypatch.delitem(sys.modules, name, raising=False)
    from vae_manager.webui.hosts.forge import detection

    yield detection
    sys.modules.pop(name, None)


def test_a_checkpoints_file_has_the_family_of_its_engine(detection: Any, tmp_path: Path) -> None:
    for case in checkpoints():
        path = sparse(tmp_path / f"{case.name}.safetensors".replace(",", ""), case.tensors)
        expected = case.families[0] if len(case.families) == 1 else None
        assert detection.family_of(path) == expected, case.name
        path.unlink()


def test_a_checkpoints_file_has_the_signature_of_its_vae(detection: Any, tmp_path: Path) -> None:
    mugen = next(case for case in checkpoints() if case.name == "Mugen")
    path = sparse(tmp_path / "a.safetensors", mugen.tensors)
    assert detection.signature_of(path) == VaeSignature(TensorTable.of(table("vae-flux2")), "flux2")
    assert detection.signature_of(tmp_path / "missing.safetensors") == VaeSignature(None)


def test_pixart_is_not_sd3(detection: Any, tmp_path: Path) -> None:
    """Its last layer has the name of SD 3's."""
    last = {"final_layer.adaLN_modulation.1.bias": table("sd3-medium")["final_layer.adaLN_modulation.1.bias"]}
    path = sparse(tmp_path / "a.safetensors", {**below(UNET, last), **below(UNET, table("diffusers-pixart"))})
    assert detection.family_of(path) is None


# -- the page ----------------------------------------------------------------------------------------------------------
def entries(page: Page, region: str) -> list[str]:
    return [part.split('"')[0] for part in page.state({})["regions"][region].split('data-vae-entry="')[1:]]


def test_a_checkpoint_of_an_unknown_family_gets_no_offers(page: Page, host: PlainHost) -> None:
    assert entries(page, "offers")
    host.family = None
    assert entries(page, "offers") == []


def test_offers_of_sd1_stand_while_there_is_no_checkpoint(page: Page, host: PlainHost) -> None:
    before = entries(page, "offers")
    host.family = host.checkpoint = None
    assert entries(page, "offers") == before
