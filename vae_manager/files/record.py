"""The one record of a VAE file: all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from ..catalogue.entry import Entry, Layout
from ..catalogue.families import UNKNOWN_FAMILY, FamilyGuess
from ..sentences import Sentence
from .identity import Identity
from .layouts import NO_FACTS, TensorFacts, facts_of
from .tensor_table import TensorTable

__all__ = ["Container", "FileRecord", "Fingerprints", "Problem"]


@dataclass(frozen=True)
class Problem:
    """One reason why a file cannot be used, or cannot be used as it is."""

    code: str
    """No bytes of a model: `empty`, `web-page`, `lfs-pointer`, `other-format`, `not-a-model`, `zip-without-model`.
    Broken: `truncated`, `bad-header`, `header-too-long`, `duplicate-key`, `overlapping`, `bad-offsets`, `bad-zip`,
    `bad-pickle`, `nan`, `unfinished`. Dangerous: `unsafe-pickle`. Unreadable: `unreadable`, `old-torch`.
    Reasons of a verdict: see `records.verdict`."""
    sentence: Sentence


Container = Literal["safetensors", "pickle", "web page", "lfs pointer", "empty", "unknown"]

_EMPTY: Final = TensorTable.of({})


@dataclass(frozen=True)
class Fingerprints:
    """SHA-256 in lower-case hexadecimal."""

    weights: str
    """Of the whole VAE."""
    encoder: str | None
    """Of the encoder and its `quant_conv` alone, which tunes of the decoder share; None if there is no encoder."""


@dataclass(frozen=True)
class FileRecord:
    """One file. `inspect` makes it from the header; what is found out later is added by `dataclasses.replace`.

    It holds facts alone. What a WebUI can do with the file is its verdict (`records.verdict`).
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
    """A file that a download program keeps until a download is whole lies beside it."""
    identity: Identity | None = None
    """The file that the record is of, as the disk tells it; None for a record of the header alone."""
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
        """All tensors; none if they cannot be read."""
        return self.table if self.table is not None else _EMPTY

    @property
    def facts(self) -> TensorFacts:
        """Facts that names, shapes and dtypes tell."""
        return facts_of(self.table) if self.table is not None else NO_FACTS

    @property
    def layout(self) -> Layout:
        return self.facts.layout

    @property
    def latent_channels(self) -> int | None:
        return self.facts.latent_channels

    @property
    def dtype(self) -> str | None:
        return self.facts.dtype

    @property
    def parameters(self) -> int | None:
        return self.facts.parameters

    @property
    def has_encoder(self) -> bool:
        return self.facts.has_encoder

    @property
    def has_decoder(self) -> bool:
        return self.facts.has_decoder

    @property
    def prefix(self) -> str:
        return self.facts.prefix

    @property
    def weights(self) -> str | None:
        """The fingerprint of the whole VAE."""
        return self.fingerprints.weights if self.fingerprints is not None else None

    @property
    def is_family_own(self) -> bool:
        """The person has said which family it is."""
        return self.family.why == "yours"

    @property
    def is_family_shown(self) -> bool:
        """Bytes or weights show the family, whatever a person says."""
        return self.family.sure and self.family.why in ("hash", "weights")

    @property
    def problem(self) -> Sentence | None:
        """The sentence of the gravest problem."""
        return self.problems[0].sentence if self.problems else None
