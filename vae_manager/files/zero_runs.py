"""Parts of a file that a download has not filled: download programs reserve the whole size first, as zeros.

The weight of a convolution is never all zeros in a trained VAE. Each is sampled at its end, and read whole if the
sample is zero.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Final

from ..catalogue.names import COMPANIONS
from ..sentences import say
from .contents import chunks
from .headers import Header, TensorInfo, disk_error
from .record import Problem

__all__ = ["companion_of", "find_unfilled", "unfinished"]

SAMPLE_BYTES: Final = 256
MIN_SIDES: Final = 4
"""Axes of the weight of a convolution."""


def find_unfilled(path: Path, header: Header, prefix: str) -> Problem | None:
    """Return the problem of a file in which the weights of a convolution of its VAE are all zeros.

    The names of the VAE's tensors begin with `prefix`. Raises DiskError.
    """
    weights = [info for name, info in header.tensors.items() if name.startswith(prefix) and _is_weight(info)]
    wanted = sorted(weights, key=lambda info: info.start)
    try:
        with path.open("rb") as file:
            for info in wanted:
                if _ends_in_zeros(file, header, info) and _is_zero(file, path, header, info):
                    return unfinished(path.name)
    except OSError as error:
        raise disk_error(path, error) from error
    return None


def companion_of(path: Path) -> Path | None:
    """Return the file that a download program keeps beside `path` until that is whole."""
    # os.path: a name that is too long with the ending is no error.
    return next((Path(other) for ending in COMPANIONS if os.path.isfile(other := f"{path}{ending}")), None)  # noqa: PTH113


def unfinished(name: str) -> Problem:
    """Return the problem of a file that is not whole."""
    sentence = say(
        "{file} is not whole: one of its weights is all zeros, as no trained VAE's is. Get it again, or from another "
        "place if it was published so.",
        file=name,
    )
    return Problem("unfinished", sentence)


def _is_weight(info: TensorInfo) -> bool:
    return len(info.shape) >= MIN_SIDES and info.end - info.start > SAMPLE_BYTES


def _ends_in_zeros(file: BinaryIO, header: Header, info: TensorInfo) -> bool:
    file.seek(header.data_start + info.end - SAMPLE_BYTES)
    return not any(file.read(SAMPLE_BYTES))


def _is_zero(file: BinaryIO, path: Path, header: Header, info: TensorInfo) -> bool:
    return not any(piece.tobytes().strip(b"\0") for piece in chunks(file, path, header, info))
