"""Fingerprints of a VAE's weights: the same for the same numbers, whatever holds them and however they are named."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import Cancelled, FileChangedError, NotFoundError
from ..sentences import say
from .headers import Header, disk_error
from .identity import Identity
from .key_mapping import Source, canonical
from .record import Fingerprints
from .tensor_reader import chunks, read_contents

__all__ = ["Fingerprints", "fingerprints"]


def fingerprints(
    path: Path, *, report: Callable[[int, int], None] | None = None, stop: threading.Event | None = None
) -> Fingerprints:
    """The fingerprints of the VAE in `path`: a VAE file of any layout, or a whole checkpoint.

    They cover the WebUI's name, the dtype, the shape and the bytes of each tensor, and nothing else: not the names in
    the file, their order, the container, metadata, or what is no part of the VAE. fp16 and fp32 of the same VAE are
    different weights: what rounding took away is not known from what it left.

    Each byte of the VAE is read once, the rest of the file not at all. `report` is told how many of them are done, and
    of how many. Raises NotFoundError where there is no VAE in the file, IntegrityError where the file is not whole,
    FileChangedError where it changes meanwhile, DiskError, and Cancelled within a chunk once `stop` is set.
    """
    try:
        before = Identity.of(path, path.stat())
        header = read_contents(path)
        renamed = canonical(header.tensors)
        if renamed is None:
            raise NotFoundError(say("{file} has no VAE in it that the WebUI knows.", file=path.name))
        digests = _digests(path, header, renamed.tensors, report, stop)
        if Identity.of(path, path.stat()) != before:
            raise FileChangedError(say("{file} was changed while it was being read. Try again.", file=path.name))
    except OSError as error:
        raise disk_error(path, error) from error
    encoder = {name: line for name, line in digests.items() if name.startswith(("encoder.", "quant_conv."))}
    has_encoder = "encoder.conv_in.weight" in digests
    return Fingerprints(_of_all(digests), _of_all(encoder) if has_encoder else None)


def _digests(
    path: Path,
    header: Header,
    tensors: Mapping[str, Source],
    report: Callable[[int, int], None] | None,
    stop: threading.Event | None,
) -> dict[str, str]:
    """A line for each tensor: its name, dtype, shape and the SHA-256 of its bytes. Read in the order of the file."""
    total = sum(header.tensors[source.name].end - header.tensors[source.name].start for source in tensors.values())
    done = 0
    found = {}
    with path.open("rb", buffering=0) as file:
        for name, source in sorted(tensors.items(), key=lambda item: header.tensors[item[1].name].start):
            digest = hashlib.sha256()
            for piece in chunks(file, path, header, header.tensors[source.name]):
                if stop is not None and stop.is_set():
                    raise Cancelled(say("Reading {file} was stopped.", file=path.name))
                digest.update(piece)
                done += len(piece)
                if report is not None:
                    report(done, total)
            shape = ",".join(map(str, source.shape))
            found[name] = f"{name} {source.dtype} [{shape}] {digest.hexdigest()}\n"
    return found


def _of_all(lines: Mapping[str, str]) -> str:
    return hashlib.sha256("".join(lines[name] for name in sorted(lines)).encode()).hexdigest()
