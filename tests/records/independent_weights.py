"""A VAE of the corpus' size on torch, and its weights as other libraries read them: apart from what is tested."""

from __future__ import annotations

import copy
import functools
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tests.files.network_names import Config, names
from tests.vaes.autoencoder import AutoencoderKL
from tests.vaes.autoencoder import Config as Network

NETWORK = Network(ch=8, ch_mult=(1, 1), num_res_blocks=1, groups=4)
NAMES = names(Config((8, 8), 1, 4))
WRAPPERS = ("state_dict", "model_state_dict", "params_ema", "params", "model", "module")
PREFIXES = (
    *("", "first_stage_model.", "vae.", "_orig_mod.", "module.", "params_ema.", "model.", "autoencoder."),
    *("module._orig_mod.", "a.b.c."),
)

Weights = Mapping[str, torch.Tensor]


def module(seed: int) -> Any:
    """Return a VAE of its own with the random weights of a seed: copying one is cheaper than initialising it."""
    return copy.deepcopy(_initialised(seed))


@functools.cache
def _initialised(seed: int) -> Any:
    torch.manual_seed(seed)
    return AutoencoderKL(NETWORK).requires_grad_(False)


@functools.cache
def _shapes() -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in _initialised(0).state_dict().items()}


def weights_of(path: Path) -> Weights:
    """Return the weights by the WebUI's names, in 32 bits and in the shapes of the module."""
    found = _read(path)
    wanted = _shapes()
    for prefix in PREFIXES:
        for naming in (0, 1):
            in_file = {ours: prefix + (ours, theirs)[naming] for ours, theirs, _ in NAMES}
            if all(_fits(found.get(name), wanted[ldm]) for ldm, name in in_file.items()):
                return {ldm: found[name].float().reshape(wanted[ldm]) for ldm, name in in_file.items()}
    raise AssertionError(f"{path.name} has no VAE that this reader knows")


def _fits(tensor: Any, wanted: torch.Size) -> bool:
    return tensor is not None and tensor.numel() == wanted.numel()


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(load_file(path))
    except Exception:  # no safetensors file
        # From memory: by its name, torch would take it for a safetensors file.
        data = path.read_bytes()
        try:
            root = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:  # a harmless name that this mode does not know
            root = torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
    while True:
        inner = next((root[name] for name in WRAPPERS if isinstance(root.get(name), dict)), None)
        if inner is None:
            return {name: value for name, value in root.items() if torch.is_tensor(value)}
        root = inner
