"""Forge's loader gets recognised text encoders and VAEs that were read, and never a pickle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vae_manager.files import inspect
from vae_manager.records.verdict import FORGE, Refused, VaeSignature, verdict

from ..files.gadgets import SYSTEM
from ..files.hostile import safetensors_first
from ..files.torch_files import Made, as_zip, call, text
from ..guards.stage import FROM_BUILTIN, FROM_FILE, Stage, assert_told
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


def test_a_vae_that_is_not_recognised_by_the_loader_is_refused(stage: Stage, folder: Path) -> None:
    """Forge's family looks for one tensor, and silently leaves out a file without it."""
    stage.begin(FROM_BUILTIN)
    before = stage.picture()
    tensors = load_file(stage.vaes / stage.b)
    del tensors["decoder.conv_in.weight"]
    save_file(tensors, folder / NAME)
    stage.webui.refresh()
    assert stage.webui.ask("/sdapi/v1/options", {MODULES: [NAME]}) == (200, None)
    assert chosen(stage) == []
    assert_told(stage.status(), NAME)
    assert stage.picture().looks_like(before)
    for override in ({MODULES: [NAME]}, {"sd_vae": NAME}):
        status, answer = stage.try_picture(override_settings=override)
        if folder.name != "VAE" and "sd_vae" in override and status == 200:
            continue  # Forge knows no such VAE, and takes its own
        assert status == 500
        assert_told(str(answer["errors"]), NAME)
    assert stage.picture().looks_like(before)


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


def test_a_whole_checkpoint_is_refused_for_the_reason_of_its_row(stage: Stage, folder: Path) -> None:
    stage.begin(FROM_BUILTIN)
    vae = load_file(stage.vaes / stage.b)
    wide = vae["decoder.conv_in.weight"]
    vae["decoder.conv_in.weight"] = wide.repeat(1, 4, 1, 1)
    own = {f"first_stage_model.{name}": tensor for name, tensor in vae.items()}
    save_file({**own, "model.diffusion_model.out.2.weight": torch.ones(4, 8, 3, 3)}, folder / NAME)
    row = verdict(inspect(folder / NAME), FORGE, VaeSignature(inspect(stage.vaes / stage.b).tensors))
    assert isinstance(row, Refused)
    stage.webui.refresh()
    assert stage.webui.ask("/sdapi/v1/options", {MODULES: [NAME]}) == (200, None)
    assert chosen(stage) == []
    assert str(row.reason.message) in stage.status()


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
    """Hand over a VAE for a checkpoint without one, and a text encoder."""
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


@pytest.fixture
def emptied(watched: Stage) -> Iterator[Path]:  # noqa: F811
    """The VAE folder, emptied of a test's files afterwards."""
    watched.webui.set(**{MODULES: []}, sd_model_checkpoint=watched.first)
    yield watched.vaes
    watched.webui.set(**{MODULES: []})
    for path in watched.vaes.glob("handed*"):
        path.unlink()
    watched.webui.refresh()


def test_what_is_read_in_two_ways_is_read_in_ours(watched: Stage, emptied: Path, tmp_path: Path) -> None:  # noqa: F811
    """Forge goes by a file's ending: by that of a pickle it would run the command of this safetensors file."""
    marker = tmp_path / "code-has-run"
    (emptied / "handed.pt").write_bytes(safetensors_first(CLIP, 768, f"touch '{marker}'"))
    watched.webui.refresh()
    unpickled(watched)
    watched.webui.ask("/sdapi/v1/options", {MODULES: ["handed.pt"]})
    watched.try_picture()
    watched.try_picture(override_settings={MODULES: ["handed.pt"]})
    assert not marker.exists()
    assert unpickled(watched) == []


@pytest.mark.parametrize("ending", ["pt", "bin", "safetensors.ckpt"])
def test_a_safetensors_file_of_any_ending_is_used(watched: Stage, emptied: Path, ending: str) -> None:  # noqa: F811
    save_file(ENCODER, emptied / NAME)
    (emptied / f"handed-2.{ending}").write_bytes((emptied / NAME).read_bytes())
    watched.webui.refresh()
    watched.webui.set(**{MODULES: [NAME]})
    expected = watched.picture()
    unpickled(watched)
    watched.webui.set(**{MODULES: [f"handed-2.{ending}"]})
    assert watched.picture().looks_like(expected)
    assert unpickled(watched) == []


def test_no_fault_of_ours_leaves_a_pickle_to_forge(watched: Stage, emptied: Path) -> None:  # noqa: F811
    torch.save(ENCODER, emptied / "handed-at-fault.pt")
    watched.webui.refresh()
    watched.webui.set(**{MODULES: ["handed-at-fault.pt"]})
    lines = """
import vae_manager.webui.hosts.forge.load_hooks as ways_in

answer = ways_in.LoadHooks.read_module

def fails(*args):
    raise ZeroDivisionError

ways_in.LoadHooks.read_module = fails
inside_package.kept = answer
answer = None
"""
    status, answer = watched.webui.ask("/inside", {"lines": f"import inside_package\n{lines}"})
    assert status == 200, answer
    unpickled(watched)
    try:
        status, _ = watched.try_picture()
    finally:
        restore = """
import inside_package
import vae_manager.webui.hosts.forge.load_hooks as ways_in

ways_in.LoadHooks.read_module = inside_package.kept
answer = None
"""
        watched.webui.ask("/inside", {"lines": restore})
    assert status == 500
    assert unpickled(watched) == []


def test_a_text_encoder_with_an_empty_tensor_is_read(watched: Stage, emptied: Path) -> None:  # noqa: F811
    torch.save({**ENCODER, "empty": torch.empty(0, 3)}, emptied / "handed-with-empty.pt")
    watched.webui.refresh()
    unpickled(watched)
    watched.webui.set(**{MODULES: ["handed-with-empty.pt"]})
    watched.picture()
    assert unpickled(watched) == []


@pytest.mark.parametrize("hostile", [True, False])
def test_the_checkpoint_merger_reads_no_pickle(
    watched: Stage,  # noqa: F811
    emptied: Path,
    tmp_path: Path,
    hostile: bool,
) -> None:
    if watched.is_neo:
        pytest.skip("the checkpoint merger of Neo takes no VAE file")
    marker, path = tmp_path / "code-has-run", emptied / "handed.pt"
    if hostile:
        code = call(SYSTEM, text(f"touch '{marker}'"))
        path.write_bytes(as_zip(Made(b"\x80\x02" + code + b".", {})))
    else:
        torch.save(load_file(emptied / watched.b), path, _use_new_zipfile_serialization=False)
    unpickled(watched)
    lines = f"""
from modules import sd_vae
answer = sorted(sd_vae.load_torch_file({str(path)!r}))
"""
    status, answer = watched.webui.ask("/inside", {"lines": lines})
    assert not marker.exists()
    assert unpickled(watched) == []
    assert status == (500 if hostile else 200)
    assert hostile or answer == sorted(load_file(emptied / watched.b))
