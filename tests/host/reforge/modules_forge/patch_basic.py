"""Imitates modules_forge/patch_basic.py: a file that `torch.load` cannot read is renamed on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def patch_all_basics() -> None:
    if hasattr(torch, "load_origin"):
        return
    torch.load_origin = original = torch.load

    def loader(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except Exception as error:
            told = f"{error}\n"
            for path in (*args, *kwargs.values()):
                if isinstance(path, str) and Path(path).exists():
                    backup = f"{path}.corrupted"
                    Path(path).replace(backup)
                    told += f"Forge has tried to move the corrupted file to {backup} \n"
            raise ValueError(told) from error

    torch.load = loader
