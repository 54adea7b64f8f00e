"""The weights of a file without a model, for files that a WebUI loads itself."""

from __future__ import annotations

import math
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from ..errors import RefusedError
from ..files import Header, Identity, TensorInfo, chunks, inspect, read_contents, shown
from ..files.headers import disk_error
from ..files.key_mapping import canonical
from ..files.tensor_table import TORCH_DTYPES
from ..records.capability import FORGE
from ..records.verdict import verdict
from ..sentences import say
from .compatibility import unchanged
from .weight_reader import changed, identity_of_open, opened, read_renamed

if TYPE_CHECKING:
    import torch

__all__ = ["read_every_tensor", "read_vae"]

OTHER_DTYPES: Final = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
}
"""Dtypes that are not used for weights, by their name in safetensors; the values are torch's names."""


def read_vae(path: Path) -> dict[str, torch.Tensor]:
    """Read a VAE in any known layout and container; its tensors get the WebUI's names.

    Raises RefusedError if it is not a VAE, IntegrityError, NotFoundError and DiskError.
    """
    record = inspect(path)
    found = canonical(record.tensors)
    is_vae = found is not None and found.layout != "checkpoint"
    if found is None or not is_vae or any(source.dtype not in TORCH_DTYPES for source in found.tensors.values()):
        reason = verdict(record, FORGE).reason
        unknown = say("{file} has no VAE in it that the WebUI knows.", file=path.name)
        raise RefusedError(unchanged(reason.sentence if reason is not None else unknown))
    return dict(read_renamed(path, found.tensors).tensors)


def read_every_tensor(path: Path) -> dict[str, torch.Tensor]:
    """Read all tensors of a file by their names in it, with the project's own reader; each gets memory of its own.

    Raises RefusedError if this torch lacks a dtype, FileChangedError if the file changes meanwhile,
    IntegrityError, NotFoundError and DiskError.
    """
    tensors = {}
    try:
        with FileIO(opened(path), "rb") as file:
            before = identity_of_open(file, path)
            header = read_contents(path)
            for name, info in header.tensors.items():
                tensors[name] = _tensor(file, path, header, name, info)
            if identity_of_open(file, path) != before or Identity.of(path, path.stat()) != before:
                raise changed(path)
    except OSError as error:
        raise disk_error(path, error) from error
    return tensors


def _tensor(file: BinaryIO, path: Path, header: Header, name: str, info: TensorInfo) -> torch.Tensor:
    import numpy
    import torch

    dtype = getattr(torch, {**TORCH_DTYPES, **OTHER_DTYPES}[info.dtype], None)
    if dtype is None:
        raise RefusedError(
            say(
                "{file} holds {dtype} numbers in its tensor {example}, which this PyTorch does not know. "
                "Nothing was changed.",
                file=path.name,
                dtype=info.dtype,
                example=shown(name),
            )
        )
    if 0 in info.shape:  # an empty numpy buffer has no stride, and torch then sees no elements in it
        return torch.empty(0, dtype=dtype).reshape(info.shape)
    memory = numpy.empty(math.prod(info.shape) * dtype.itemsize, numpy.uint8)
    at = 0
    for piece in chunks(file, path, header, info):
        memory[at : at + len(piece)] = piece
        at += len(piece)
    return torch.from_numpy(memory).view(dtype).reshape(info.shape)
