"""Imitates Neo's backend/utils.py: a safetensors file is opened by itself, a pickle by torch's restricted reader."""

from __future__ import annotations

from typing import Any

import safetensors
import torch


def load_torch_file(
    ckpt: str, *, safe_load: bool = True, device: torch.device | None = None, return_metadata: bool = False
) -> Any:
    where = torch.device("cpu") if device is None else device
    metadata = None
    if ckpt.lower().endswith((".safetensors", ".sft")):
        try:
            with safetensors.safe_open(ckpt, framework="pt", device=where.type) as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
                metadata = file.metadata()
        except Exception:
            raise ValueError(f'\nModel "{ckpt}" is corrupt or invalid...\n') from None
    elif ckpt.lower().endswith(".gguf"):
        raise NotImplementedError("the stand-in reads no gguf")
    else:
        assert safe_load
        tensors = torch.load(ckpt, map_location=where, weights_only=True)
        tensors = tensors.get("state_dict", tensors)
    return (tensors, metadata) if return_metadata else tensors
