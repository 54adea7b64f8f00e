"""Parts of a file that a download has not filled: download programs reserve the whole size first, as zeros.

The weight of a convolution holds no long run of zeros in a trained VAE, and is never zero as a whole. A listing samples
each weight at its beginning, in its middle and at its end; a verification reads all of it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from ..catalogue.names import COMPANIONS
from ..sentences import say
from .headers import DTYPE_BYTES, Header, TensorInfo, disk_error
from .key_mapping import renamed_vae
from .record import Problem
from .tensor_reader import chunks

__all__ = ["companion_of", "find_hole", "find_unfilled", "unfinished"]

SAMPLE_BYTES: Final = 256
HOLE_BYTES: Final = 131_072
"""Zeros in a row that no trained weight holds: seven filters of the widest layer, in 32 bits. A shorter weight has to
be zero as a whole."""
LARGE_BYTES: Final = 2_000_000
"""A weight of so many bytes is sampled in its middle too."""
MIN_AXES: Final = 4
"""Axes of the weight of a convolution."""


def find_unfilled(path: Path, header: Header) -> Problem | None:
    """Return the problem of a file in whose VAE a weight begins, goes on or ends with zeros; None if none does.

    Only samples are read, and what lies around a sample of zeros. Raises DiskError.
    """
    try:
        with path.open("rb") as file:
            for info in _weights(header):
                if _is_sample_zero(file, header, info) and _has_hole(file, path, header, info):
                    return unfinished(path.name)
    except OSError as error:
        raise disk_error(path, error) from error
    return None


def find_hole(path: Path, header: Header) -> Problem | None:
    """Return the problem of a file in whose VAE a weight has a long run of zeros anywhere; each weight is read.

    Raises DiskError, and IntegrityError if the file has become shorter.
    """
    try:
        with path.open("rb") as file:
            holes = (info for info in _weights(header) if _has_hole(file, path, header, info))
            return unfinished(path.name) if next(holes, None) is not None else None
    except OSError as error:
        raise disk_error(path, error) from error


def companion_of(path: Path) -> Path | None:
    """Return the file that a download program keeps beside `path` until that is whole."""
    # os.path: a name that is too long with the ending is no error.
    return next((Path(other) for ending in COMPANIONS if os.path.isfile(other := f"{path}{ending}")), None)  # noqa: PTH113


def unfinished(name: str) -> Problem:
    """Return the problem of a file that is not whole."""
    sentence = say(
        "{file} is not whole: a long part of its weights is zeros, as in no trained VAE. Get it again, or from another "
        "place if it was published so.",
        file=name,
    )
    return Problem("unfinished", sentence)


def _weights(header: Header) -> Iterator[TensorInfo]:
    """Return the weights of convolutions of the VAE, in the order of the file; an attention's count in any form."""
    found = renamed_vae(header.tensors)
    sources = found.tensors.values() if found is not None else ()
    weights = [header.tensors[one.name] for one in sources if len(one.shape) >= MIN_AXES]
    return iter(sorted((info for info in weights if _size(info) >= SAMPLE_BYTES), key=lambda info: info.start))


def _size(info: TensorInfo) -> int:
    """Return the bytes of all elements; one that stands for many in the file counts as often."""
    return DTYPE_BYTES[info.dtype] * math.prod(info.shape)


def _is_sample_zero(file: BinaryIO, header: Header, info: TensorInfo) -> bool:
    if info.strides is not None:
        return True  # its elements are scattered: it is read whole
    size = info.end - info.start
    places = [info.start, info.end - SAMPLE_BYTES]
    if size >= LARGE_BYTES:
        places.insert(1, info.start + size // 2)
    return any(_is_zero(file, header.data_start + place) for place in places)


def _is_zero(file: BinaryIO, place: int) -> bool:
    file.seek(place)
    return not any(file.read(SAMPLE_BYTES))


def _has_hole(file: BinaryIO, path: Path, header: Header, info: TensorInfo) -> bool:
    hole = bytes(min(HOLE_BYTES, _size(info)))
    return any(hole in piece.tobytes() for piece in chunks(file, path, header, info))
