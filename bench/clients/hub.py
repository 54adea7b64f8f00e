"""huggingface_hub, in the way that the environment variables say which the process was started with."""

from __future__ import annotations

import importlib
import os
from importlib.metadata import version
from pathlib import Path

from huggingface_hub import hf_hub_download

from bench.clients.measured import FILE, REPO, job, measure


def helpers() -> list[str]:
    """The packages that do the transfer in its stead. They are imported here: their import is not measured."""
    names = []
    if os.environ.get("HF_HUB_ENABLE_HF_TRANSFER") == "1":
        names.append("hf_transfer")
    if os.environ.get("HF_HUB_DISABLE_XET") != "1":
        names.append("hf_xet")
    for name in names:
        importlib.import_module(name)
    return names


if __name__ == "__main__":
    folder = job().folder
    label = " + ".join(f"{name} {version(name)}" for name in ["huggingface_hub", *helpers()])
    measure(lambda: Path(hf_hub_download(REPO, FILE, cache_dir=folder, token=False)), label)
