"""Facts about the components of the checkpoint, as the page shows them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...catalogue import PublishedFile
from ...downloads import UnfinishedDownload
from ...errors import VaeManagerError
from ...files import FileRecord, Identity, identity_of, inspect
from ...jobs import JobView
from ...library import VaeFile
from ...library.needs import Component, Needs, encoder_files, needs_of
from ...records.verdict import HOSTS, HostCapability
from ...service import Service
from ..hosts.host import Host

__all__ = ["NeedRow", "NeedsFacts", "best_files", "folder_for", "read_needs", "read_needs_facts", "use_components"]


@dataclass(frozen=True)
class NeedRow:
    """One component on the page."""

    component: Component
    chosen: Path | None
    """The file for it that the next picture is made with; None if none is set."""
    entry: PublishedFile | None
    """The file to download, if the component is missing and one is known."""
    job: JobView | None
    """The last download of `entry`."""
    left: UnfinishedDownload | None
    """The unfinished download of `entry` by an earlier process."""

    @property
    def to_come(self) -> int:
        """Bytes to download; an entry of unknown size counts as nothing."""
        if self.entry is None or self.entry.size is None:
            return 0
        return self.entry.size - (self.left.done if self.left is not None else 0)


@dataclass(frozen=True)
class NeedsFacts:
    """The components of the checkpoint that is loaded or comes with the next picture."""

    needs: Needs
    rows: Sequence[NeedRow]
    """Without the components that the checkpoint's own file holds."""
    terms: Sequence[PublishedFile]
    """Entries to download under other terms than MIT or Apache that were not accepted yet."""

    @property
    def size(self) -> int:
        """Bytes to download; entries of unknown size count as nothing."""
        return sum(row.to_come for row in self.rows)

    @property
    def is_ready(self) -> bool:
        """True if the next picture is made with a file for each component that it needs."""
        return all(row.chosen is not None or row.component.is_optional for row in self.rows)


def read_needs(host: Host, service: Service, files: Sequence[VaeFile]) -> Needs | None:
    """Return the components of the checkpoint; None without a known checkpoint, or on a WebUI that takes none.

    Queues the hashing of files whose hash decides. `files` are the files of the library.
    """
    checkpoint, name = host.next_checkpoint(), host_id(host.capability)
    if checkpoint is None or name is None or not host.encoder_folders():
        return None
    record = _record(checkpoint)
    if record is None:
        return None
    records = service.maintenance.records(files)
    needs = needs_of(
        record,
        name,
        vaes=[known for file in files if file.folder.purpose == "vae" and (known := records.get(file.path))],
        encoders=[known for path in encoder_files(host.encoder_folders()) if (known := _record(path)) is not None],
        catalogue=service.catalogue,
        chosen=host.components(),
    )
    if host.may_hash():
        service.hash_in_background(one.path for one in needs.undecided)
    return needs


def read_needs_facts(
    host: Host, service: Service, files: Sequence[VaeFile], left: Sequence[UnfinishedDownload]
) -> NeedsFacts | None:
    """Return what the page shows of `read_needs`; None if the checkpoint brings everything, or nothing is known.

    `left` are the unfinished downloads of earlier processes.
    """
    needs = read_needs(host, service, files)
    if needs is None or not needs.runs:
        return None
    chosen = set(host.components())
    jobs = {one.wanted.request.sha256: one.job for one in service.downloads.views()}
    unfinished = {one.request.sha256: one for one in left}
    rows = [_row(component, chosen, jobs, unfinished) for component in needs.components if not component.is_carried]
    if not rows:
        return None
    entries = [row.entry for row in rows if row.entry is not None]
    return NeedsFacts(
        needs,
        rows,
        terms=[entry for entry in entries if service.terms_are_open(entry)],
    )


def _row(
    component: Component,
    chosen: set[Path],
    jobs: Mapping[str | None, JobView],
    unfinished: Mapping[str | None, UnfinishedDownload],
) -> NeedRow:
    entry = component.entries[0] if component.is_missing and component.entries else None
    used = next((record.path for record in component.here if record.path in chosen), None)
    if entry is None:
        return NeedRow(component, used, None, None, None)
    return NeedRow(component, used, entry, jobs.get(entry.sha256), unfinished.get(entry.sha256))


def best_files(needs: Needs) -> list[Path]:
    """Return the best file here for each component that the checkpoint's file lacks."""
    return [component.here[0].path for component in needs.components if component.here and not component.is_carried]


def use_components(host: Host, needs: Needs) -> None:
    """Set the WebUI to load the best file for each component. Raises RefusedError or DiskError."""
    if needs.facts is not None:
        host.use_components(best_files(needs), needs.facts.engine.presets)


def folder_for(host: Host, component: Component) -> Path:
    """Return the folder for the download of a component."""
    return host.download_folder() if component.is_vae else host.encoder_folders()[-1]


def host_id(capability: HostCapability) -> str | None:
    """Return the key of `HOSTS` for a WebUI; None for an unknown one."""
    return next((name for name, known in HOSTS.items() if known.name == capability.name), None)


def _record(path: Path) -> FileRecord | None:
    """Return the record of a file; None if it cannot be read, which other parts of the page report."""
    identity = identity_of(path)
    return _record_of(identity) if identity is not None else None


@functools.lru_cache(maxsize=512)
def _record_of(identity: Identity) -> FileRecord | None:
    try:
        return inspect(Path(identity.path))
    except VaeManagerError:
        return None
