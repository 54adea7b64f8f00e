"""The tensors of a file and their bytes, whatever holds them: a safetensors file or, unrun, a pickle of torch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from ..errors import IntegrityError
from ..sentences import say
from .headers import DTYPE_BYTES, Header, TensorInfo, begins_like_safetensors, disk_error, read_header
from .pickles import is_torch_file, read_torch

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, numpy.dtype[Any]]

__all__ = ["CHUNK", "chunks", "read_contents"]

CHUNK: Final = 4 << 20
"""Bytes of a tensor that are in memory at once, where they lie row after row."""

_HEAD: Final = 1024


def read_contents(path: Path) -> Header:
    """All tensors of `path` by their names in the file, and where their bytes lie. None of those is read.

    Raises IntegrityError where it holds no tensors that can be read, NotFoundError and DiskError.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise disk_error(path, error) from error
    if is_torch_file(head) and not begins_like_safetensors(head):
        return read_torch(path)
    return read_header(path)


def chunks(file: BinaryIO, path: Path, header: Header, tensor: TensorInfo) -> Iterator[memoryview]:
    """The bytes of one tensor in the order of its elements (row after row, little endian), at most `CHUNK` at a time.

    `file` is `path`, opened for binary reading. A view is good until the next one is asked for, and holds no number in
    part. Where the tensor has strides, what it spans is in memory too, a quarter more than the tensor itself at most.
    Raises IntegrityError where the file has become shorter, NotFoundError and DiskError.
    """
    start = header.data_start + tensor.start
    try:
        if tensor.strides is None:
            yield from _plain(file, path, start, tensor.end - tensor.start)
        else:
            yield from _strided(file, path, start, DTYPE_BYTES[tensor.dtype], tensor.shape, tensor.strides)
    except OSError as error:
        raise disk_error(path, error) from error


def _plain(file: BinaryIO, path: Path, start: int, length: int) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(min(CHUNK, length)))
    for done in range(0, length, CHUNK):
        view = buffer[: length - done]
        _fill(file, path, start + done, view)
        yield view


def _fill(file: BinaryIO, path: Path, start: int, view: memoryview) -> None:
    file.seek(start)
    while view:
        count = file.readinto(view)  # type: ignore[attr-defined]
        if not count:
            raise IntegrityError(say("{file} has become shorter while it was being read.", file=path.name))
        view = view[count:]


def _strided(
    file: BinaryIO, path: Path, start: int, item: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> Iterator[memoryview]:
    """As `chunks`, of elements of `item` bytes, the first at `start`; shape and strides in elements.

    What has wide gaps is read part by part, so that those stay on the disk.
    """
    import numpy

    span = item * (1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)))
    length = item * math.prod(shape)
    if span > max(CHUNK, length + length // 4):
        for index in range(shape[0]):
            yield from _strided(file, path, start + index * strides[0] * item, item, shape[1:], strides[1:])
        return
    memory = bytearray(span)
    _fill(file, path, start, memoryview(memory))
    elements = numpy.frombuffer(memory, f"u{item}")
    yield from _pieces(numpy.lib.stride_tricks.as_strided(elements, shape, [stride * item for stride in strides]))


def _pieces(array: Array) -> Iterator[memoryview]:
    """The bytes of `array`, row after row; it is copied in pieces of at most `CHUNK`."""
    import numpy

    if array.nbytes <= CHUNK:
        yield numpy.ascontiguousarray(array).reshape(-1).view("u1").data
        return
    rows = CHUNK // array[0].nbytes
    if not rows:
        for row in array:
            yield from _pieces(row)
        return
    for first in range(0, len(array), rows):
        yield from _pieces(array[first : first + rows])
