"""Small networks and files of their weights, for what moves weights about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vae_manager.swap import named_tensors


class Net(nn.Module):
    """Named as a VAE of the WebUI's layout, as far as an inspection looks; with a buffer, and sizes odd and even."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.encoder = _part(3, 2 * channels)
        self.decoder = _part(channels, 3)
        self.register_buffer("scale", torch.ones(3))
        self.requires_grad_(False)


def _part(inward: int, outward: int) -> Any:
    part = nn.Module()
    part.conv_in = nn.Conv2d(inward, 9, 3)
    part.mid = nn.Module()
    part.mid.block_1 = nn.Module()
    part.mid.block_1.conv1 = nn.Conv2d(9, 9, 3)
    part.conv_out = nn.Conv2d(9, outward, 3)
    return part


def net(seed: int, channels: int = 4) -> Net:
    torch.manual_seed(seed)
    return Net(channels)


def file_of(seed: int, path: Path, *, dtype: torch.dtype = torch.float32, **changes: Tensor | None) -> Path:
    """A file of the weights of `net(seed)`; dots in names as `__`, None leaves one out."""
    tensors = {name: tensor.detach().to(dtype) for name, tensor in named_tensors(net(seed)).items()}
    for name, tensor in changes.items():
        del tensors[name.replace("__", ".")]
        if tensor is not None:
            tensors[name.replace("__", ".")] = tensor
    save_file(tensors, path)
    return path


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: place.detach().clone() for name, place in named_tensors(module).items()}


def same(module: nn.Module, tensors: dict[str, Tensor]) -> bool:
    return all(torch.equal(place, tensors[name]) for name, place in named_tensors(module).items())
