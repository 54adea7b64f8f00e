"""Fingerprints of the tensors: of names as they are, until `renaming` is there."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import Cancelled, NotFoundError
from ..sentences import say
from .contents import chunks, read_contents


@dataclass(frozen=True)
class Fingerprints:
    """Hexadecimal SHA-256."""

    weights: str
    encoder: str | None


def fingerprints(
    path: Path, *, report: Callable[[int, int], None] | None = None, stop: threading.Event | None = None
) -> Fingerprints:
    """Of the VAE in `path`. Raises NotFoundError where it holds none."""
    header = read_contents(path)
    names = sorted(name for name in header.tensors if name.startswith(("encoder.", "decoder.", "quant_", "post_")))
    if "decoder.conv_in.weight" not in names:
        raise NotFoundError(say("{file} has no VAE in it that the WebUI knows.", file=path.name))
    whole, encoder, done = hashlib.sha256(), hashlib.sha256(), 0
    total = sum(header.tensors[name].end - header.tensors[name].start for name in names)
    with path.open("rb") as file:
        for name in names:
            tensor = header.tensors[name]
            digest = hashlib.sha256()
            for chunk in chunks(file, path, header, tensor):
                if stop is not None and stop.is_set():
                    raise Cancelled(say("Stopped."))
                digest.update(chunk)
                done += len(chunk)
                if report is not None:
                    report(done, total)
            line = f"{name} {tensor.dtype} {tensor.shape} {digest.hexdigest()}".encode()
            whole.update(line)
            if name.startswith(("encoder.", "quant_conv.")):
                encoder.update(line)
    return Fingerprints(whole.hexdigest(), encoder.hexdigest())
