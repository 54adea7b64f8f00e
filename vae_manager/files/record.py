"""File records: the identity of a file's bytes, and all known facts of the file."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple

from ..catalogue.entry import UNKNOWN_FAMILY, Entry, FamilyGuess, Layout
from ..errors import Cancelled
from ..messages import Message, msg
from .headers import TensorTable, disk_error
from .layouts import NO_FACTS, TensorFacts, facts_of

__all__ = ["Container", "FileRecord", "Fingerprints", "Identity", "Problem", "identity_of", "sha256_of"]

CHUNK: Final = 4 << 20
"""Bytes read at once: large enough that Python's share of the time is small, small enough to stop quickly."""

Container = Literal["safetensors", "pickle", "gguf", "web page", "lfs pointer", "empty", "unknown"]
"""`gguf` never holds a VAE: its record has the problem `other-format`, and beside it its tensors or its damage."""

_EMPTY: Final = TensorTable.of({})


class Identity(NamedTuple):
    """The identity of a file at one moment. Any write, replacement or move changes it.

    A ctime cannot be set back as an mtime can, so bytes that were exchanged under the old mtime are noticed. A new mode
    or a second name changes it too, so this program calls `carry` after such a change. On Windows it is the time of
    creation, which adds no information and does no harm.
    """

    path: str
    """Absolute."""
    size: int
    """Bytes."""
    mtime_ns: int
    inode: int
    ctime_ns: int

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> Identity:
        """Make it from a `stat` that the caller has taken already; a relative path is taken from the current folder."""
        return cls(str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


def identity_of(path: Path) -> Identity | None:
    """Return the identity of the file that `path` leads to now; None if there is no accessible file."""
    try:
        return Identity.of(path, path.stat())
    except OSError:
        return None


def sha256_of(path: Path, *, report: Callable[[int], None] | None = None, stop: threading.Event | None = None) -> str:
    """Return the SHA-256 of a file, in lower-case hexadecimal.

    `report` receives the number of bytes done after each chunk; setting `stop` ends the work within one chunk, with
    `Cancelled`. Raises `NotFoundError` and `DiskError`.
    """
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(CHUNK))
    done = 0
    try:
        with path.open("rb", buffering=0) as file:
            while count := file.readinto(buffer):
                if stop is not None and stop.is_set():
                    raise Cancelled(msg("Hashing {file} was stopped.", file=path.name))
                digest.update(buffer[:count])
                done += count
                if report is not None:
                    report(done)
    except OSError as error:
        raise disk_error(path, error) from error
    return digest.hexdigest()


@dataclass(frozen=True)
class Problem:
    """One reason why a file cannot be used, or cannot be used unchanged."""

    code: str
    """No bytes of a model: `empty`, `web-page`, `lfs-pointer`, `other-format`, `not-a-model`, `zip-without-model`.
    Broken: `truncated`, `bad-header`, `header-too-long`, `duplicate-key`, `overlapping`, `bad-offsets`, `bad-zip`,
    `bad-pickle`, `nan`, `unfinished`. Dangerous: `unsafe-pickle`. Unreadable: `unreadable`, `old-torch`.
    Reasons of a verdict: see `records.verdict`."""
    message: Message
    """It has the code too, or a narrower one of its own."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", self.message.with_code(self.code))


@dataclass(frozen=True)
class Fingerprints:
    """SHA-256 in lower-case hexadecimal."""

    weights: str
    """Of the whole VAE."""
    encoder: str | None
    """Of the encoder and its `quant_conv` alone, which tunes of the decoder share; None if there is no encoder."""


@dataclass(frozen=True)
class FileRecord:
    """One file. `inspect` makes the record from the header; later facts are added by `dataclasses.replace`.

    It holds facts alone. The ability of a WebUI to use the file is its verdict (`records.verdict`).
    """

    path: Path
    size: int
    """Bytes."""
    container: Container
    table: TensorTable | None = None
    """All tensors of the file by their names in it; None if they cannot be read."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    """Damage, or the reason why the file is no model, the gravest first. Empty for a whole file of any kind."""
    is_arriving: bool = False
    """A download program has a file of its own beside it, which it removes when the download is complete."""
    identity: Identity | None = None
    """The identity of the file at that time; None for a record of the header alone."""
    sha256: str | None = None
    fingerprints: Fingerprints | None = None
    last_sha256: str | None = None
    """The hash under an earlier ctime, if the present one is not known. It is no proof."""
    last_fingerprints: Fingerprints | None = None
    """The fingerprints under an earlier ctime, in the same way."""
    family: FamilyGuess = UNKNOWN_FAMILY
    """The family of its latents, with the evidence."""
    entry: Entry | None = None
    """The catalogue's entry with the same bytes or, in other bytes, the same weights."""

    @property
    def tensors(self) -> TensorTable:
        """All tensors; empty if they cannot be read."""
        return self.table if self.table is not None else _EMPTY

    @property
    def facts(self) -> TensorFacts:
        """Facts from names, shapes and dtypes."""
        return facts_of(self.table) if self.table is not None else NO_FACTS

    @property
    def layout(self) -> Layout:
        """The layout by the tensors' names; `unknown` if they cannot be read."""
        return self.facts.layout

    @property
    def latent_channels(self) -> int | None:
        """Channels of a latent; None if the tensors cannot be read or their shapes do not show it."""
        return self.facts.latent_channels

    @property
    def dtype(self) -> str | None:
        """The dtype of most of the VAE's bytes, such as `fp16`; None without a VAE."""
        return self.facts.dtype

    @property
    def parameters(self) -> int | None:
        """Numbers in the VAE, without the rest of a checkpoint; None without a VAE."""
        return self.facts.parameters

    @property
    def has_encoder(self) -> bool:
        """True if it can encode pictures; False too if the tensors cannot be read."""
        return self.facts.has_encoder

    @property
    def has_decoder(self) -> bool:
        """True if it can decode latents; False too if the tensors cannot be read."""
        return self.facts.has_decoder

    @property
    def prefix(self) -> str:
        """The beginning of the names of the VAE's tensors; empty for a VAE alone, and without a VAE."""
        return self.facts.prefix

    @property
    def weights(self) -> str | None:
        """The fingerprint of the whole VAE."""
        return self.fingerprints.weights if self.fingerprints is not None else None

    @property
    def is_family_own(self) -> bool:
        """True if the person has set the family."""
        return self.family.why == "yours"

    @property
    def is_family_shown(self) -> bool:
        """True if bytes or weights show the family, independent of a person's setting."""
        return self.family.sure and self.family.why in ("hash", "weights")

    @property
    def problem(self) -> Message | None:
        """The sentence of the gravest problem."""
        return self.problems[0].message if self.problems else None
