"""The pictures of a trial: the files of a folder, one at a time, in a size that bounds the memory.

A larger picture gives its middle, in its own pixels: scaled pixels have other detail than the VAE would meet.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..errors import IntegrityError, NotFoundError, VaeManagerError
from ..files.headers import disk_error
from ..messages import msg
from .pictures import MAX_FILE_BYTES, read_picture

if TYPE_CHECKING:
    from .comparison_store import Pixels

__all__ = ["SUFFIXES", "Sample", "files_below", "middle", "sample_of_bytes", "spread"]

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".webp")
MIN_SIDE: Final = 16
"""Pixels along the shorter side, below which a picture says nothing about a VAE."""
MAX_FILES: Final = 100_000
"""Files that are listed at most: a drive by mistake must end."""


@dataclass(frozen=True)
class Sample:
    """One picture of a trial, which `read` opens at the time of its use."""

    name: str
    """For people: the file's name."""
    read: Callable[[], bytes]
    """Returns the file's bytes. Raises VaeManagerError."""

    def opened(self, side: int) -> tuple[str, Pixels]:
        """Return the SHA-256 of its middle of `side` pixels at most, and these pixels.

        Two files of the same pixels, such as copies with other infotexts, are one picture.

        Raises VaeManagerError if it cannot be read, is no picture, is damaged or too small.
        """
        pixels = read_picture(self.read())
        if min(pixels.shape[:2]) < MIN_SIDE:
            raise IntegrityError(
                msg("The picture has less than {count} pixels along one side.", code="too-small", count=MIN_SIDE)
            )
        part = middle(pixels, side)
        return hashlib.sha256(repr(part.shape).encode() + part.tobytes()).hexdigest(), part


def files_below(folder: Path, *, without: Path | None = None) -> list[Sample]:
    """Return the pictures in a folder and the folders below it, by their names; links to folders are not followed.

    `without` is a file that is none of them, and hidden files are left out. A single file is a list of one.
    Raises NotFoundError if there is no such folder or no picture in it.
    """
    if folder.is_file():
        return [_sample_of(folder, folder.name)]
    if not folder.is_dir():
        raise NotFoundError(msg("There is no folder {path}.", code="no-such-folder", path=folder))
    found: list[Path] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        pictures = (name for name in sorted(files) if name.lower().endswith(SUFFIXES) and not name.startswith("."))
        found += [path for path in map(Path(parent).joinpath, pictures) if not _is(path, without)]
        if len(found) >= MAX_FILES:
            break
    if not found:
        raise NotFoundError(
            msg("There is no PNG, JPEG or WEBP in {path} or below it.", code="no-pictures", path=folder)
        )
    return [_sample_of(path, str(path.relative_to(folder))) for path in found[:MAX_FILES]]


def _is(path: Path, other: Path | None) -> bool:
    return other is not None and path.name == other.name and path.resolve() == other.resolve()


def spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Return `count` of the samples at most, evenly over the list."""
    if len(samples) <= count:
        return list(samples)
    return [samples[number * len(samples) // count] for number in range(count)]


def sample_of_bytes(name: str, content: bytes) -> Sample:
    """Return a sample of a file's bytes that are in memory."""
    return Sample(name, lambda: content)


def middle(pixels: Pixels, side: int) -> Pixels:
    """Return the middle `side` × `side` pixels at most."""
    height, width = pixels.shape[:2]
    high, wide = min(height, side), min(width, side)
    top, left = (height - high) // 2, (width - wide) // 2
    return pixels[top : top + high, left : left + wide]


def _sample_of(path: Path, name: str) -> Sample:
    return Sample(name, lambda: _bytes_of(path))


def _bytes_of(path: Path) -> bytes:
    try:
        if not path.is_file():  # opening a pipe would wait for a writer
            raise NotFoundError(msg("There is no file {path}.", code="no-such-file", path=path))
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except VaeManagerError:
        raise
    except OSError as error:
        raise disk_error(path, error) from error
