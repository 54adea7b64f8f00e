"""Three VAEs that differ from each other and from the one in the checkpoints, and torch files of their weights."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def _weights(source: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(source))


def _plain(source: Path, target: Path) -> None:
    """Without what the newest torch adds: its archive has these entries in 2.1."""
    import torch

    new = target.with_suffix(".new")
    torch.save(_weights(source), new)
    with zipfile.ZipFile(new) as archive, zipfile.ZipFile(target, "w") as older:
        for label in archive.namelist():
            if not label.rpartition("/")[2].startswith("."):
                older.writestr(label, archive.read(label))
    new.unlink()


def _newest(source: Path, target: Path) -> None:
    """A1111's own reader refuses the entries whose names begin with a dot."""
    import torch

    torch.save(_weights(source), target)
    with zipfile.ZipFile(target) as archive:
        assert any(label.endswith("/.format_version") for label in archive.namelist())


def _legacy(source: Path, target: Path) -> None:
    import torch

    torch.save(_weights(source), target, _use_new_zipfile_serialization=False)


def _numpy_scalars(source: Path, target: Path) -> None:
    import numpy
    import torch

    more = {"loss": numpy.float64(0.5), "steps": numpy.int64(3), "size": torch.Size([2]), "device": torch.device("cpu")}
    torch.save({"state_dict": _weights(source), **more}, target)


TORCH_FORMS: dict[str, Callable[[Path, Path], None]] = {
    "plain": _plain,
    "legacy": _legacy,
    "newest": _newest,
    "numpy's scalars": _numpy_scalars,
}
"""Each writes a torch file that holds a safetensors file's weights: source, target."""
