"""On a host that loads VAEs of any layout, all of them bring the same weights; the file's own code is never run."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import save_file

from tests.vaes.autoencoder import TINY, AutoencoderKL
from vae_manager.errors import RefusedError
from vae_manager.files.layouts import diffusers_name, up_levels
from vae_manager.records.verdict import REFORGE
from vae_manager.swap import Swapper, named_tensors


def in_layout(tensors: dict[str, torch.Tensor], layout: str) -> dict[str, torch.Tensor]:
    if layout == "prefixed":
        return {f"first_stage_model.{name}": tensor for name, tensor in tensors.items()}
    if layout == "diffusers":
        levels, found = up_levels(tensors), {}
        for name, tensor in tensors.items():
            theirs = diffusers_name(name, levels)
            assert theirs is not None
            found[theirs] = tensor.flatten(1) if ".attentions." in theirs and tensor.dim() == 4 else tensor
        return found
    return tensors


@pytest.mark.parametrize("container", ["safetensors", "zip", "legacy"])
@pytest.mark.parametrize("layout", ["ldm", "prefixed", "diffusers"])
def test_the_weights_are_those_of_the_file(tmp_path: Path, layout: str, container: str) -> None:
    torch.manual_seed(1)
    module = AutoencoderKL(TINY)
    wanted = {name: torch.randn_like(place) for name, place in named_tensors(module).items()}
    path = tmp_path / f"a.{'safetensors' if container == 'safetensors' else 'pt'}"
    tensors = in_layout(wanted, layout)
    if container == "safetensors":
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    else:
        torch.save({"state_dict": tensors}, path, _use_new_zipfile_serialization=container == "zip")
    swapper = Swapper(lambda: 1 << 30, lambda: 0, host=REFORGE)
    with swapper.put(module, swapper.prepare(path, module, torch.float32)):
        pass
    assert all(torch.equal(place, wanted[name]) for name, place in named_tensors(module).items())


def test_what_was_displaced_is_kept_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    """A file lists its tensors in another order than the model does: going back to it reads nothing all the same."""
    module, paths = AutoencoderKL(TINY), [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for path in paths:
        tensors = {name: torch.randn_like(place) for name, place in named_tensors(module).items()}
        save_file(in_layout(dict(reversed(tensors.items())), "diffusers"), path)
    swapper = Swapper(lambda: 1 << 30, lambda: 0, host=REFORGE)
    for path in paths:
        with swapper.put(module, swapper.prepare(path, module, torch.float32)) as displaced:
            pass
        swapper.keep(displaced)
    assert swapper.prepare(paths[0], module, torch.float32).from_memory


def test_a_checkpoint_is_none(tmp_path: Path) -> None:
    tensors = {f"first_stage_model.{name}": place for name, place in named_tensors(AutoencoderKL(TINY)).items()}
    save_file({**tensors, "model.diffusion_model.out.weight": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(RefusedError, match="whole checkpoint"):
        Swapper(lambda: 0, lambda: 0, host=REFORGE).check(tmp_path / "a.safetensors", AutoencoderKL(TINY))
