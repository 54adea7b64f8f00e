"""Results of earlier conversions: found by their metadata, and compared with the source tensor by tensor."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from ...errors import Cancelled, DiskError, IntegrityError, NotFoundError
from ...sentences import say
from ..headers import Header, disk_error, read_header
from ..tensor_reader import chunks, read_contents
from .planning import Plan
from .writing import DONE, SOURCE, KnownHashes, pieces_of

__all__ = ["find_twin"]


def find_twin(
    source: Path,
    planned: Plan,
    candidates: Iterable[Path],
    hashes: KnownHashes,
    *,
    report: Callable[[int, int], None] | None = None,
    stop: threading.Event | None = None,
) -> Path | None:
    """Return the candidate that holds just what the conversion of `source` by `planned` would write; None if none does.

    A candidate names the source's SHA-256 and what was done; then each of its tensors is compared, since a file can be
    damaged or exchanged under its metadata. Raises NotFoundError and DiskError for the source, and Cancelled.
    """
    named = [path for path in candidates if _metadata_of(path).get(DONE) == " ".join(planned.done)]
    if not named:
        return None
    sha256 = hashes.compute(source, stop=stop)
    header = read_contents(source)
    for path in named:
        if _metadata_of(path).get(SOURCE) != sha256:
            continue
        try:
            if _is_result(source, header, planned, path, report, stop):
                return path
        except (IntegrityError, NotFoundError):
            continue
    return None


def _metadata_of(path: Path) -> dict[str, str]:
    if not path.is_file():  # opening a pipe blocks until it has a writer
        return {}
    try:
        return dict(read_header(path).metadata) if path.suffix == ".safetensors" else {}
    except (IntegrityError, NotFoundError, DiskError):
        return {}


def _is_result(
    source: Path,
    header: Header,
    planned: Plan,
    path: Path,
    report: Callable[[int, int], None] | None,
    stop: threading.Event | None,
) -> bool:
    result, done = read_contents(path), 0
    if list(result.tensors) != [step.name for step in planned.steps]:
        return False
    try:
        with source.open("rb", buffering=0) as ours, path.open("rb", buffering=0) as theirs:
            for step in planned.steps:
                found = result.tensors[step.name]
                if (found.dtype, found.shape) != (step.dtype, step.shape):
                    return False
                if stop is not None and stop.is_set():
                    raise Cancelled(say("Converting {file} was stopped. Nothing was written.", file=source.name))
                if _digest(pieces_of(ours, source, header, step)) != _digest(chunks(theirs, path, result, found)):
                    return False
                done += step.size
                if report is not None:
                    report(done, planned.size)
    except OSError as error:
        raise disk_error(path, error) from error
    return True


def _digest(pieces: Iterable[memoryview]) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:  # the two sides come in pieces of different sizes
        digest.update(piece)
    return digest.digest()
