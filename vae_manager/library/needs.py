"""Components that a checkpoint needs: its VAE and its text encoders, and the files that can serve as each.

Pure: the caller inspects the files and hashes those that are `undecided`. Names of files play no part.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..catalogue import FAMILIES, Catalogue, PublishedFile
from ..catalogue.engines import ENCODERS
from ..files.checkpoint import EngineFacts, carried, encoder_of, engine_of
from ..files.record import FileRecord
from ..records.verdict import HOSTS, Refused, UsableAfter, VaeSignature, verdict

__all__ = ["VAE", "Component", "Needs", "encoder_files", "needs_of"]

VAE: Final = "vae"
"""The role of a VAE; that of a text encoder is its kind, a key of `ENCODERS`."""
_ENCODER_SUFFIXES: Final = (".safetensors", ".gguf", ".ckpt", ".pt", ".pth", ".bin")
"""Extensions that Forge and Neo list in their folder of text encoders (modules_forge/main_entry.py refresh_models)."""
GGUF: Final = "gguf"
"""Container of quantised text encoders."""
MAX_FILES: Final = 2000
"""Files of one folder of text encoders that are looked at."""
_ARCHITECTURE: Final = "general.architecture"
"""Key of a GGUF file's metadata, which distinguishes text encoders with equal tensors."""


@dataclass(frozen=True)
class Component:
    """One part of a model, and where it is or can come from."""

    role: str
    """`VAE`, or a key of `ENCODERS`."""
    label: str
    """A proper name, the same in every language: the text encoder's, or the label of the VAE's family."""
    is_carried: bool = False
    """The checkpoint's own file holds it."""
    is_optional: bool = False
    """The WebUI can do without it."""
    here: tuple[FileRecord, ...] = ()
    """Files that can serve, the best first: those that are chosen now, published ones, then others by size."""
    undecided: tuple[FileRecord, ...] = ()
    """VAEs that fit by their shapes, but may be of another family: the hash of one that is published decides."""
    entries: tuple[PublishedFile, ...] = ()
    """Files that can be downloaded, best advice first."""

    @property
    def is_vae(self) -> bool:
        """True for the VAE, False for a text encoder."""
        return self.role == VAE

    @property
    def is_missing(self) -> bool:
        """True if pictures cannot be made without a download."""
        return not (self.is_carried or self.is_optional or self.here)


@dataclass(frozen=True)
class Needs:
    """All components of one checkpoint on one WebUI."""

    checkpoint: Path
    host: str
    """A key of `records.verdict.HOSTS`."""
    facts: EngineFacts | None
    """The engine; None if it is unknown: then nothing is known of its components either."""
    components: tuple[Component, ...] = ()
    """The VAE first."""

    @property
    def runs(self) -> bool:
        """True if the WebUI has this engine."""
        return self.facts is not None and self.host in self.facts.engine.hosts

    @property
    def missing(self) -> tuple[Component, ...]:
        """The components that pictures cannot be made without, and that are not here."""
        return tuple(component for component in self.components if component.is_missing)

    @property
    def undecided(self) -> tuple[FileRecord, ...]:
        """Files whose hashes are unknown and would decide whether they can serve."""
        found = (record for component in self.components for record in component.undecided)
        return tuple(record for record in found if record.sha256 is None)


def encoder_files(folders: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files in folders of text encoders that a WebUI lists, sorted; a folder need not exist."""
    found = (
        path
        for folder in folders
        for path in itertools.islice(folder.rglob("*"), MAX_FILES)
        if path.suffix.lower() in _ENCODER_SUFFIXES and path.is_file()
    )
    return tuple(sorted(dict.fromkeys(found)))


def needs_of(
    checkpoint: FileRecord,
    host: str,
    *,
    vaes: Sequence[FileRecord],
    encoders: Sequence[FileRecord],
    catalogue: Catalogue,
    chosen: Sequence[Path] = (),
) -> Needs:
    """Return the components of a checkpoint on a WebUI, a key of `HOSTS`.

    `vaes` and `encoders` are the files of the folders of each, `chosen` the files that the WebUI is set to load now.
    """
    facts = engine_of(checkpoint.tensors)
    if facts is None:
        return Needs(checkpoint.path, host, None)
    inside = carried(checkpoint.tensors)
    order = _Order(catalogue, chosen)
    components = [_vae(facts, host, inside.has_vae, vaes, order)]
    for kind in facts.engine.encoders:
        entries = catalogue.offered_encoders(kind, facts.engine.id)
        components.append(
            Component(
                kind,
                ENCODERS[kind].label,
                is_carried=kind in inside.kinds,
                is_optional=kind not in facts.engine.needed(host),
                here=order.sorted([record for record in encoders if _is_kind(record, kind)], entries),
                entries=entries,
            )
        )
    return Needs(checkpoint.path, host, facts, tuple(components))


def _vae(facts: EngineFacts, host: str, is_carried: bool, vaes: Sequence[FileRecord], order: _Order) -> Component:
    capability = HOSTS[host]
    families = set(facts.families)
    here, undecided = [], []
    for record in vaes:
        answer = verdict(record, capability, VaeSignature(None, facts.family))
        if isinstance(answer, Refused | UsableAfter) or record.is_arriving:
            continue
        known = {record.family.family} if record.family.family is not None else set(record.family.candidates)
        possible = known & {*capability.families, *families}
        if possible and possible <= families:
            here.append(record)
        elif possible & families:
            undecided.append(record)
    entries = [
        entry for family in facts.families for entry in order.catalogue.offered(family) if capability.can_use(entry)
    ]
    return Component(
        VAE,
        ", ".join(FAMILIES[family].label for family in facts.families),
        is_carried=is_carried,
        here=order.sorted(here, entries),
        undecided=tuple(undecided),
        entries=tuple(entries),
    )


def _is_kind(record: FileRecord, kind: str) -> bool:
    """Return True for a whole file of this text encoder. GGUF is a format of text encoders, if not of VAEs."""
    problems = {problem.code for problem in record.problems} - ({"other-format"} if record.container == GGUF else set())
    if problems or record.is_arriving:
        return False
    found = encoder_of(record.tensors, record.metadata.get(_ARCHITECTURE))
    return found is not None and found.kind == kind


@dataclass(frozen=True)
class _Order:
    """The order in which files are proposed."""

    catalogue: Catalogue
    chosen: Sequence[Path]

    def sorted(self, records: Sequence[FileRecord], entries: Sequence[PublishedFile]) -> tuple[FileRecord, ...]:
        rank = {entry.sha256: number for number, entry in enumerate(entries)}

        def key(record: FileRecord) -> tuple[bool, int, int, str]:
            published = rank.get(record.sha256 or "", len(rank))
            return record.path not in self.chosen, published, -record.size, str(record.path)

        return tuple(sorted(records, key=key))
