"""A file that the WebUI cannot load, converted: the pictures are those of the VAE that it was made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vae_manager.files.conversion import convert
from vae_manager.maintenance import key_of

from ..live.webui import until
from .stage import FROM_FILE, Stage

MADE = "guard-made"
"""How the names of all files begin that are made here."""


def _as_diffusers(source: Path, target: Path) -> None:
    convert(source, target.with_suffix(".safetensors"), layout="diffusers")


def _as_prefixed(source: Path, target: Path) -> None:
    """A pickle too, with the names that a checkpoint has."""
    import torch
    from safetensors.torch import load_file

    tensors = {f"first_stage_model.{name}": tensor for name, tensor in load_file(source).items()}
    torch.save({"state_dict": tensors}, target.with_suffix(".ckpt"))


WRITE: dict[str, Callable[[Path, Path], None]] = {"diffusers": _as_diffusers, "prefixed pickle": _as_prefixed}


@pytest.fixture
def made_in(stage: Stage) -> Iterator[Path]:
    """That of the VAEs; what is made there is gone afterwards."""
    yield stage.vaes
    stage.webui.set(sd_vae="None")
    for path in stage.vaes.glob(f"{MADE}*"):
        path.unlink()
    stage.webui.refresh()
    stage.unknown()


@pytest.mark.parametrize("kind", WRITE)
def test_converted_and_used_by_one_click(stage: Stage, made_in: Path, kind: str) -> None:
    stage.begin(FROM_FILE)
    expected = stage.picture(override_settings={"sd_vae": stage.b})
    WRITE[kind](made_in / stage.b, made_in / MADE)
    (unloadable,) = made_in.glob(f"{MADE}*")
    stage.webui.refresh()
    stage.webui.state(library="")
    action = {"do": "convert-file", "file": key_of(unloadable), "use": True}
    status, answer = stage.webui.fire("vae_manager_txt2img_act", json.dumps(action), answers=True)
    assert (status, answer["data"]) == (200, [""])
    until(lambda: len(list(made_in.glob(f"{MADE}*"))) == 2)
    (made,) = set(made_in.glob(f"{MADE}*")) - {unloadable}
    until(lambda: stage.webui.option("sd_vae") == made.name)
    picture = stage.picture()
    assert picture.vae == made.name
    assert picture.looks_like(expected)


def test_the_vae_out_of_a_checkpoint_is_built_in(stage: Stage, made_in: Path) -> None:
    stage.begin(FROM_FILE)
    expected = stage.picture(override_settings={"sd_vae": "None"})
    checkpoint = stage.folder / "models" / "Stable-diffusion" / f"{stage.first}.safetensors"
    convert(checkpoint, made_in / f"{MADE}.safetensors")
    stage.webui.refresh()
    stage.webui.choose(f"{MADE}.safetensors")
    picture = stage.picture()
    assert picture.vae == f"{MADE}.safetensors"
    assert picture.looks_like(expected)
