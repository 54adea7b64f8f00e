"""Imitates modules_forge/patch_basic.py: two readers are wrapped for everybody in the process.

What is wrong there and here: whatever the error, every argument that is the path of a file is taken for a corrupted
one and renamed to `.corrupted`, over an older one of that name. Paths that are no `str` are left alone.
"""

from __future__ import annotations

import os
from typing import Any

import safetensors.torch
import torch


def build_loaded(module: Any, loader_name: str) -> None:
    original_loader_name = loader_name + "_origin"
    if not hasattr(module, original_loader_name):
        setattr(module, original_loader_name, getattr(module, loader_name))
    original_loader = getattr(module, original_loader_name)

    def loader(*args: Any, **kwargs: Any) -> Any:
        try:
            return original_loader(*args, **kwargs)
        except Exception as error:
            told = str(error) + "\n"
            for path in [*args, *kwargs.values()]:
                if isinstance(path, str) and os.path.exists(path):  # noqa: PTH110  # also of a header's text
                    os.replace(path, path + ".corrupted")  # noqa: PTH105
                    told += (
                        f"File corrupted: {path} \nForge has tried to move the corrupted file to {path}.corrupted \n"
                    )
                    told += "You may try again now and Forge will download models again. \n"
            raise ValueError(told)  # noqa: B904  # as in Forge

    setattr(module, loader_name, loader)


def patch_all_basics() -> None:
    build_loaded(safetensors.torch, "load_file")
    build_loaded(torch, "load")
