"""The family of a file: whose latents it turns into pictures.

The person's own word wins; then the catalogue knows the bytes; then the family of a file with the same weights, or the
same encoder, is known; then the shapes leave one family only; then the latent test has given a figure. Shapes tell no
SD 1.x from SDXL, and no SD 3.x from FLUX.1.
"""

from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from ..catalogue import FAMILIES, Catalogue, Entry, FamilyGuess
from ..catalogue.entry import FamilyEvidence
from ..errors import DiskError, UsageError
from ..files import FileRecord, Identity, TensorTable, identity_of
from ..files.architecture import architecture_of
from ..files.layouts import renamed_vae
from ..files.state_file import StateFile, list_of
from ..messages import msg
from ..records import GuessRecord, RecordStore, binding_key

__all__ = [
    "Binding",
    "FamilyGuess",
    "FamilyOverrides",
    "FileAnnotations",
    "Guess",
    "Guesses",
    "bindings_of",
    "bindings_of_identity",
    "by_hash",
    "by_weights",
    "entries_by_weights",
    "entry_of",
    "families_of",
    "family_of",
    "known_weights",
]


_IDENTITY: Final = ("path", "size", "mtime_ns", "inode")

Binding = tuple[object, ...]


class FileAnnotations:
    """Values of files, which hold under any ctime. The SHA-256 is asked first, then the weights, then the identity; a
    hash that is not known any more, since a mode or a second name has changed, counts as before.

    Safe to use from several threads; a file that is damaged is set aside, and a new one is begun.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state = StateFile(file, list_of)
        self._lock = threading.Lock()
        self._values: dict[Binding, Any] | None = None
        self._stamp: object = None

    @property
    def stamp(self) -> object:
        """Another one whenever something has been put there, by whomever."""
        return identity_of(self._file)

    def value(self, of: FileRecord) -> Any:
        """What was put there for this file, under whatever name it is here now; None for nothing."""
        values = self._current()
        return next((values[binding] for binding in bindings_of(of, is_lasting=True) if binding in values), None)

    def put(self, of: FileRecord, value: Any) -> None:
        """Say `value` of this file, in place of what was said before; None takes it back.

        Raises DiskError where it cannot be written.
        """
        bindings = bindings_of(of, is_lasting=True)
        with self._lock:
            values = {binding: old for binding, old in self._read().items() if binding not in bindings}
            if value is not None:
                values[bindings[0]] = value
            self._write(values)

    def carry(self, before: Identity, after: Path) -> None:
        """What was said of the file that `before` stands for holds for `after` too, which has the same bytes."""
        now = identity_of(after)
        values = self._current()
        bindings = bindings_of_identity(before, is_lasting=True)
        value = next((values[binding] for binding in bindings if binding in values), None)
        if value is None or now is None:
            return
        with self._lock:
            self._write({**self._read(), bindings_of_identity(now, is_lasting=True)[0]: value})

    def _current(self) -> Mapping[Binding, Any]:
        with self._lock:
            stamp = identity_of(self._file)
            if self._values is None or stamp != self._stamp:
                self._values, self._stamp = self._read(), stamp
            return self._values

    def _read(self) -> dict[Binding, Any]:
        return dict(self._state.items(self._pair))

    def _pair(self, item: Any) -> tuple[Binding, Any]:
        """Raises for what binds no value to a file."""
        binding, value = self._binding(item), item["value"]
        hash(binding)
        return binding, value

    def _binding(self, item: Any) -> Binding:
        for kind in ("sha256", "weights"):
            if kind in item:
                return kind, str(item[kind])
        return tuple(item[name] for name in _IDENTITY)

    def _write(self, values: dict[Binding, Any]) -> None:
        try:
            self._state.write([_item(*pair) for pair in values.items()], indent=1)
        except OSError as error:
            raise DiskError(
                msg("{path} cannot be written: {reason}", path=self._file, reason=error.strerror or error)
            ) from error
        self._values, self._stamp = values, identity_of(self._file)


def bindings_of(of: FileRecord, *, is_lasting: bool) -> list[Binding]:
    """What a value of a file can be bound to, the tightest first; with `is_lasting`, it holds under any ctime."""
    known = [("sha256", of.sha256), ("weights", of.fingerprints.weights if of.fingerprints is not None else None)]
    last = of.last_fingerprints
    no_proof = [("sha256", of.last_sha256), ("weights", last.weights if last is not None else None)]
    return [
        *(binding for binding in known if binding[1] is not None),
        *(bindings_of_identity(of.identity, is_lasting=is_lasting) if of.identity is not None else ()),
        *(binding for binding in no_proof if binding[1] is not None),
    ]


def bindings_of_identity(identity: Identity, *, is_lasting: bool) -> list[Binding]:
    """The bindings to a file as it is; a value from before ctimes were kept still counts."""
    return [*([] if is_lasting else [tuple(identity)]), tuple(identity)[: len(_IDENTITY)]]


def _item(binding: Binding, value: Any) -> dict[str, Any]:
    if len(binding) == 2:
        return {str(binding[0]): binding[1], "value": value}
    return {**dict(zip(_IDENTITY, binding, strict=True)), "value": value}


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
FULL_WIDTH: Final = 64
"""Channels of the first level, of which every published VAE has at least as many."""
_VIDEO: Final = frozenset({"wan21", "wan22", "qwen"})
"""Their convolutions have a third axis, of time."""


@dataclass(frozen=True)
class Guess:
    """What the latent test has found: it is never sure."""

    family: str
    figure: float
    sure: bool = False


class FamilyOverrides:
    """The families that the person has given to files, in `families.json`."""

    def __init__(self, file: Path) -> None:
        self._bound = FileAnnotations(file)

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
            raise UsageError(msg("“{text}” is not a family; these are: {known}.", text=family, known=known))
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
    words: FamilyOverrides | None = None,
    siblings: Mapping[str, FamilyGuess] = MappingProxyType({}),
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
                return siblings[fingerprint]
    candidates = _by_shapes(record)
    if len(candidates) == 1:
        return FamilyGuess(candidates[0], "shapes")
    guess = guesses.guess(record) if guesses is not None else None
    if guess is not None:
        return FamilyGuess(guess.family, "latent test", figure=guess.figure)
    return FamilyGuess(None, candidates=candidates)


def entries_by_weights(records: Iterable[FileRecord], catalogue: Catalogue) -> Mapping[str, Entry]:
    """Return the catalogue's entry of a file with these weights, by fingerprint."""
    found = {}
    for record in records:
        entry = catalogue.recognise(record.sha256) if record.sha256 is not None else None
        if entry is not None and record.weights is not None:
            found[record.weights] = entry
    return found


def entry_of(record: FileRecord, catalogue: Catalogue, by_weights: Mapping[str, Entry]) -> Entry | None:
    """Return the catalogue's entry with the bytes of a file, else the one with its weights."""
    entry = catalogue.recognise(record.sha256) if record.sha256 is not None else None
    return entry or (by_weights.get(record.weights) if record.weights is not None else None)


def known_weights(
    files: Iterable[FileRecord], catalogue: Catalogue, words: FamilyOverrides | None = None
) -> Mapping[str, FamilyGuess]:
    """Fingerprint, of weights or of an encoder -> family, from the files whose family is known by themselves.

    The catalogue's word comes before a person's word on another file, which is a guess where the encoder alone is the
    same. A fingerprint that two files contradict each other about is left out.
    """
    published: dict[str, set[FamilyGuess]] = {}
    said: dict[str, set[FamilyGuess]] = {}
    for file in files:
        prints = file.fingerprints
        if prints is None:
            continue
        entry = catalogue.recognise(file.sha256) if file.sha256 is not None else None
        word = words.word(file) if words is not None else None
        for fingerprint, is_whole in ((prints.weights, True), (prints.encoder, False)):
            if fingerprint is None:
                continue
            if entry is not None:
                published.setdefault(fingerprint, set()).add(FamilyGuess(entry.family, "weights", sure=True))
            if word is not None:
                evidence: FamilyEvidence = "yours by weights" if is_whole else "yours by encoder"
                said.setdefault(fingerprint, set()).add(FamilyGuess(word, evidence, sure=is_whole))
    return {
        fingerprint: next(iter(guesses)) for fingerprint, guesses in {**said, **published}.items() if len(guesses) == 1
    }


def families_of(
    files: Sequence[FileRecord],
    catalogue: Catalogue,
    words: FamilyOverrides | None = None,
    guesses: Guesses | None = None,
) -> Sequence[FamilyGuess]:
    """The families of all files of a library, in their order."""
    siblings = known_weights(files, catalogue, words)
    return [family_of(file, catalogue, words, siblings, guesses) for file in files]


def _told(record: FileRecord, catalogue: Catalogue, words: FamilyOverrides | None) -> FamilyGuess | None:
    """By the person, or by the catalogue."""
    word = words.word(record) if words is not None else None
    if word is not None:
        return FamilyGuess(word, "yours", sure=True)
    entry = catalogue.recognise(record.sha256) if record.sha256 is not None else None
    return FamilyGuess(entry.family, "hash", sure=True) if entry is not None else None


def _by_shapes(record: FileRecord) -> tuple[str, ...]:
    """Return families that have as many latent channels. A video VAE's shapes are not read, so it has none, and theirs
    are left out; nor has a whole network whose latents have another size."""
    channels = record.latent_channels
    if record.facts.kind == "video" or _has_other_latents(record.tensors):
        return ()
    return tuple(
        id
        for id, facts in FAMILIES.items()
        if facts.latent_channels == channels and facts.spatial == SPATIAL and id not in _VIDEO
    )


@functools.lru_cache(maxsize=1024)
def _has_other_latents(tensors: TensorTable) -> bool:
    """Return True for a network of full width whose latents are not an eighth of a picture's side."""
    found = renamed_vae(tensors)
    network = architecture_of({name: one.shape for name, one in found.tensors.items()}) if found is not None else None
    return network is not None and network.decoder_widths[0] >= FULL_WIDTH and network.factor != SPATIAL
