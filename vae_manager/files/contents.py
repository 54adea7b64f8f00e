"""The tensors of a file and their bytes, whatever holds them: a safetensors file or, unrun, a pickle of torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from ..errors import IntegrityError
from ..sentences import say
from .headers import Header, TensorInfo, disk_error, read_header

__all__ = ["CHUNK", "chunks", "read_contents"]

CHUNK: Final = 4 << 20
"""Bytes of a tensor that are in memory at once."""


def read_contents(path: Path) -> Header:
    """All tensors of `path` by their names in the file, and where their bytes lie. None of those is read.

    Raises IntegrityError where it holds no tensors that can be read, NotFoundError and DiskError.
    """
    return read_header(path)


def chunks(file: BinaryIO, path: Path, header: Header, tensor: TensorInfo) -> Iterator[memoryview]:
    """The bytes of one tensor in the order of its elements (row after row, little endian), at most `CHUNK` at a time.

    `file` is `path`, opened for binary reading. A view is good until the next one is asked for. Raises IntegrityError
    where the file has become shorter, NotFoundError and DiskError.
    """
    buffer = memoryview(bytearray(min(CHUNK, tensor.end - tensor.start)))
    left = tensor.end - tensor.start
    try:
        file.seek(header.data_start + tensor.start)
        while left:
            count = file.readinto(buffer[: min(left, len(buffer))])  # type: ignore[attr-defined]
            if not count:
                raise IntegrityError(say("{file} has become shorter while it was being read.", file=path.name))
            left -= count
            yield buffer[:count]
    except OSError as error:
        raise disk_error(path, error) from error
