"""A file's VAE as a model of its own, where there is no WebUI. Needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..errors import IntegrityError, RefusedError
from ..files import inspect, shown
from ..files.contents import chunks, read_contents
from ..files.headers import Header
from ..sentences import say
from ..swap.check import DTYPES, is_ignored
from ..swap.reading import check_numbers
from .network import AutoencoderKL, config_of
from .values import Model

if TYPE_CHECKING:
    from ..swap.weights import Tensors

__all__ = ["model_of"]


def model_of(path: Path, device: torch.device) -> Model:
    """The VAE of `path`, a file of the WebUI's layout, in 32 bits on `device`.

    Raises RefusedError where it is of another layout or shape, IntegrityError, NotFoundError and DiskError.
    """
    inspection = inspect(path)
    if inspection.layout == "diffusers":
        raise RefusedError(
            say(
                "{file} is a diffusers file. Convert it first: python -m vae_manager convert {path}",
                file=path.name,
                path=path,
            )
        )
    if inspection.problem is not None:
        raise RefusedError(inspection.problem)
    tensors = _tensors(path)
    config = config_of({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    if config is None:
        raise RefusedError(say("{file} holds no VAE whose network is known here.", file=path.name))
    vae = AutoencoderKL(config)
    vae.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    vae.eval().requires_grad_(False).to(device)
    return Model(vae, vae.decode_raw, vae.encode, device, factor=config.factor)


def _tensors(path: Path) -> Tensors:
    header = read_contents(path)
    tensors = {name: _tensor(path, header, name) for name in header.tensors if not is_ignored(name)}
    check_numbers(tensors, path)
    return tensors


def _tensor(path: Path, header: Header, name: str) -> torch.Tensor:
    info = header.tensors[name]
    if info.dtype not in DTYPES:
        raise IntegrityError(
            say(
                "{file} holds {dtype} numbers in its tensor {example}, which are no weights.",
                file=path.name,
                dtype=info.dtype,
                example=shown(name),
            )
        )
    data = bytearray()
    with path.open("rb") as file:
        for chunk in chunks(file, path, header, info):
            data += chunk
    dtype = getattr(torch, DTYPES[info.dtype])
    flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
    return flat.reshape(info.shape)
