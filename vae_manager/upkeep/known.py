"""What has become known of one file, as plain data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..catalogue import Entry
from ..sentences import Sentence


@dataclass(frozen=True)
class Known:
    """What a file is, told by its bytes."""

    container: str
    layout: str
    latent_channels: int | None = None
    parameters: int | None = None
    """Numbers in the VAE's tensors."""
    dtype: str | None = None
    problems: tuple[tuple[str, Sentence], ...] = ()
    """(code, sentence) of what speaks against it, the gravest first."""
    loadable: bool = False
    """The WebUI can load it as a VAE, as it is."""
    convertible: bool = False
    """A conversion would make it loadable."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    sha256: str | None = None
    weights: str | None = None
    """The fingerprint of its tensors, once that has been taken."""
    family: str | None = None
    family_sure: bool = False
    family_own: bool = False
    """The family is the person's own word."""
    figure: float | None = None
    """What the latent test gave, where that is what the family is guessed by."""
    entry: Entry | None = None
    """The catalogue's entry with the same bytes or, in other bytes, the same weights."""


def key_of(path: Path) -> str:
    """Names a file in messages and pages: a digest, since a path can hold anything."""
    return hashlib.blake2s(str(path).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
