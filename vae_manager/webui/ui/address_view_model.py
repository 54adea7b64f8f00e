"""View model of the panel below the address field: what the file there is, before its download."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...downloads import Look, SeenFile
from ...errors import VaeManagerError
from ...library import scan
from ...messages import Message
from ...records.verdict import Verdict
from ...service import Service
from ..hosts.host_values import Permission
from .vae_options import allow, judge

if TYPE_CHECKING:
    from ...files import FileRecord
    from ...transfer import ListedFile
    from ..hosts.host import Host


@dataclass(frozen=True)
class FileChoice:
    """One of several files behind an address."""

    listed: ListedFile
    record: FileRecord | None
    """None if it was not looked at."""
    no_vae: Message | None
    """The sentence for a file that is certainly no VAE."""


@dataclass(frozen=True)
class AddressFacts:
    """What is known of the file behind an address; either a record, or files to choose from, or a problem."""

    record: FileRecord | None = None
    """With its family and its entry; the hash in it is only published."""
    answer: Verdict | None = None
    """The verdict of the WebUI with its checkpoint."""
    no_vae: Message | None = None
    """The sentence for a file that is certainly no VAE."""
    here: Sequence[str] = ()
    """Names of the files of the library with the published hash."""
    converts: bool = False
    """A file that has to be converted is converted after its download."""
    proposed: str = ""
    """The name under which it is saved if the user gives none."""
    name_problem: Message | None = None
    """Why it cannot be saved under its name."""
    files: Sequence[FileChoice] = ()
    problem: Message | None = None


def begin_look(host: Host, service: Service, address: str, page: str) -> Future[Look]:
    """Begin a look at an address that a user typed on `page`. Raises VaeManagerError if looks are not permitted."""
    from .page_handlers import network_for_typed

    allow(host, Permission.GET)
    allow(host, Permission.CHANGE_SOURCES)
    network = network_for_typed(host, service)
    return service.looks.begin(address, network, remote_users=host.shared_with_others, page=page)


def read_look(host: Host, service: Service, look: Look, name: str) -> AddressFacts:
    """Return the facts of a look that has ended; `name` is the user's own for the file."""
    from ...transfer import no_vae

    if look.error is not None:
        return AddressFacts(problem=look.error.message)
    if look.found is None:
        return AddressFacts(files=[_choice(file, service) for file in look.files])
    record = _completed(look.found.record, service)
    proposed = record.path.name
    return AddressFacts(
        record,
        judge(host, record),
        no_vae(record),
        _same_bytes(host, service, record.sha256),
        host.converts(),
        proposed,
        _name_problem(host.download_folder(), proposed, name, record.sha256, service),
    )


def _choice(file: SeenFile, service: Service) -> FileChoice:
    from ...transfer import no_vae

    if file.found is None:
        return FileChoice(file.listed, None, None)
    record = _completed(file.found.record, service)
    return FileChoice(file.listed, record, no_vae(record))


def _completed(record: FileRecord, service: Service) -> FileRecord:
    """Add the family and the catalogue's entry, by the published hash or the shapes."""
    from ...library.family_evidence import entry_of, family_of

    catalogue = service.catalogue
    return replace(record, family=family_of(record, catalogue), entry=entry_of(record, catalogue, {}))


def _same_bytes(host: Host, service: Service, sha256: str | None) -> Sequence[str]:
    if sha256 is None:
        return ()
    return [file.name for file in scan(host.folders()) if service.stores.hashes.known(file.path) == sha256]


def _name_problem(folder: Path, proposed: str, own: str, sha256: str | None, service: Service) -> Message | None:
    """Return why the file cannot get its name in the download folder; a file with the same bytes is no obstacle."""
    from ...downloads.addresses import name_of
    from ...files.disk import name_taken_error

    try:
        target = folder / name_of(proposed, own)
    except VaeManagerError as error:
        return error.message
    if not target.exists() or (sha256 is not None and service.stores.hashes.known(target) == sha256):
        return None
    return name_taken_error(target).message
