"""Imitates backend/utils.py, as far as files are read."""

from __future__ import annotations

from typing import Any

import safetensors.torch
import torch

import backend.misc.checkpoint_pickle


def load_torch_file(ckpt: str, safe_load: bool = False, device: torch.device | None = None) -> Any:
    """By the ending: safetensors, or a pickle, which may run anything."""
    where = torch.device("cpu") if device is None else device
    if ckpt.lower().endswith(".safetensors"):
        return safetensors.torch.load_file(ckpt, device=where.type)
    if ckpt.lower().endswith(".gguf"):
        raise NotImplementedError("the stand-in reads no gguf")
    if safe_load:
        tensors = torch.load(ckpt, map_location=where, weights_only=True)
    else:
        pickles = backend.misc.checkpoint_pickle
        tensors = torch.load(ckpt, map_location=where, pickle_module=pickles, weights_only=False)
    if "state_dict" in tensors:  # a None raises here
        return tensors["state_dict"]
    return tensors
