"""Three VAEs that differ from each other and from the one in the checkpoints."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..live.files import write_sd1_vae
from ..vaes import BASE, OTHER, TUNED

GOOD = ("guard-a.safetensors", "guard-b.safetensors", "guard-c.safetensors")


def write_tiny(folder: Path) -> None:
    """For the stand-in."""
    from safetensors.torch import load_file, save_file

    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(TUNED, folder / GOOD[0])
    shutil.copyfile(OTHER, folder / GOOD[1])
    vivid = {key: value * 1.5 if "conv_out" in key else value for key, value in load_file(BASE).items()}
    save_file(vivid, folder / GOOD[2])


def write_sd1(folder: Path) -> None:
    """For a real WebUI: of the true SD 1.x layout, 335 MB each."""
    for seed, name in enumerate(GOOD, 11):
        write_sd1_vae(folder / name, seed=seed)
