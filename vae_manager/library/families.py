"""The family of a file: whose latents it turns into pictures.

The person's own word wins; then the catalogue knows the bytes; then a file with the same weights, or the same encoder,
is known; then the shapes leave one family only; then the latent test has given a figure. Shapes tell no SD 1.x from
SDXL, and no SD 3.x from FLUX.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ..catalogue import FAMILIES, Catalogue, FamilyGuess
from ..errors import UsageError
from ..files import FileRecord, Identity, identity_of
from ..records import GuessRecord, RecordStore, binding_key
from ..sentences import say
from .bound import Binding, Bound, bindings_of, bindings_of_identity

__all__ = [
    "FamilyGuess",
    "Guess",
    "Guesses",
    "OwnWords",
    "by_hash",
    "by_weights",
    "families_of",
    "family_of",
    "known_weights",
]


Group = tuple[FileRecord, ...]


def by_weights(records: Iterable[FileRecord]) -> tuple[Group, ...]:
    """Groups of files with the same weights, whatever their names, layouts and containers; in the order of `records`.

    A file whose fingerprint is not known is in no group.
    """
    return _groups(records, lambda file: file.weights)


def by_hash(records: Iterable[FileRecord]) -> tuple[Group, ...]:
    """Groups of files with the same bytes; in the order of `records`. A file without a known hash is in no group."""
    return _groups(records, lambda file: file.sha256)


def _groups(records: Iterable[FileRecord], key: Callable[[FileRecord], str | None]) -> tuple[Group, ...]:
    found: dict[str, list[FileRecord]] = {}
    for file in records:
        known = key(file)
        if known is not None:
            found.setdefault(known, []).append(file)
    return tuple(tuple(group) for group in found.values() if len({_on_disk(file) for file in group}) > 1)


def _on_disk(file: FileRecord) -> Sequence[object]:
    """What two links to one file have in common: they take no room twice, so are no duplicates of each other."""
    identity = file.identity
    if identity is None or not identity.inode:
        return (str(file.path),)
    return identity.inode, identity.size, identity.mtime_ns


SPATIAL: Final = 8
"""Pixels a latent's side stands for, in every layout whose shapes are read."""
_VIDEO: Final = frozenset({"wan21", "wan22", "qwen"})
"""Their convolutions have a third axis, of time."""


@dataclass(frozen=True)
class Guess:
    """What the latent test has found: it is never sure."""

    family: str
    figure: float
    sure: bool = False


class OwnWords:
    """The families that the person has given to files, in `families.json`."""

    def __init__(self, file: Path) -> None:
        self._bound = Bound(file)

    @property
    def stamp(self) -> object:
        return self._bound.stamp

    def word(self, of: FileRecord) -> str | None:
        family = self._bound.value(of)
        return family if isinstance(family, str) and family in FAMILIES else None

    def put(self, of: FileRecord, family: str | None) -> None:
        """Remember it for these bytes; None takes it back. Raises UsageError for no family, DiskError."""
        if family is not None and family not in FAMILIES:
            known = ", ".join(FAMILIES)
            raise UsageError(say("“{text}” is not a family; these are: {known}.", text=family, known=known))
        self._bound.put(of, family)

    def carry(self, before: Identity, after: Path) -> None:
        """A word that is bound to a file's identity goes along when the file moves."""
        self._bound.carry(before, after)


class Guesses:
    """What the latent test found of files: bound to their bytes as tightly as these are known."""

    def __init__(self, records: RecordStore) -> None:
        self._section = records.guesses

    @property
    def stamp(self) -> object:
        """Another one after each change."""
        return self._section.revision

    def guess(self, of: FileRecord) -> Guess | None:
        found = self._found(bindings_of(of, is_lasting=False))
        if found is None or found.family is None or found.family not in FAMILIES or math.isnan(found.figure):
            return None
        return Guess(found.family, found.figure)

    def put(self, of: FileRecord, guess: Guess | None) -> None:
        """Remember it for these bytes; None forgets it."""
        first, *others = map(binding_key, bindings_of(of, is_lasting=False))
        known = [key for key in others if self._section.get(key) is not None]
        new = GuessRecord(first, guess.family, guess.figure) if guess is not None else GuessRecord(first, None)
        self._section.put(new, *(GuessRecord(key, None) for key in known))

    def carry(self, before: Identity, after: Path) -> None:
        """A guess that is bound to a file's identity goes along when the file moves."""
        found, now = self._found(bindings_of_identity(before, is_lasting=False)), identity_of(after)
        if found is not None and now is not None:
            self._section.put(found._replace(key=binding_key(tuple(now))))

    def _found(self, bindings: Iterable[Binding]) -> GuessRecord | None:
        """Return the guess that is bound the tightest."""
        records = (self._section.get(binding_key(binding)) for binding in bindings)
        return next((record for record in records if record is not None and record.family is not None), None)


def family_of(
    record: FileRecord,
    catalogue: Catalogue,
    words: OwnWords | None = None,
    siblings: Mapping[str, str] = MappingProxyType({}),
    guesses: Guesses | None = None,
) -> FamilyGuess:
    """The family of one file; `siblings` is what `known_weights` says of the library."""
    told = _told(record, catalogue, words)
    if told is not None:
        return told
    prints = record.fingerprints
    if prints is not None:
        # Who shares the encoder shares the latents: tunes of the decoder alone are common.
        for fingerprint in (prints.weights, prints.encoder):
            if fingerprint is not None and fingerprint in siblings:
                return FamilyGuess(siblings[fingerprint], "weights", sure=True)
    candidates = _by_shapes(record)
    if len(candidates) == 1:
        return FamilyGuess(candidates[0], "shapes")
    guess = guesses.guess(record) if guesses is not None else None
    if guess is not None:
        return FamilyGuess(guess.family, "latent test", figure=guess.figure)
    return FamilyGuess(None, candidates=candidates)


def known_weights(
    files: Iterable[FileRecord], catalogue: Catalogue, words: OwnWords | None = None
) -> Mapping[str, str]:
    """Fingerprint, of weights or of an encoder -> family, from the files whose family is known by themselves.

    One that two files contradict each other about is left out.
    """
    found: dict[str, set[str]] = {}
    for file in files:
        told = _told(file, catalogue, words)
        if told is not None and told.family is not None and file.fingerprints is not None:
            for fingerprint in (file.fingerprints.weights, file.fingerprints.encoder):
                if fingerprint is not None:
                    found.setdefault(fingerprint, set()).add(told.family)
    return {fingerprint: families.pop() for fingerprint, families in found.items() if len(families) == 1}


def families_of(
    files: Sequence[FileRecord],
    catalogue: Catalogue,
    words: OwnWords | None = None,
    guesses: Guesses | None = None,
) -> Sequence[FamilyGuess]:
    """The families of all files of a library, in their order."""
    siblings = known_weights(files, catalogue, words)
    return [family_of(file, catalogue, words, siblings, guesses) for file in files]


def _told(record: FileRecord, catalogue: Catalogue, words: OwnWords | None) -> FamilyGuess | None:
    """By the person, or by the catalogue."""
    word = words.word(record) if words is not None else None
    if word is not None:
        return FamilyGuess(word, "yours", sure=True)
    entry = catalogue.recognise(record.sha256) if record.sha256 is not None else None
    return FamilyGuess(entry.family, "hash", sure=True) if entry is not None else None


def _by_shapes(record: FileRecord) -> tuple[str, ...]:
    """Families that have as many latent channels; a video VAE's shapes are not read, so theirs are left out."""
    channels = record.latent_channels
    return tuple(
        id
        for id, facts in FAMILIES.items()
        if facts.latent_channels == channels and facts.spatial == SPATIAL and id not in _VIDEO
    )
