"""Facts about the components of the checkpoint, as the page shows them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ...catalogue import PublishedFile
from ...downloads import UnfinishedDownload
from ...errors import VaeManagerError
from ...files import FileRecord, Identity, identity_of, inspect
from ...jobs import JobView
from ...library import VaeFile
from ...library.needs import Component, Needs, encoder_files, needs_of
from ...messages import Message
from ...records.verdict import HOSTS, HostCapability
from ...service import Service
from ..hosts.host import Host
from ..hosts.host_values import Permission

__all__ = [
    "NeedRow",
    "NeedsFacts",
    "best_files",
    "folder_for",
    "is_checking",
    "read_needs",
    "read_needs_facts",
    "use_components",
    "wait_until_known",
]

INSPECTION_PATIENCE_S = 60.0
"""Seconds that a click or a finished download waits for the inspection of files, milliseconds on a free disk."""


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
    is_checking: bool
    """Files here are still being inspected or hashed, so that what is missing is not known yet."""
    get_refused: Message | None
    """The reason why this visitor cannot download."""

    @property
    def size(self) -> int:
        """Bytes to download; entries of unknown size count as nothing."""
        return sum(row.to_come for row in self.rows)

    @property
    def is_ready(self) -> bool:
        """True if the next picture is made with a file for each component that it needs."""
        return all(row.chosen is not None or row.component.is_optional for row in self.rows)


def read_needs(
    host: Host, service: Service, files: Sequence[VaeFile], chosen: Sequence[Path] | None = None
) -> Needs | None:
    """Return the components of the checkpoint; None without a known checkpoint, or on a WebUI that takes none.

    Queues the hashing of files whose hash decides. `files` are the files of the library; `chosen` are the files beside
    the checkpoint, by default those of the next picture.
    """
    checkpoint, name = host.next_checkpoint(), host_id(host.capability)
    if checkpoint is None or name is None or not host.encoder_folders():
        return None
    record = _record(checkpoint)
    if record is None:
        return None
    needs = needs_of(
        record,
        name,
        files=_records(host, service, files),
        catalogue=service.catalogue,
        chosen=host.components() if chosen is None else chosen,
    )
    if host.may_hash():
        service.hash_in_background(one.path for one in needs.undecided)
    return needs


def _records(host: Host, service: Service, files: Sequence[VaeFile]) -> list[FileRecord]:
    """Return the records of the files in the VAE folders and in those of text encoders, with hashes and families."""
    from ...library.family_evidence import families_of

    known = service.maintenance.records(files)
    found = [record for file in files if file.folder.purpose == "vae" and (record := known.get(file.path)) is not None]
    paths = {record.path for record in found}
    more = [
        replace(record, sha256=service.stores.hashes.known(path))
        for path in encoder_files(host.encoder_folders())
        if path not in paths and (record := _record(path)) is not None
    ]
    vaes = [record for record in more if record.has_decoder]
    guesses = families_of(vaes, service.catalogue, service.stores.overrides, service.stores.guesses) if vaes else []
    families = {record.path: guess for record, guess in zip(vaes, guesses, strict=True)}
    return found + [
        replace(record, family=families[record.path]) if record.path in families else record for record in more
    ]


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
        is_checking=is_checking(host, service, files, needs),
        get_refused=host.refusal(Permission.GET),
    )


def is_checking(host: Host, service: Service, files: Sequence[VaeFile], needs: Needs) -> bool:
    """Return True while a file that may serve is not known yet."""
    records = service.maintenance.records(files)
    if any(file.path not in records for file in files if file.folder.purpose == "vae"):
        return True
    return host.may_hash() and any(service.can_be_hashed(record.path) for record in needs.undecided)


def wait_until_known(host: Host, service: Service, files: Sequence[VaeFile]) -> None:
    """Inspect all files, and hash those whose hash decides; files that cannot be read stay unknown."""
    service.maintenance.inspect(files, timeout=INSPECTION_PATIENCE_S)
    needs = read_needs(host, service, files)
    if needs is None or not host.may_hash():
        return
    for record in needs.undecided:
        with suppress(VaeManagerError):
            service.stores.hashes.compute(record.path)


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


def use_components(host: Host, service: Service, files: Sequence[VaeFile]) -> None:
    """Set the WebUI to load a file for each component, in each list on its own: what stands in one stays in it.

    Raises RefusedError or DiskError.
    """
    needs = read_needs(host, service, files)
    if needs is None or needs.facts is None:
        return
    lists = host.component_lists(needs.facts.engine.presets)
    best = {}
    for name, chosen in lists.items():
        for_list = read_needs(host, service, files, chosen)
        best[name] = best_files(for_list) if for_list is not None else []
    host.use_components(best)


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


@functools.lru_cache(maxsize=4096)
def _record_of(identity: Identity) -> FileRecord | None:
    try:
        return inspect(Path(identity.path))
    except VaeManagerError:
        return None
