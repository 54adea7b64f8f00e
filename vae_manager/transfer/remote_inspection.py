"""Inspection of a file before its download: its header alone is read, by a few ranges.

What a server sends here may differ from what it sends later, so a record is an answer for a person and no proof: it is
never stored, and the downloaded file is inspected again.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, cast

from ..catalogue.engines import ENCODERS
from ..catalogue.entry import LocalSource, Source, name_at
from ..catalogue.file_names import proposed_file_name
from ..errors import NoVaeError
from ..files import FileRecord, inspect, inspect_ranges
from ..files.checkpoint import carried, encoder_of, engine_of
from ..messages import Message, msg
from .http_client import HttpClient, answered
from .remote_file import RemoteFile
from .request import Network
from .resolved_url import SignedUrl, shown_source
from .sources import resolve_source

__all__ = ["WANTED_ANYWAY", "RemoteInspection", "inspect_remote", "no_vae", "no_vae_error"]

MAX_SECONDS: Final = 40.0
"""Seconds for one file, from the first request to the last byte, with the resolution of its address."""
READ_TIMEOUT_S: Final = 10.0
_ARCHITECTURE: Final = "general.architecture"
_CERTAIN: Final = frozenset({"other-format", "zip-without-model", "unsafe-pickle", "old-torch"})
"""Codes of problems that more bytes cannot change; a download refuses such a file at its end."""

WANTED_ANYWAY: Final = frozenset({"checkpoint-with-vae", "checkpoint-without-vae", "text-encoder", "no-vae"})
"""Codes of `no_vae` for files that a download does not refuse at their arrival, so a person can ask for one."""


@dataclass(frozen=True)
class RemoteInspection:
    """What is known of a file before its download."""

    source: Source
    record: FileRecord
    """As `files.inspect` makes it. `path` is the proposed name alone, and `sha256` the hash that the server publishes,
    which is not proven."""
    requests: int = 0
    """Requests for its bytes, without those that resolved the address."""
    received: int = 0
    """Bytes of the file that were received."""


def inspect_remote(source: Source, *, network: Network, stop: threading.Event) -> RemoteInspection:
    """Inspect the file of `source` without downloading it; a file of this machine is inspected in its place.

    Raises NetworkError with the code `no-look` if its header cannot be had by a few small requests, or with
    `answer-too-slow` after `MAX_SECONDS`, the errors of `resolve_source` and of the requests, and `Cancelled` as soon
    as `stop` is set.
    """
    if isinstance(source, LocalSource):
        return RemoteInspection(source, inspect(source.path))
    hasty = replace(network, read_timeout=min(network.read_timeout, READ_TIMEOUT_S))
    inspected = functools.partial(_inspect, source)
    return answered(inspected, hasty, stop, shown_source(source), MAX_SECONDS)


def _inspect(source: Source, client: HttpClient) -> RemoteInspection:
    resolve = functools.partial(resolve_source, source, client, hash_decides=False)
    address = SignedUrl(resolve(), resolve)
    location = address.now
    name = proposed_file_name(source, location.file_name or name_at(source) or "")
    with RemoteFile(client, address, name) as file:
        record = inspect_ranges(cast(BinaryIO, file), Path(name), file.size)
        return RemoteInspection(source, replace(record, sha256=location.sha256), file.requests, file.received)


def no_vae(record: FileRecord) -> Message | None:
    """Return the sentence for a file that is certainly no VAE; None for a VAE, and for a damaged or unknown file.

    A whole checkpoint is none, with or without a VAE in it. An autoencoder that a WebUI cannot load is one.
    """
    name = record.path.name
    certain = next((problem for problem in record.problems if problem.code in _CERTAIN), None)
    if certain is not None:
        return certain.message
    if record.problems or not record.tensors:
        return None
    if record.layout == "lora":
        return msg("{file} is a LoRA, not a VAE.", code="lora", file=name)
    if record.layout == "checkpoint" or engine_of(record.tensors) is not None:
        return _checkpoint(record)
    encoder = encoder_of(record.tensors, record.metadata.get(_ARCHITECTURE))
    if encoder is not None:
        return msg(
            "{file} is a text encoder ({kind}), not a VAE.",
            code="text-encoder",
            file=name,
            kind=ENCODERS[encoder.kind].label,
        )
    if record.has_encoder or record.has_decoder:
        return None
    return msg("{file} has no VAE in it that the WebUI knows.", code="no-vae", file=name)


def _checkpoint(record: FileRecord) -> Message:
    if carried(record.tensors).has_vae:
        return msg(
            "{file} is a whole checkpoint with a VAE in it, not a VAE. A conversion writes that VAE as a file of its "
            "own.",
            code="checkpoint-with-vae",
            file=record.path.name,
        )
    return msg("{file} is a checkpoint without a VAE in it.", code="checkpoint-without-vae", file=record.path.name)


def no_vae_error(found: RemoteInspection) -> NoVaeError | None:
    """Return the error that refuses a download, with the code of `no_vae`; None if the file may be a VAE."""
    problem = no_vae(found.record)
    if problem is None:
        return None
    return NoVaeError(
        msg(
            "{problem} Nothing was downloaded from {source}.",
            code=problem.code or "no-vae",
            problem=problem,
            source=shown_source(found.source),
        )
    )
