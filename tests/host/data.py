"""A data folder for the stand-in: models/Stable-diffusion with small checkpoints, models/VAE with no file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tests.vaes import BASE

CHECKPOINTS = ("demo-a", "demo-b")


def make_data_dir(folder: Path, checkpoints: Sequence[str] = CHECKPOINTS) -> Path:
    """Makes what is not there yet, and gives the folder.

    Each checkpoint holds the tiny base VAE and a marker of its own, from which its pictures depend; one whose name
    ends in `-xl` passes for an SDXL one.
    """
    (folder / "models" / "VAE").mkdir(parents=True, exist_ok=True)
    models = folder / "models" / "Stable-diffusion"
    models.mkdir(exist_ok=True)
    for number, name in enumerate(checkpoints):
        path = models / f"{name}.safetensors"
        if not path.exists():
            save_file(_checkpoint(number, sdxl=name.endswith("-xl")), path)
    return folder


def _checkpoint(number: int, *, sdxl: bool) -> dict[str, torch.Tensor]:
    tensors = {f"first_stage_model.{key}": value for key, value in load_file(BASE).items()}
    tensors["marker"] = torch.tensor([float(number)])
    text_model = "conditioner.embedders.0.marker" if sdxl else "cond_stage_model.transformer.marker"
    tensors[text_model] = torch.zeros(1)
    return tensors
