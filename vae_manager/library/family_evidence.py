"""The family of a file: the models whose latents it decodes.

The evidence, strongest first, is: the person's own setting; the catalogue's entry with the bytes; the known family of a
file with the same weights, or the same encoder; shapes that only one family has; the figure of the latent test. Shapes
cannot distinguish SD 1.x from SDXL, or SD 3.x from FLUX.1.

What a person or a test says is bound to the file's SHA-256 if that is known, else to its weights, else to its identity.
The first two follow the bytes by themselves; the last follows a renaming by `carry`, which `library.moving` calls.
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
    "FamilyGuesses",
    "FamilyOverrides",
    "FileAnnotations",
    "Group",
    "LatentTestGuess",
    "bindings_of",
    "bindings_of_identity",
    "entries_by_weights",
    "entry_of",
    "families_of",
    "family_of",
    "group_by_hash",
    "group_by_weights",
    "known_weights",
]


_IDENTITY: Final = ("path", "size", "mtime_ns", "inode")

Binding = tuple[object, ...]

Group = tuple[FileRecord, ...]

SPATIAL: Final = 8
"""Pixels along one side for a latent's pixel, in every layout whose shapes are read."""
FULL_WIDTH: Final = 64
"""Channels of the first level, of which every published VAE has at least as many."""
_VIDEO: Final = frozenset({"wan21", "wan22", "qwen"})
"""Families whose convolutions have a third axis, of time."""


class FileAnnotations:
    """Values of files, valid under any ctime.

    A value is looked up by the SHA-256 first, then by the weights, then by the identity; the last known hash counts too
    if a mode or a second name has changed. Safe to use from several threads; a damaged file is set aside, and a new one
    is begun.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._state = StateFile(file, list_of)
        self._lock = threading.Lock()
        self._values: dict[Binding, Any] | None = None
        self._stamp: object = None

    @property
    def stamp(self) -> object:
        """An object that differs after each write, by any process."""
        return identity_of(self._file)

    def value(self, record: FileRecord) -> Any:
        """Return the stored value of this file, under any name; None without one."""
        values = self._current()
        return next((values[binding] for binding in bindings_of(record, is_lasting=True) if binding in values), None)

    def put(self, record: FileRecord, value: Any) -> None:
        """Store `value` for this file, in place of its earlier one; None removes it.

        Raises DiskError if it cannot be written.
        """
        bindings = bindings_of(record, is_lasting=True)
        with self._lock:
            values = {binding: old for binding, old in self._read().items() if binding not in bindings}
            if value is not None:
                values[bindings[0]] = value
            self._write(values)

    def carry(self, before: Identity, after: Path) -> None:
        """Give `after` the value that is bound to the identity `before`: the file has the same bytes.

        Without one, `after` loses the value that it had under this name before: it may have been removed since. A value
        that is bound to the hash or the weights needs no copy.
        """
        now = identity_of(after)
        if now is None:
            return
        [then], [binding] = (bindings_of_identity(identity, is_lasting=True) for identity in (before, now))
        values = self._current()
        if values.get(then) == values.get(binding):
            return
        with self._lock:
            others = {other: value for other, value in self._read().items() if other != binding}
            self._write({**others, binding: values[then]} if then in values else others)

    def _current(self) -> Mapping[Binding, Any]:
        with self._lock:
            stamp = identity_of(self._file)
            if self._values is None or stamp != self._stamp:
                self._values, self._stamp = self._read(), stamp
            return self._values

    def _read(self) -> dict[Binding, Any]:
        return dict(self._state.items(self._pair))

    def _pair(self, item: Any) -> tuple[Binding, Any]:
        """Return the binding and the value of an item; raise for any other item."""
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
                msg(
                    "{path} cannot be written: {reason}",
                    code="not-writable",
                    path=self._file,
                    reason=error.strerror or error,
                )
            ) from error
        self._values, self._stamp = values, identity_of(self._file)


def bindings_of(record: FileRecord, *, is_lasting: bool) -> list[Binding]:
    """Return the possible bindings of a file's value, the tightest first; with `is_lasting`, those under any ctime."""
    known = [
        ("sha256", record.sha256),
        ("weights", record.fingerprints.weights if record.fingerprints is not None else None),
    ]
    last = record.last_fingerprints
    no_proof = [("sha256", record.last_sha256), ("weights", last.weights if last is not None else None)]
    return [
        *(binding for binding in known if binding[1] is not None),
        *(bindings_of_identity(record.identity, is_lasting=is_lasting) if record.identity is not None else ()),
        *(binding for binding in no_proof if binding[1] is not None),
    ]


def bindings_of_identity(identity: Identity, *, is_lasting: bool) -> list[Binding]:
    """Return the bindings to a file at its identity; a value from before ctimes were kept still counts."""
    return [*([] if is_lasting else [tuple(identity)]), tuple(identity)[: len(_IDENTITY)]]


def _item(binding: Binding, value: Any) -> dict[str, Any]:
    if len(binding) == 2:
        return {str(binding[0]): binding[1], "value": value}
    return {**dict(zip(_IDENTITY, binding, strict=True)), "value": value}


def group_by_weights(records: Iterable[FileRecord]) -> tuple[Group, ...]:
    """Return groups of files with the same weights, in the order of `records`, under any names, layouts and containers.

    A file without a known fingerprint is in no group.
    """
    return _groups(records, lambda file: file.weights)


def group_by_hash(records: Iterable[FileRecord]) -> tuple[Group, ...]:
    """Return groups of files with the same bytes, in the order of `records`.

    A file without a known hash is in no group.
    """
    return _groups(records, lambda file: file.sha256)


def _groups(records: Iterable[FileRecord], key: Callable[[FileRecord], str | None]) -> tuple[Group, ...]:
    found: dict[str, list[FileRecord]] = {}
    for file in records:
        known = key(file)
        if known is not None:
            found.setdefault(known, []).append(file)
    return tuple(tuple(group) for group in found.values() if len({_disk_identity(file) for file in group}) > 1)


def _disk_identity(file: FileRecord) -> Sequence[object]:
    """Return the common key of two links to one file: they use no space twice, so are no duplicates of each other."""
    identity = file.identity
    if identity is None or not identity.inode:
        return (str(file.path),)
    return identity.inode, identity.size, identity.mtime_ns


@dataclass(frozen=True)
class LatentTestGuess:
    """The result of the latent test, which is never certain."""

    family: str
    figure: float
    sure: bool = False


class FamilyOverrides:
    """The families that the person has given to files, in `families.json`."""

    def __init__(self, file: Path) -> None:
        self._bound = FileAnnotations(file)

    @property
    def stamp(self) -> object:
        """An object that differs after each write, by any process, so that a page knows when to judge anew."""
        return self._bound.stamp

    def get(self, record: FileRecord) -> str | None:
        """Return the family for the file's bytes, under any name; None without one, and for an unknown family."""
        family = self._bound.value(record)
        return family if isinstance(family, str) and family in FAMILIES else None

    def put(self, record: FileRecord, family: str | None) -> None:
        """Store the family for these bytes; None removes it. Raises UsageError for an unknown family, DiskError."""
        if family is not None and family not in FAMILIES:
            known = ", ".join(FAMILIES)
            raise UsageError(
                msg("“{text}” is not a family; these are: {known}.", code="bad-family", text=family, known=known)
            )
        self._bound.put(record, family)

    def carry(self, before: Identity, after: Path) -> None:
        """Copy a setting that is bound to a file's identity when the file moves."""
        self._bound.carry(before, after)


class FamilyGuesses:
    """The results of the latent test, bound to the files' bytes as tightly as these are known."""

    def __init__(self, records: RecordStore) -> None:
        self._section = records.guesses

    @property
    def stamp(self) -> object:
        """An object that differs after each change."""
        return self._section.revision

    def guess(self, record: FileRecord) -> LatentTestGuess | None:
        """Return the guess for the file; None without one, and for a family or a figure that is not valid."""
        found = self._found(bindings_of(record, is_lasting=False))
        if found is None or found.family is None or found.family not in FAMILIES or math.isnan(found.figure):
            return None
        return LatentTestGuess(found.family, found.figure)

    def put(self, record: FileRecord, guess: LatentTestGuess | None) -> None:
        """Store the guess for these bytes; None removes it."""
        first, *others = map(binding_key, bindings_of(record, is_lasting=False))
        known = [key for key in others if self._section.get(key) is not None]
        new = GuessRecord(first, guess.family, guess.figure) if guess is not None else GuessRecord(first, None)
        self._section.put(new, *(GuessRecord(key, None) for key in known))

    def carry(self, before: Identity, after: Path) -> None:
        """Copy a guess that is bound to a file's identity when the file moves."""
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
    overrides: FamilyOverrides | None = None,
    siblings: Mapping[str, FamilyGuess] = MappingProxyType({}),
    guesses: FamilyGuesses | None = None,
) -> FamilyGuess:
    """Return the family of one file; `siblings` is the result of `known_weights` for the library."""
    stated = _stated_family(record, catalogue, overrides)
    if stated is not None:
        return stated
    fingerprints = record.fingerprints
    if fingerprints is not None:
        # Files with the same encoder share the latents: tunes of the decoder alone are common.
        for fingerprint in (fingerprints.weights, fingerprints.encoder):
            if fingerprint is not None and fingerprint in siblings:
                return siblings[fingerprint]
    candidates = _families_by_shape(record)
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
    files: Iterable[FileRecord], catalogue: Catalogue, overrides: FamilyOverrides | None = None
) -> Mapping[str, FamilyGuess]:
    """Return the family by fingerprint, of weights or of an encoder, from the files with a known family.

    The catalogue's entry precedes a person's setting for another file, which is a guess if only the encoder is the
    same. A fingerprint with contradicting families is left out.
    """
    published: dict[str, set[FamilyGuess]] = {}
    own: dict[str, set[FamilyGuess]] = {}
    for file in files:
        fingerprints = file.fingerprints
        if fingerprints is None:
            continue
        entry = catalogue.recognise(file.sha256) if file.sha256 is not None else None
        get = overrides.get(file) if overrides is not None else None
        for fingerprint, is_whole in ((fingerprints.weights, True), (fingerprints.encoder, False)):
            if fingerprint is None:
                continue
            if entry is not None:
                published.setdefault(fingerprint, set()).add(FamilyGuess(entry.family, "weights", sure=True))
            if get is not None:
                evidence: FamilyEvidence = "yours by weights" if is_whole else "yours by encoder"
                own.setdefault(fingerprint, set()).add(FamilyGuess(get, evidence, sure=is_whole))
    return {
        fingerprint: next(iter(guesses)) for fingerprint, guesses in {**own, **published}.items() if len(guesses) == 1
    }


def families_of(
    files: Sequence[FileRecord],
    catalogue: Catalogue,
    overrides: FamilyOverrides | None = None,
    guesses: FamilyGuesses | None = None,
) -> Sequence[FamilyGuess]:
    """Return the families of all files of a library, in their order."""
    siblings = known_weights(files, catalogue, overrides)
    return [family_of(file, catalogue, overrides, siblings, guesses) for file in files]


def _stated_family(record: FileRecord, catalogue: Catalogue, overrides: FamilyOverrides | None) -> FamilyGuess | None:
    """Return the family by the person's setting, or by the catalogue."""
    get = overrides.get(record) if overrides is not None else None
    if get is not None:
        return FamilyGuess(get, "yours", sure=True)
    entry = catalogue.recognise(record.sha256) if record.sha256 is not None else None
    return FamilyGuess(entry.family, "hash", sure=True) if entry is not None else None


def _families_by_shape(record: FileRecord) -> tuple[str, ...]:
    """Return families that have as many latent channels.

    A video VAE's shapes are not read, so it gets no family, and their families are left out; nor does a whole network
    with latents of another size.
    """
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
