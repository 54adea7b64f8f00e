"""What the VAE inside the loaded checkpoint is, so that Built-in has a name too."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...catalogue import Entry
from ...errors import VaeManagerError
from ...library import VaeFile
from ...sentences import Sentence, say
from ...service import Service
from ..hosts.acts import InUse
from .memo import Memo

if TYPE_CHECKING:
    from ...files import FileRecord, Identity
    from ..hosts.host import Host


@dataclass(frozen=True)
class Builtin:
    """The loaded checkpoint's own VAE, as far as it is known by now."""

    is_known: bool = False
    """The fingerprint of its weights has been taken."""
    is_missing: bool = False
    """The checkpoint's file holds no VAE: the WebUI leaves in the model whatever was there before."""
    twins: Sequence[VaeFile] = ()
    """Files here with the same weights: to choose one of them changes nothing."""
    entry: Entry | None = None
    """What the catalogue calls these weights, where it knows one of the twins."""

    @property
    def name(self) -> str | None:
        """What people know these weights by: an entry of the catalogue, else a file that is here."""
        if self.entry is not None:
            return self.entry.name
        return self.twins[0].name if self.twins else None


def read_builtin(
    host: Host, service: Service, in_use: InUse, files: Sequence[VaeFile], memo: Memo
) -> Builtin:
    """Look at the header of the checkpoint, and at fingerprints that are known. Has those of the checkpoint's VAE, of
    the file in use and of files that the catalogue knows taken in the background: some 335 MB are read for each, once.
    Of all files that could take hours."""
    from ...files import identity_of

    identity = identity_of(Path(in_use.checkpoint_file)) if in_use.checkpoint_file else None
    if identity is None:
        return Builtin()
    if not _holds_vae(identity):
        return Builtin(is_missing=True)
    own = Path(identity.path)
    records = service.upkeep.records(files)
    if host.may_hash():
        recognised = memo.get("recognised", (files, records, service.catalogue), (service.hashes.revision,),
                              lambda: _recognised(service, files, records))  # fmt: skip
        service.learn([own, *([Path(in_use.path)] if in_use.path else []), *recognised])
    prints = service.index.known_fingerprints(own)
    if prints is None:
        return Builtin()
    weights = prints.weights
    twins = memo.get("twins", (files, records), (weights,), lambda: [
        file for file in files if file.path in records and records[file.path].weights == weights
    ])  # fmt: skip
    entries = [entry for file in twins if (entry := records[file.path].entry) is not None]
    return Builtin(is_known=True, twins=twins, entry=entries[0] if entries else None)


def _recognised(service: Service, files: Sequence[VaeFile], records: Mapping[Path, FileRecord]) -> Sequence[Path]:
    """Files that the catalogue knows by their bytes, and whose fingerprints are unknown."""
    found = []
    for file in files:
        record = records.get(file.path)
        if record is None:
            is_lacking = service.recognise(file.path) is not None
        else:
            is_lacking = record.weights is None and (
                record.sha256 is not None and service.catalogue.recognise(record.sha256) is not None
            )
        if is_lacking:
            found.append(file.path)
    return found


def builtin_notices(builtin: Builtin, in_use: InUse) -> Sequence[Sentence]:
    if builtin.is_missing and in_use.path is None:
        return [
            say(
                "{checkpoint} holds no VAE of its own: its pictures are decoded by whatever was in the model before. "
                "Choose a VAE.",
                checkpoint=in_use.checkpoint,
            )
        ]
    if any(str(twin.path) == in_use.path for twin in builtin.twins):
        return [
            say(
                "{file} has the same weights as the checkpoint's own VAE: choosing it changes nothing.",
                file=Path(in_use.path or "").name,
            )
        ]
    return []


@functools.lru_cache(maxsize=16)
def _holds_vae(identity: Identity) -> bool:
    """True also where that cannot be told: then nothing is said."""
    from ...files import inspect

    try:
        record = inspect(Path(identity.path))
    except VaeManagerError:
        return True
    return record.layout != "checkpoint" or record.has_decoder
