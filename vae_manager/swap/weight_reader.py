"""Reading of weights for the loaded model, after the check that they fit.

The reader reads the weights of a file into memory of their own, each byte once. The reader of safetensors maps the file
instead: its pages are loaded later, in the middle of a decode, and truncating the file meanwhile kills the process.
This module therefore reads the bytes straight to their final place in memory.
"""

from __future__ import annotations

import math
import os
import stat
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from ..errors import BrokenFileError, FileChangedError, IntegrityError, RefusedError
from ..files import (
    FileRecord,
    Header,
    Identity,
    TensorInfo,
    TensorSpec,
    TensorTable,
    chunks,
    inspect,
    printable_name,
    read_contents,
    read_header,
)
from ..files.headers import TORCH_DTYPES, begins_like_safetensors, disk_error
from ..files.layouts import Source, canonical
from ..files.tensor_data import nan_problem
from ..messages import Message, msg
from ..records.verdict import FORGE, HostCapability, Refused, Sources, UsableAfter, VaeSignature, sources_of, verdict
from .weights import Weights, checksum, checksums, empty_together

if TYPE_CHECKING:
    import torch

    from .weights import Tensors

__all__ = [
    "read_every_tensor",
    "read_renamed",
    "read_safetensors",
    "read_vae",
    "require_usable",
    "table_of",
    "unchanged",
]


_ANY_DTYPE: Final = "F32"
"""The dtype of a model's tensors does not matter: weights are converted to it."""

READERS = 2
"""Threads: one waits for the disk while the other checks the tensor just read. More threads are not faster."""

_positions = threading.Lock()

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


def table_of(models: Tensors) -> TensorTable:
    """Return the names and shapes of a module's tensors."""
    return TensorTable.of({name: TensorSpec(_ANY_DTYPE, tuple(tensor.shape)) for name, tensor in models.items()})


def require_usable(record: FileRecord, host: HostCapability, models: Tensors) -> Sources:
    """Return the source in the file of each of a module's tensors.

    Raises RefusedError if the file cannot go in unchanged.
    """
    expected = table_of(models)
    answer = verdict(record, host, VaeSignature(expected))
    if isinstance(answer, Refused | UsableAfter):
        raise RefusedError(unchanged(answer.reason.message))
    sources = sources_of(record.tensors, expected)
    if sources is None:  # a layout that only the WebUI's own reader supports
        no_vae = msg("{file} holds no VAE that can be put into the loaded model.", code="no-vae", file=record.path.name)
        raise RefusedError(unchanged(no_vae))
    return sources


def unchanged(reason: Message) -> Message:
    """Return the sentence of a refusal."""
    return msg("{reason} Nothing was changed.", code=reason.code, reason=reason)


def read_safetensors(path: Path, names: Mapping[str, str]) -> Weights:
    """Read the tensors whose name in the file is a value of `names`; its keys are the names that they get.

    The tensors have the file's dtypes and are on the CPU. Raises FileChangedError if the file changes meanwhile,
    IntegrityError if it holds NaN or infinite values, NotFoundError and DiskError.
    """
    try:
        with FileIO(opened(path), "rb") as file:
            before = identity_of_open(file, path)
            tensors, sums = _read(file, path, read_header(path), names)
            if identity_of_open(file, path) != before or Identity.of(path, path.stat()) != before:
                raise changed(path)
    except OSError as error:
        raise disk_error(path, error) from error
    return Weights(before, tensors, sums)


def read_renamed(path: Path, sources: Mapping[str, Source]) -> Weights:
    """Read the tensors of a VAE in any layout and container; they get the names that are the keys of `sources`.

    The project's own reader reads pickles without executing their code. Otherwise as `read_safetensors`.
    """
    if begins_like_safetensors(_head(path)):
        read = read_safetensors(path, {name: source.name for name, source in sources.items()})
        tensors = {name: read.tensors[name].reshape(source.shape) for name, source in sources.items()}
        return Weights(read.identity, tensors, read.sums)
    try:
        with FileIO(opened(path), "rb") as file:
            before = identity_of_open(file, path)
            tensors = _unpickled(file, path, sources)
            if identity_of_open(file, path) != before or Identity.of(path, path.stat()) != before:
                raise changed(path)
    except OSError as error:
        raise disk_error(path, error) from error
    return Weights(before, tensors, checksums(tensors))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError as error:
        raise disk_error(path, error) from error


def _unpickled(file: FileIO, path: Path, sources: Mapping[str, Source]) -> dict[str, torch.Tensor]:
    """Read the tensors of a pickle. Raises IntegrityError."""
    header = read_contents(path)
    if any(not _is_as_planned(header.tensors.get(source.name), source) for source in sources.values()):
        raise changed(path)
    infos = {name: header.tensors[source.name] for name, source in sources.items()}
    tensors = dict(zip(sources, _empty(list(infos.values())), strict=True))
    for name, source in sources.items():
        to = _bytes_of(tensors[name])
        for piece in chunks(file, path, header, infos[name]):
            to[: len(piece)] = piece
            to = to[len(piece) :]
        _check_numbers(tensors[name], source.name, path)
        tensors[name] = tensors[name].reshape(source.shape)
    return tensors


def _is_as_planned(info: TensorInfo | None, source: Source) -> bool:
    return info is not None and info.dtype == source.dtype and math.prod(info.shape) == math.prod(source.shape)


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    """Return the tensor's memory as a writable view."""
    import torch

    view: memoryview = tensor.reshape(-1).view(torch.uint8).numpy().data
    return view


def opened(path: Path) -> int:
    """Return a descriptor. O_NONBLOCK: opening a pipe must not wait for a writer."""
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))


def identity_of_open(file: FileIO, path: Path) -> Identity:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise IntegrityError(msg("{path} is not a file.", code="not-a-file", path=path))
    return Identity.of(path, status)


def _read(
    file: FileIO, path: Path, header: Header, names: Mapping[str, str]
) -> tuple[dict[str, torch.Tensor], tuple[int, ...]]:
    """Return the tensors and their checksums."""
    if any(theirs not in header.tensors for theirs in names.values()):
        raise changed(path)
    infos = [header.tensors[theirs] for theirs in names.values()]

    def one(theirs: str, info: TensorInfo, tensor: torch.Tensor) -> int:
        _fill(file, header.data_start + info.start, tensor, path)
        _check_numbers(tensor, theirs, path)
        return int(checksum(tensor))  # here, while the bytes are still in the processor's cache

    tensors = _empty(infos)
    with ThreadPoolExecutor(READERS, "vae-manager reading") as readers:
        sums = tuple(readers.map(one, names.values(), infos, tensors))
    return dict(zip(names, tensors, strict=True)), sums


def _empty(infos: Sequence[TensorInfo]) -> list[torch.Tensor]:
    """Allocate by shape, not by bytes in the file: a torch file may store one value for a whole tensor."""
    import torch

    return empty_together([(info.shape, getattr(torch, TORCH_DTYPES[info.dtype])) for info in infos])


def _fill(file: FileIO, offset: int, tensor: torch.Tensor, path: Path) -> None:
    rest = _bytes_of(tensor)
    while rest:
        count = _read_at(file, offset, rest)
        if not count:
            raise changed(path)
        rest, offset = rest[count:], offset + count


def _read_at(file: FileIO, offset: int, buffer: memoryview) -> int:
    if sys.platform not in ("win32", "darwin"):
        return os.preadv(file.fileno(), [buffer], offset)
    with _positions:  # no positioned read on this system, and all threads share the position
        file.seek(offset)
        return file.readinto(buffer) or 0


def _check_numbers(tensor: torch.Tensor, name: str, path: Path) -> None:
    """Raise BrokenFileError if a weight is NaN, infinite, or too large for 32 bits: the pictures would be black."""
    import torch

    if not tensor.is_floating_point():
        return
    # A sum is quicker than a test of each value, and finite only if all are. Large values may add up to infinity.
    wide = tensor if tensor.dtype in (torch.float32, torch.float16, torch.bfloat16) else tensor.float()
    if not torch.isfinite(wide.sum(dtype=torch.float32)) and not torch.isfinite(wide).all():
        problem = nan_problem(path.name, name)
        raise BrokenFileError(problem.message, problem.code)


def changed(path: Path) -> FileChangedError:
    """Return the error for a file that changed while it was read."""
    return FileChangedError(
        msg("{file} was changed while it was being read. Nothing was changed in the model; try again.", file=path.name)
    )


def read_vae(path: Path, *, carried: bool = False) -> dict[str, torch.Tensor]:
    """Read a VAE in any known layout and container; its tensors get the WebUI's names.

    With `carried`, that of a checkpoint is read too. Raises RefusedError if it is not a VAE, IntegrityError,
    NotFoundError and DiskError.
    """
    record = inspect(path)
    found = canonical(record.tensors)
    is_vae = found is not None and (carried or found.layout != "checkpoint")
    if found is None or not is_vae or any(source.dtype not in TORCH_DTYPES for source in found.tensors.values()):
        reason = verdict(record, FORGE).reason
        unknown = msg("{file} has no VAE in it that the WebUI knows.", code="no-vae", file=path.name)
        raise RefusedError(unchanged(reason.message if reason is not None else unknown))
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
            msg(
                "{file} holds {dtype} numbers in its tensor {example}, which this PyTorch does not know. "
                "Nothing was changed.",
                code="unknown-dtype",
                file=path.name,
                dtype=info.dtype,
                example=printable_name(name),
            )
        )
    if 0 in info.shape:  # an empty numpy buffer has no stride, and torch then finds no elements in it
        return torch.empty(0, dtype=dtype).reshape(info.shape)
    memory = numpy.empty(math.prod(info.shape) * dtype.itemsize, numpy.uint8)
    at = 0
    for piece in chunks(file, path, header, info):
        memory[at : at + len(piece)] = piece
        at += len(piece)
    return torch.from_numpy(memory).view(dtype).reshape(info.shape)
