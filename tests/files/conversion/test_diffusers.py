"""Conversions against diffusers' own loader, for the same file: runs where diffusers is installed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vae_manager.files import inspect
from vae_manager.files.conversion import convert
from vae_manager.files.tensor_data import fingerprints

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from safetensors.torch import load_file, save_file  # noqa: E402

SD1 = {"block_out_channels": (8, 16, 32, 32), "layers_per_block": 2, "norm_num_groups": 8, "latent_channels": 4}
CONFIGS: dict[str, dict[str, Any]] = {
    "SD 1.x": {**SD1, "scaling_factor": 0.18215},
    "SDXL": {**SD1, "scaling_factor": 0.13025, "force_upcast": True},
    "FLUX.1": {**SD1, "latent_channels": 16, "use_quant_conv": False, "use_post_quant_conv": False},
    "tiny": {"block_out_channels": (8, 16), "layers_per_block": 1, "norm_num_groups": 4},
    "deep": {"block_out_channels": (8, 8, 16, 16, 16), "layers_per_block": 3, "norm_num_groups": 8},
}


@dataclass(frozen=True)
class Saved:
    """A VAE as diffusers saved it: `folder` with its config and weights."""

    vae: Any
    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "diffusion_pytorch_model.safetensors"

    def by_diffusers(self, path: Path) -> Any:
        """The VAE that diffusers' own loader makes of a file in the WebUI's layout."""
        return diffusers.AutoencoderKL.from_single_file(
            str(path), config=str(self.folder), local_files_only=True, torch_dtype=self.vae.dtype
        )


@pytest.fixture(params=CONFIGS)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Saved:
    torch.manual_seed(1)
    config = CONFIGS[request.param]
    levels = len(config["block_out_channels"])
    vae = diffusers.AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * levels, up_block_types=["UpDecoderBlock2D"] * levels, **config
    ).eval()
    with torch.no_grad():
        for number, parameter in enumerate(vae.parameters()):  # what is zero or one at first could be exchanged unseen
            parameter += 0.01 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
    folder = tmp_path / "theirs"
    vae.save_pretrained(folder)
    return Saved(vae, folder)


def test_to_the_webuis_layout(saved: Saved, tmp_path: Path) -> None:
    """diffusers reads our file back as the same VAE: weights, and pictures, bit for bit."""
    ours = convert(saved.file, tmp_path / "ours.safetensors").target
    assert inspect(ours).problems == ()
    loaded = saved.by_diffusers(ours)
    assert same(loaded.state_dict(), saved.vae.state_dict())
    assert same(pictures(loaded), pictures(saved.vae))


def test_diffusers_own_conversion_takes_all_of_ours(saved: Saved, tmp_path: Path) -> None:
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    ours = load_file(convert(saved.file, tmp_path / "ours.safetensors").target)
    theirs = convert_ldm_vae_checkpoint(dict(ours), dict(saved.vae.config))
    assert len(theirs) == len(ours)
    assert same(theirs, saved.vae.state_dict())


def test_there_and_back(saved: Saved, tmp_path: Path) -> None:
    ours = convert(saved.file, tmp_path / "ours.safetensors").target
    again = tmp_path / "again"
    again.mkdir()
    convert(ours, again / saved.file.name, layout="diffusers")
    (again / "config.json").write_bytes((saved.folder / "config.json").read_bytes())
    loaded = diffusers.AutoencoderKL.from_pretrained(again, local_files_only=True)
    assert same(loaded.state_dict(), saved.vae.state_dict())
    back = convert(again / saved.file.name, tmp_path / "back.safetensors").target
    assert same(load_file(back), load_file(ours))
    assert len({fingerprints(path) for path in (saved.file, ours, again / saved.file.name, back)}) == 1


def test_out_of_a_checkpoint(saved: Saved, tmp_path: Path) -> None:
    ours = convert(saved.file, tmp_path / "ours.safetensors").target
    whole = tmp_path / "whole.safetensors"
    others = {"model.diffusion_model.out.2.weight": torch.ones(4, 8, 3, 3), "model_ema.decay": torch.tensor(0.5)}
    save_file({**others, **{f"first_stage_model.{name}": one for name, one in load_file(ours).items()}}, whole)
    out = convert(whole, tmp_path / "out.safetensors").target
    assert same(load_file(out), load_file(ours))
    assert same(saved.by_diffusers(whole).state_dict(), saved.by_diffusers(out).state_dict())


def test_older_names(saved: Saved, tmp_path: Path) -> None:
    """As diffusers named the attention before 0.15; its own loader reads them still."""
    old = tmp_path / "old"
    old.mkdir()
    words = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = {}
    for name, tensor in load_file(saved.file).items():
        for new, older in words.items():
            name = name.replace(new, older)
        tensors[name] = tensor
    save_file(tensors, old / saved.file.name, {"format": "pt"})
    (old / "config.json").write_bytes((saved.folder / "config.json").read_bytes())
    assert same(
        diffusers.AutoencoderKL.from_pretrained(old, local_files_only=True).state_dict(), saved.vae.state_dict()
    )
    ours = convert(old / saved.file.name, tmp_path / "ours.safetensors").target
    assert same(saved.by_diffusers(ours).state_dict(), saved.vae.state_dict())


@pytest.mark.parametrize("saved", ["SD 1.x"], indirect=True)
@pytest.mark.parametrize("kind", ["pickle", "legacy pickle"])
def test_a_pickle(saved: Saved, tmp_path: Path, kind: str) -> None:
    bin_file = tmp_path / "diffusion_pytorch_model.bin"
    torch.save(saved.vae.state_dict(), bin_file, _use_new_zipfile_serialization=kind == "pickle")
    ours = convert(bin_file, tmp_path / "ours.safetensors").target
    assert same(saved.by_diffusers(ours).state_dict(), saved.vae.state_dict())


@pytest.mark.parametrize("saved", ["SD 1.x", "FLUX.1"], indirect=True)
@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_rounded(saved: Saved, tmp_path: Path, dtype: str) -> None:
    rounded = {"fp16": torch.float16, "bf16": torch.bfloat16}[dtype]
    ours = convert(saved.file, tmp_path / "ours.safetensors", dtype=dtype).target
    expected = {name: one.to(rounded) for name, one in saved.vae.state_dict().items()}
    saved.vae.to(rounded)
    assert same(saved.by_diffusers(ours).state_dict(), expected)


def same(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


def pictures(vae: Any) -> dict[str, Any]:
    """What it makes of one latent, and of one picture."""
    generator = torch.Generator().manual_seed(2)
    latent = torch.randn(1, vae.config.latent_channels, 6, 4, generator=generator)
    picture = torch.rand(1, 3, 32, 48, generator=generator) * 2 - 1
    with torch.inference_mode():
        return {"decoded": vae.decode(latent).sample, "encoded": vae.encode(picture).latent_dist.parameters}
