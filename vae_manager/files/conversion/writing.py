"""Carrying a conversion out: streamed to a partial file, read back, and only then given its name."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from ... import __version__
from ...catalogue.file_names import safe_file_name
from ...errors import BrokenFileError, Cancelled, FileChangedError, IntegrityError, UsageError
from ...sentences import say
from ..disk import check_room, name_taken, publish, sync, write_error
from ..headers import Header, disk_error
from ..identity import Identity, sha256_of
from ..inspection import inspect
from ..partials import partial_file, write_whole
from ..tensor_reader import chunks, read_contents
from ..weight_checks import has_nan, nan_problem
from .casting import cast
from .planning import Layout, Plan, Step, plan

__all__ = ["Converted", "convert", "free_name"]

SUFFIX: Final = ".safetensors"
DONE: Final = "vae_manager.done"
SOURCE: Final = "vae_manager.source_sha256"
"""Keys of the metadata: `Plan.done` with spaces between, and the source's hash."""
_HEADER_ROOM: Final = 1_000_000
"""Bytes that a header is not longer than, as far as room on the disk goes."""


class KnownHashes(Protocol):
    """A memory of the SHA-256 of files."""

    def compute(
        self, path: Path, *, report: Callable[[int], None] | None = None, stop: threading.Event | None = None
    ) -> str:
        """The hash of `path`: remembered, or computed and then remembered."""


@dataclass(frozen=True)
class Converted:
    """A file that a conversion has made."""

    target: Path
    sha256: str
    size: int
    """Bytes."""
    done: tuple[str, ...]
    """As `Plan.done`."""


def convert(
    source: Path,
    target: Path,
    *,
    dtype: str | None = None,
    layout: Layout = "ldm",
    hashes: KnownHashes | None = None,
    report: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> Converted:
    """Write the VAE in `source` as the new file `target`, in `layout` and with numbers of `dtype` (its own if None).

    The result depends on nothing but the bytes and the name of the source. It is written piece by piece (no more than
    some megabytes of a tensor are in memory), read back and compared before it has its name. `hashes` may know the
    source's SHA-256 already. `report` is told how many bytes are done, and of how many: each is read, written, read
    back.

    Raises RefusedError and IntegrityError as `plan` and `inspect` say, NameTakenError where `target` is there,
    UsageError for a name that is no `.safetensors`, FileChangedError where the source changes meanwhile, NotFoundError,
    DiskError, and Cancelled within a piece once `stop` is set. Whatever it raises, nothing is left behind.
    """
    if not safe_file_name(target.name).endswith(SUFFIX):
        raise UsageError(say("{file} is no name for the result: it must end with .safetensors.", file=target.name))
    if os.path.lexists(target):
        raise name_taken(target)
    before = _identity(source)
    planned = plan(inspect(source), dtype=dtype, layout=layout)
    header = read_contents(source)
    check_room(target.parent, planned.size + _HEADER_ROOM)
    course = _Course(source.name, before.size + 2 * planned.size, report, stop)
    sha256 = _hash(source, hashes, course)
    try:
        with partial_file(target.parent) as (path, file):
            digests = _write(source, header, planned, sha256, file, course)
            sync(file.fileno())
            result = _read_back(path, planned.steps, digests, course)
            if _identity(source) != before:
                raise FileChangedError(say("{file} was changed while it was being read. Try again.", file=source.name))
            size = file.tell()
            if sys.platform == "win32":  # there, what is open cannot be renamed
                file.close()
            publish(path, target)
    except OSError as error:
        raise write_error(target.parent, error) from error
    return Converted(target, result, size, planned.done)


def free_name(folder: Path, source: Path, done: tuple[str, ...]) -> Path:
    """A name for the result in `folder` that nothing has yet, after that of the source and what was done."""
    stem = source.name
    for suffix in (SUFFIX, ".ckpt", ".pt", ".pth", ".bin"):
        stem = stem.removesuffix(suffix)
    if "from-checkpoint" in done:
        stem += ".vae"
    stem += "".join(f"-{word}" for word in done if word in ("fp32", "fp16", "bf16"))
    number = 1
    target = folder / f"{stem}{SUFFIX}"
    while os.path.lexists(target):
        number += 1
        target = folder / f"{stem}-{number}{SUFFIX}"
    return target


class _Course:
    """How far the work is, and whether it is to go on."""

    def __init__(
        self, name: str, total: int, report: Callable[[int, int], None] | None, stop: threading.Event | None
    ) -> None:
        self.stop = stop
        self._name = name
        self._total = total
        self._report = report
        self._done = 0

    def step(self, count: int) -> None:
        if self.stop is not None and self.stop.is_set():
            raise Cancelled(say("Converting {file} was stopped. Nothing was written.", file=self._name))
        self._done += count
        if self._report is not None:
            self._report(self._done, self._total)

    def reach(self, done: int) -> None:
        self.step(done - self._done)


def _hash(source: Path, hashes: KnownHashes | None, course: _Course) -> str:
    if hashes is None:
        return sha256_of(source, report=course.reach, stop=course.stop)
    return hashes.compute(source, report=course.reach, stop=course.stop)


def _identity(path: Path) -> Identity:
    try:
        return Identity.of(path, path.stat())
    except OSError as error:
        raise disk_error(path, error) from error


# -- writing -------------------------------------------------------------------------------------------------------
def _metadata(source: Path, header: Header, planned: Plan, sha256: str) -> dict[str, str]:
    """The source's own, and where the result comes from."""
    name = os.fsencode(source.name).decode("utf-8", "replace")  # a name need not be UTF-8, metadata must
    return {
        **header.metadata,
        "format": "pt",
        DONE: " ".join(planned.done),
        "vae_manager.source_layout": planned.source.layout,
        "vae_manager.source_name": name,
        SOURCE: sha256,
        "vae_manager.version": __version__,
    }


def _header(steps: tuple[Step, ...], metadata: Mapping[str, str]) -> bytes:
    """The header of a safetensors file with the tensors of `steps` one after the other, and its length before it.

    Padded so that the tensors begin at a multiple of eight: then each lies where its numbers can be used as they are.
    """
    described: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    at = 0
    for step in steps:
        offsets = [at, at + step.size]
        described[step.name] = {"dtype": step.dtype, "shape": list(step.shape), "data_offsets": offsets}
        at += step.size
    raw = json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw


def _write(source: Path, header: Header, planned: Plan, sha256: str, target: FileIO, course: _Course) -> list[str]:
    """Write the result. Returns the SHA-256 of each step's tensor as it came from the source."""
    write_whole(target, memoryview(_header(planned.steps, _metadata(source, header, planned, sha256))))
    digests = []
    can_look = importlib.util.find_spec("numpy") is not None  # each WebUI has it
    try:
        file = source.open("rb", buffering=0)
    except OSError as error:
        raise disk_error(source, error) from error
    with file:
        for step in planned.steps:
            digest = hashlib.sha256()
            # A number that is cast is looked at before it is.
            is_looked_at = can_look and header.tensors[step.source.name].dtype == step.dtype
            for piece in pieces_of(file, source, header, step):
                if is_looked_at and has_nan(piece, step.dtype):
                    problem = nan_problem(source.name, step.source.name)
                    raise BrokenFileError(problem.sentence, problem.code)
                write_whole(target, piece)
                digest.update(piece)
                course.step(len(piece))
            digests.append(digest.hexdigest())
    return digests


def pieces_of(file: BinaryIO, source: Path, header: Header, step: Step) -> Iterator[memoryview]:
    """The bytes of one tensor of the result."""
    info = header.tensors[step.source.name]
    pieces = chunks(file, source, header, info)
    if info.dtype == step.dtype:
        return pieces
    return cast(pieces, info.dtype, step.dtype, file=source.name, tensor=step.source.name)


# -- reading back --------------------------------------------------------------------------------------------------
def _read_back(path: Path, steps: tuple[Step, ...], digests: list[str], course: _Course) -> str:
    """Compare what the disk gives with what came from the source. Returns the SHA-256 of the whole file."""
    header = read_contents(path)
    whole = hashlib.sha256()
    with FileIO(path, "rb") as file:
        if hasattr(os, "posix_fadvise"):  # from the disk, not from memory
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        whole.update(file.read(header.data_start))
        same = list(header.tensors) == [step.name for step in steps]
        for step, expected, found in zip(steps, digests, header.tensors.values(), strict=False):
            digest = hashlib.sha256()
            for piece in chunks(file, path, header, found):
                digest.update(piece)
                whole.update(piece)
                course.step(len(piece))
            same &= (found.dtype, found.shape, digest.hexdigest()) == (step.dtype, step.shape, expected)
    if not same:
        raise IntegrityError(
            say("The disk of {folder} gave back other bytes than were written. Nothing was kept.", folder=path.parent)
        )
    return whole.hexdigest()
