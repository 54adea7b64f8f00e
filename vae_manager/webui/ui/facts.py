"""What the page shows, as plain data: read from the host and the service at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...catalogue import FAMILIES, CatalogueProblem, Entry
from ...choice import AUTOMATIC, BUILTIN, Choice, Resolution
from ...errors import VaeManagerError
from ...jobs import JobView
from ...library import VaeFile, scan
from ...sentences import Sentence, say
from ...service import Service
from ..hosts.acts import Act, InUse
from ..update import newer_version_on_disk

if TYPE_CHECKING:
    from ..hosts.host import Host

DEFAULT_FAMILY = "sd1"
"""What is offered while no checkpoint is loaded."""


@dataclass(frozen=True)
class Row:
    """One offered VAE."""

    entry: Entry
    here: VaeFile | None
    """The file with these very bytes, where there is one."""
    in_use: bool
    job: JobView | None
    kept: int
    """Bytes that an earlier, unfinished download left."""
    terms_open: bool
    """Its licence is to be read and accepted before the first download."""


@dataclass(frozen=True)
class Option:
    """One line of the dropdown."""

    word: str
    """The WebUI's word."""
    file: VaeFile | None = None
    entry: Entry | None = None
    missing: bool = False


@dataclass(frozen=True)
class Facts:
    in_use: InUse
    in_use_name: str | None
    """The file's name; None for Built-in."""
    in_use_entry: Entry | None
    in_use_sha256: str | None
    resolution: Resolution
    choice: Choice
    wanted: Choice
    """The choice that is being applied, or the present one."""
    choosing: JobView | None
    """The newest change of the choice, while it waits or runs, or when it has failed."""
    generating: bool
    options: Sequence[Option]
    family: str
    rows: Sequence[Row]
    measured: Sequence[Entry]
    """Entries of the family that have published figures; the one that checkpoints carry is among them."""
    notices: Sequence[Sentence]
    problems: Sequence[CatalogueProblem]
    choose_refused: Sentence | None
    tab_refused: Sentence | None
    quick_settings_refused: Sentence | None
    reload_refused: Sentence | None
    sources_refused: Sentence | None
    in_quick_settings: bool

    @property
    def active(self) -> bool:
        """Something moves: the page should look again soon."""
        jobs = [row.job for row in self.rows] + [self.choosing]
        return any(job is not None and not job.state.ended for job in jobs)


CHOICE_KEY = "choice "


def read_facts(host: Host, service: Service) -> Facts:
    """Look at everything once. Starts hashing, in the background, what has to be known to name it."""
    files = scan(host.folders())
    in_use, choice = host.in_use(), host.choice()
    choosing = _newest(service.choices.views())
    moving = choosing is not None and not choosing.state.ended
    family = in_use.family or DEFAULT_FAMILY
    _learn_hashes(host, service, files, in_use)
    return Facts(
        in_use=in_use,
        in_use_name=Path(in_use.path).name if in_use.path else None,
        in_use_entry=service.recognise(in_use.path) if in_use.path else None,
        in_use_sha256=service.hashes.known(Path(in_use.path)) if in_use.path else None,
        resolution=host.resolution(),
        choice=choice,
        wanted=Choice(choosing.key.removeprefix(CHOICE_KEY)) if choosing is not None and moving else choice,
        choosing=choosing,
        generating=host.generating(),
        options=_options(host, service, files, choice),
        family=family,
        rows=_rows(host, service, files, in_use, family),
        measured=_measured(service, family),
        notices=_notices(host, in_use, service),
        problems=service.catalogue.problems,
        choose_refused=host.refusal(Act.CHOOSE),
        tab_refused=host.refusal(Act.CHOOSE_FOR_TAB),
        quick_settings_refused=host.refusal(Act.CHANGE_QUICK_SETTINGS),
        reload_refused=host.refusal(Act.RELOAD_PAGE),
        sources_refused=host.refusal(Act.CHANGE_SOURCES),
        in_quick_settings="sd_vae" in host.quick_settings(),
    )


def _measured(service: Service, family: str) -> Sequence[Entry]:
    """The one that checkpoints carry first, then what is offered instead."""
    measured = [entry for entry in service.catalogue.entries if entry.family == family and entry.evaluations]
    return sorted(measured, key=lambda entry: entry.offered)


def _newest(views: Sequence[JobView]) -> JobView | None:
    return views[-1] if views else None


def _learn_hashes(host: Host, service: Service, files: Sequence[VaeFile], in_use: InUse) -> None:
    """Hash the file in use, and those that may be an offered entry by name or size."""
    if not host.may_hash():
        return
    names = {entry.file_name for entry in service.catalogue.entries}
    sizes = {entry.size for entry in service.catalogue.entries if entry.size is not None}
    telling = [file.path for file in files if file.name in names or file.size in sizes]
    service.hash_in_background([*([Path(in_use.path)] if in_use.path else []), *telling])


def _options(host: Host, service: Service, files: Sequence[VaeFile], choice: Choice) -> Sequence[Option]:
    by_path = {str(file.path): file for file in files}
    options = [Option(AUTOMATIC.word), Option(BUILTIN.word)]
    for name, path in host.files().items():
        options.append(Option(name, by_path.get(path), service.recognise(path)))
    if choice.file_name is not None and choice.file_name not in host.files():
        options.append(Option(choice.file_name, missing=True))
    return options


def _rows(
    host: Host, service: Service, files: Sequence[VaeFile], in_use: InUse, family: str
) -> Sequence[Row]:
    listed = set(host.files().values())
    by_hash: dict[str, VaeFile] = {}
    for file in files:
        sha256 = service.hashes.known(file.path)
        if sha256 is not None and (sha256 not in by_hash or str(file.path) in listed):
            by_hash[sha256] = file
    hash_in_use = service.hashes.known(Path(in_use.path)) if in_use.path else None
    kept = _kept(service, host.download_folder())
    rows = []
    for entry in service.catalogue.offered(family):
        here = by_hash.get(entry.sha256)
        rows.append(
            Row(
                entry=entry,
                here=here,
                in_use=hash_in_use == entry.sha256,
                job=service.download(entry.id),
                kept=kept.get(entry.sha256, 0),
                terms_open=terms_are_open(entry, service),
            )
        )
    return rows


def _kept(service: Service, folder: Path) -> dict[str, int]:
    try:
        left = service.unfinished(folder)
    except VaeManagerError:
        return {}  # a folder that cannot be read has its own sentence when something is fetched into it
    return {item.order.sha256: item.done for item in left if item.order.sha256 is not None}


def terms_are_open(entry: Entry, service: Service) -> bool:
    """The entry's licence is neither MIT nor Apache, and nobody has accepted it here yet."""
    return entry.licence is not None and not entry.licence.permissive and entry.id not in service.accepted


def _notices(host: Host, in_use: InUse, service: Service) -> Sequence[Sentence]:
    notices = []
    entry = service.recognise(in_use.path) if in_use.path else None
    if newer_version_on_disk() is not None:
        notices.append(say("VAE Manager was updated. Restart the WebUI to finish the update."))
    if in_use.decoded_by_taesd:
        notices.append(
            say("The WebUI is set to decode with TAESD, so the chosen VAE does not decode. See Settings, VAE.")
        )
    if entry is not None and in_use.family is not None and entry.family != in_use.family:
        notices.append(
            say(
                "{vae} was made for {theirs}, this checkpoint is {ours}: pictures will be noise. "
                "Choose one made for {ours}.",
                vae=entry.name,
                theirs=family_label(entry.family),
                ours=family_label(in_use.family),
            )
        )
    return notices


def family_label(family: str) -> str:
    """How people write a family: SD 1.x, SDXL, …"""
    facts = FAMILIES.get(family)
    return facts.label if facts is not None else family
