"""Reading the weights of a file into memory of their own, each byte once.

safetensors' own reader maps the file: the pages come later, in the middle of a decode, and a file that is truncated
meanwhile ends the process. So the bytes are read here, straight to where they stay.
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
from typing import TYPE_CHECKING

from ..errors import BrokenFileError, FileChangedError, IntegrityError
from ..files import Header, Identity, TensorInfo, chunks, read_contents, read_header
from ..files.headers import begins_like_safetensors, disk_error
from ..files.key_mapping import Source
from ..files.tensor_table import TORCH_DTYPES
from ..files.weight_checks import nan_problem
from ..sentences import say
from .weights import Weights, checksum, checksums, empty_together

if TYPE_CHECKING:
    import torch

READERS = 2
"""Threads: one waits for the disk while the other looks at what has come. More are not faster."""


def read_safetensors(path: Path, names: Mapping[str, str]) -> Weights:
    """Read the tensors whose name in the file is a value of `names`; its keys are the names that they get.

    They come in the file's dtypes, on the CPU. Raises FileChangedError where the file changes meanwhile, IntegrityError
    where it holds numbers that are none, NotFoundError and DiskError.
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

    A pickle is read by the project's own reader: nothing in it is run. As `read_safetensors` otherwise.
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
    """Raises IntegrityError."""
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
    """Its memory, to be written to."""
    import torch

    view: memoryview = tensor.reshape(-1).view(torch.uint8).numpy().data
    return view


def opened(path: Path) -> int:
    """A descriptor; to open a pipe does not wait for somebody to write to it."""
    return os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))


def identity_of_open(file: FileIO, path: Path) -> Identity:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise IntegrityError(say("{path} is not a file.", path=path))
    return Identity.of(path, status)


def _read(
    file: FileIO, path: Path, header: Header, names: Mapping[str, str]
) -> tuple[dict[str, torch.Tensor], tuple[int, ...]]:
    """The tensors and their checksums."""
    if any(theirs not in header.tensors for theirs in names.values()):
        raise changed(path)
    infos = [header.tensors[theirs] for theirs in names.values()]

    def one(theirs: str, info: TensorInfo, tensor: torch.Tensor) -> int:
        _fill(file, header.data_start + info.start, tensor, path)
        _check_numbers(tensor, theirs, path)
        return int(checksum(tensor))  # here, while the processor still has the bytes at hand

    tensors = _empty(infos)
    with ThreadPoolExecutor(READERS, "vae-manager reading") as readers:
        sums = tuple(readers.map(one, names.values(), infos, tensors))
    return dict(zip(names, tensors, strict=True)), sums


def _empty(infos: Sequence[TensorInfo]) -> list[torch.Tensor]:
    """By what the shapes take, not by their bytes in the file: a torch file may hold one number for a whole tensor."""
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
    with _positions:  # no reading at an offset there, and all threads share the position
        file.seek(offset)
        return file.readinto(buffer) or 0


_positions = threading.Lock()


def _check_numbers(tensor: torch.Tensor, name: str, path: Path) -> None:
    """Raise BrokenFileError if a weight is NaN, infinite, or too large for 32 bits: the pictures would be black."""
    import torch

    if not tensor.is_floating_point():
        return
    # A sum is quicker than a look at each, and finite only if all are. Large ones may add up to infinity.
    wide = tensor if tensor.dtype in (torch.float32, torch.float16, torch.bfloat16) else tensor.float()
    if not torch.isfinite(wide.sum(dtype=torch.float32)) and not torch.isfinite(wide).all():
        problem = nan_problem(path.name, name)
        raise BrokenFileError(problem.sentence, problem.code)


def changed(path: Path) -> FileChangedError:
    """What to raise where a file is another one than it was a moment ago."""
    return FileChangedError(
        say("{file} was changed while it was being read. Nothing was changed in the model; try again.", file=path.name)
    )
