"""Forge's loader gets what is positively a text encoder, or a VAE that was read; and no pickle at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from ..files.gadgets import SYSTEM
from ..files.torch_files import Made, as_zip, call, text
from ..guards.stage import FROM_BUILTIN, FROM_FILE, Stage
from ..guards.test_unpicklers import unpickled, watched  # noqa: F401 - a fixture
from ..live.forge import MODULES

CLIP = "text_model.encoder.layers.0.layer_norm1.bias"
ENCODER = {CLIP: torch.ones(768)}
NAME = "handed.safetensors"
ODD = {
    "a VAE of no known layout": {
        "decoder.conv_in.weight": torch.ones(8, 4, 3, 3),
        "decoder.blocks.0.weight": torch.ones(2),
    },
    "half a VAE of no known layout": {"decoder.conv_in.weight": torch.ones(8, 4, 3, 3)},
    "a VAE and a text encoder": {**ENCODER, "decoder.conv_in.weight": torch.ones(8, 4, 3, 3)},
    "a LoRA": {"lora_unet_mid_block_attentions_0.lora_down.weight": torch.ones(4, 4)},
    "an embedding": {"emb_params": torch.ones(2, 768)},
    "nothing known": {"weight": torch.ones(2)},
}


@pytest.fixture(params=["VAE", "text_encoder"])
def folder(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Path]:
    folder = stage.folder / "models" / str(request.param)
    folder.mkdir(exist_ok=True)
    yield folder
    stage.webui.set(**{MODULES: []})
    for path in folder.glob("handed*"):
        path.unlink()
    stage.webui.refresh()
    stage.unknown()


def chosen(stage: Stage) -> list[str]:
    return [Path(path).name for path in stage.webui.options()[MODULES]]


@pytest.mark.parametrize("kind", ODD)
def test_what_is_neither_is_refused(stage: Stage, folder: Path, kind: str) -> None:
    stage.begin(FROM_BUILTIN)
    before = stage.picture()
    save_file(ODD[kind], folder / NAME)
    stage.webui.refresh()
    assert stage.webui.ask("/sdapi/v1/options", {MODULES: [NAME]}) == (200, None)
    assert chosen(stage) == []
    assert NAME in stage.status()
    assert stage.picture().looks_like(before)
    status, answer = stage.try_picture(override_settings={MODULES: [NAME]})
    assert status == 500
    assert NAME in str(answer["errors"])
    assert stage.picture().looks_like(before)


def test_what_is_neither_leaves_the_vae_in_its_place(stage: Stage, folder: Path) -> None:
    before = stage.begin(FROM_FILE)
    save_file(ODD["a VAE of no known layout"], folder / NAME)
    stage.webui.refresh()
    stage.webui.ask("/sdapi/v1/options", {MODULES: [NAME]})
    assert chosen(stage) == [stage.a]
    assert stage.picture().looks_like(before)


def test_a_pickled_text_encoder_is_taken_and_a_hostile_one_is_not(stage: Stage, folder: Path, tmp_path: Path) -> None:
    stage.begin(FROM_BUILTIN)
    own, marker = stage.picture(), tmp_path / "code-has-run"
    save_file(ENCODER, folder / NAME)
    torch.save(ENCODER, folder / "handed.pt")
    hostile = call(SYSTEM, text(f"touch '{marker}'"))
    (folder / "handed-hostile.pt").write_bytes(as_zip(Made(b"\x80\x02" + hostile + b".", {})))
    stage.webui.refresh()
    stage.webui.set(**{MODULES: [NAME]})
    expected = stage.picture()
    assert not expected.looks_like(own)
    stage.webui.set(**{MODULES: ["handed.pt"]})
    assert chosen(stage) == ["handed.pt"]
    assert stage.picture().looks_like(expected)
    stage.webui.ask("/sdapi/v1/options", {MODULES: ["handed-hostile.pt"]})
    assert chosen(stage) == []
    stage.picture()
    assert not marker.exists()


def test_no_unpickler_reads_what_forges_loader_is_given(watched: Stage) -> None:  # noqa: F811
    """A VAE for a checkpoint that has none of its own, and a text encoder."""
    checkpoints, vaes = watched.folder / "models" / "Stable-diffusion", watched.vaes
    watched.webui.set(**{MODULES: [watched.b]})
    expected = watched.picture()
    tensors = load_file(checkpoints / f"{watched.first}.safetensors")
    save_file({name: one for name, one in tensors.items() if not name.startswith("first_stage")}, checkpoints / NAME)
    torch.save(load_file(vaes / watched.b), vaes / "handed-vae.pt", _use_new_zipfile_serialization=False)
    torch.save(ENCODER, vaes / "handed-encoder.pt")
    watched.webui.post("/sdapi/v1/refresh-checkpoints")
    watched.webui.refresh()
    unpickled(watched)
    watched.webui.set(**{MODULES: ["handed-vae.pt"]}, sd_model_checkpoint=NAME)
    assert watched.picture().looks_like(expected)
    watched.webui.set(**{MODULES: ["handed-vae.pt", "handed-encoder.pt"]})
    assert not watched.picture().looks_like(expected)
    assert unpickled(watched) == []
