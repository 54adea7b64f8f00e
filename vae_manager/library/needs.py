"""Components that a checkpoint needs: its VAE and its text encoders, and the files that can serve as each.

Pure: the caller inspects the files and hashes those that are `undecided`. Names of files play no part.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..catalogue import FAMILIES, Catalogue, EncoderEntry, PublishedFile
from ..catalogue.engines import ENCODERS
from ..files.checkpoint import EngineFacts, carried, encoder_of, engine_of, is_encoder
from ..files.headers import TensorTable
from ..files.record import FileRecord
from ..records.verdict import HOSTS, Refused, UsableAfter, VaeSignature, verdict

__all__ = ["VAE", "Component", "Needs", "encoder_files", "fields_of", "needs_of", "state_of"]

VAE: Final = "vae"
"""The role of a VAE; that of a text encoder is its kind, a key of `ENCODERS`."""
_ENCODER_SUFFIXES: Final = (".safetensors", ".sft", ".gguf", ".ckpt", ".pt", ".pth", ".bin")
"""Extensions that Forge and Neo list in their folder of text encoders (modules_forge/main_entry.py refresh_models)."""
GGUF: Final = "gguf"
"""Container of quantised text encoders."""
MAX_FILES: Final = 2000
"""Files that are looked at; the rest of a larger library is left out."""
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
        """True if the WebUI has this engine, and reads its network in this form."""
        if self.facts is None or self.host not in self.facts.engine.hosts:
            return False
        return self.host == "neo" or not (self.facts.is_diffusers or self.facts.dtype == "svdq")

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
    found: dict[Path, None] = {}
    for folder in folders:
        # What cannot be read, or goes away meanwhile, is left out: a WebUI lists the rest too.
        for place, _, names in os.walk(folder):
            for name in names:
                path = Path(place, name)
                if path.suffix.lower() in _ENCODER_SUFFIXES and _is_file(path) and len(found) < MAX_FILES:
                    found[path] = None
    return tuple(sorted(found))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def needs_of(
    checkpoint: FileRecord,
    host: str,
    *,
    files: Sequence[FileRecord],
    catalogue: Catalogue,
    chosen: Sequence[Path] = (),
) -> Needs:
    """Return the components of a checkpoint on a WebUI, a key of `HOSTS`.

    `files` are those of the VAE folders and of the folders of text encoders, which a WebUI lists as one; `chosen` are
    those that it is set to load.
    """
    facts = engine_of(checkpoint.tensors)
    if facts is None:
        return Needs(checkpoint.path, host, None)
    inside = carried(checkpoint.tensors)
    order = _Order(catalogue, chosen)
    components = [_vae(facts, host, inside.has_vae, files, order)]
    for kind in facts.engine.encoders:
        entries = catalogue.offered_encoders(kind, facts.engine.id)
        here = [record for record in files if _is_kind(record, kind) and _suits(record, facts, catalogue)]
        components.append(
            Component(
                kind,
                ENCODERS[kind].label,
                is_carried=kind in inside.kinds,
                is_optional=kind not in facts.engine.needed(host),
                here=order.sorted(here, entries),
                entries=entries,
            )
        )
    return Needs(checkpoint.path, host, facts, tuple(components))


def _vae(facts: EngineFacts, host: str, is_carried: bool, files: Sequence[FileRecord], order: _Order) -> Component:
    capability = HOSTS[host]
    families = set(facts.families)
    here, undecided = [], []
    for record in files:
        answer = verdict(record, capability, VaeSignature(None, facts.family))
        if isinstance(answer, Refused | UsableAfter) or record.is_arriving:
            continue
        known = {record.family.family} if record.family.family is not None else set(record.family.candidates)
        possible = known & {*capability.families, *families}
        is_chosen = record.path in order.chosen  # the person knows better than the shapes
        if possible and (possible <= families or (is_chosen and possible & families)):
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
    """Return True for a whole file of this text encoder that the WebUI's loader takes for one.

    GGUF is a format of text encoders, if not of VAEs.
    """
    is_gguf = record.container == GGUF
    problems = {problem.code for problem in record.problems} - ({"other-format"} if is_gguf else set())
    if problems or record.is_arriving or record.table is None:
        return False
    return (is_gguf or is_encoder(record.table)) and _kind(record.table, record.metadata.get(_ARCHITECTURE)) == kind


@functools.lru_cache(maxsize=4096)
def _kind(table: TensorTable, architecture: str | None) -> str | None:
    found = encoder_of(table, architecture)
    return found.kind if found is not None else None


def _suits(record: FileRecord, facts: EngineFacts, catalogue: Catalogue) -> bool:
    """Return False for published weights that are known to be for other engines."""
    entry = catalogue.published(record.sha256) if record.sha256 is not None else None
    return not isinstance(entry, EncoderEntry) or not entry.engines or facts.engine.id in entry.engines


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


def state_of(component: Component) -> str:
    """Return `here`, `carried` (in the checkpoint's own file), `optional` or `missing`."""
    if component.here:
        return "here"
    if component.is_carried:
        return "carried"
    return "optional" if component.is_optional else "missing"


def fields_of(needs: Needs, shown: Callable[[Path], str] = str) -> dict[str, Any]:
    """Return the fields of JSON for a known engine; `shown` returns a path as the reader may see it."""
    assert needs.facts is not None
    return {
        "checkpoint": shown(needs.checkpoint),
        "host": needs.host,
        "engine": needs.facts.engine.id,
        "families": list(needs.facts.families),
        "variant": needs.facts.variant,
        "dtype": needs.facts.dtype,
        "complete": not needs.missing,
        "components": [
            {
                "role": component.role,
                "label": component.label,
                "state": state_of(component),
                "files": [shown(record.path) for record in component.here],
                "undecided": [shown(record.path) for record in component.undecided],
                "entries": [entry.id for entry in component.entries],
            }
            for component in needs.components
        ],
    }
