"""What the page shows, as plain data: read from the host and the service at one moment."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...catalogue import FAMILIES, CatalogueProblem, Entry
from ...catalogue.entry import UNKNOWN_FAMILY, FamilyGuess
from ...choice import BUILTIN, Choice, PrefixMatch, Resolution, prefix_matches, stem_of
from ...downloads import Download, PastDownload, UnfinishedDownload
from ...downloads.addresses import CIVITAI
from ...errors import VaeManagerError
from ...files.state_file import damage_notices
from ...jobs import JobState, JobView
from ...library import VaeFile
from ...maintenance import Notice
from ...messages import Message, msg
from ...service import Service
from ..hosts.host_values import InUse, Permission, Refusal
from ..pasted_pictures import Pasted, read_pasted
from ..update import loaded_code
from .vae_options import (
    CHOICE_KEY,
    Memo,
    Option,
    family_label,
    newest_choice,
    option_of,
    question_of,
    read_options,
    stuck_at,
)

if TYPE_CHECKING:
    from ...files import FileRecord, Identity
    from ..hosts.host import Host


@dataclass(frozen=True)
class Activity:
    work: Sequence[JobView]
    """What goes on in the background, or has failed."""
    told: Notice | None
    """What the last piece of work has done."""
    can_choose: bool
    in_use: str | None
    """Path of the file in use."""

    @property
    def is_working(self) -> bool:
        return any(job.state in (JobState.WAITING, JobState.RUNNING) for job in self.work)


def read_activity(host: Host, service: Service, in_use: str | None) -> Activity:
    """Look at what goes on, and at what was done last."""
    views = service.maintenance.views()
    return Activity(
        work=[job for job in views if not job.state.ended or job.state is JobState.FAILED],
        told=service.maintenance.notice,
        can_choose=host.refusal(Permission.CHOOSE) is None,
        in_use=in_use,
    )


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


def read_builtin(host: Host, service: Service, in_use: InUse, files: Sequence[VaeFile], memo: Memo) -> Builtin:
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
    records = service.maintenance.records(files)
    if host.may_hash():
        recognised = memo.get("recognised", (files, records, service.catalogue), (service.stores.hashes.revision,),
                              lambda: _recognised(service, files, records))  # fmt: skip
        service.learn([own, *([Path(in_use.path)] if in_use.path else []), *recognised])
    prints = service.stores.index.known_fingerprints(own)
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


def builtin_notices(builtin: Builtin, in_use: InUse) -> Sequence[Message]:
    if builtin.is_missing and in_use.path is None:
        return [
            msg(
                "{checkpoint} holds no VAE of its own: its pictures are decoded by whatever was in the model before. "
                "Choose a VAE.",
                checkpoint=in_use.checkpoint,
            )
        ]
    if any(str(twin.path) == in_use.path for twin in builtin.twins):
        return [
            msg(
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


DEFAULT_FAMILY = "sd1"
"""What is offered while no checkpoint is loaded."""

CAUGHT_SHOWN = 8
"""More of a kind say nothing more."""
CAUGHT_LOOKED_AT = 40
"""Each costs a look at a card."""


@dataclass(frozen=True)
class Row:
    """One offered VAE."""

    entry: Entry
    here: VaeFile | None
    """The file with these very bytes, where there is one."""
    in_use: bool
    job: JobView | None
    left: UnfinishedDownload | None
    """What an earlier, unfinished download left."""
    terms_open: bool
    """Its licence is to be read and accepted before the first download."""


@dataclass(frozen=True)
class Facts:
    in_use: InUse
    in_use_name: str | None
    """The file's name; None for Built-in."""
    in_use_entry: Entry | None
    in_use_sha256: str | None
    in_use_word: str | None
    """The WebUI's word for it; None where it is no file of the WebUI's list."""
    in_use_family: FamilyGuess
    """The family of its latents: of a file its own, of Built-in the checkpoint's."""
    builtin: Builtin
    resolution: Resolution
    choice: Choice
    wanted: Choice
    """The choice that is being applied, or the present one."""
    choosing: JobView | None
    """The newest change of the choice, while it waits or runs, or when it has failed."""
    choosing_asks: bool
    """It has failed only because it may be a mistake."""
    stuck: Option | None
    """The file that was chosen and is not in use, where a conversion would make it loadable."""
    refusal: Refusal | None
    """The VAE that the setting has asked for in vain, until somebody has dismissed it; None if `choosing` tells it."""
    generating: bool
    caught: Sequence[PrefixMatch]
    """Files that Automatic takes for a checkpoint by the beginning of their names alone; the first `CAUGHT_SHOWN`."""
    options: Sequence[Option]
    family: str
    rows: Sequence[Row]
    others: Sequence[tuple[str, Sequence[Row]]]
    """What is offered for the other families, with their names."""
    downloads: Sequence[Download]
    """The queue in its order, with what has lately ended."""
    left: Sequence[tuple[UnfinishedDownload, str]]
    """Downloads that were cut off and wait for somebody to go on with them, with their names."""
    past: Sequence[PastDownload]
    key_saved: bool
    picture: Pasted | None
    """The last pasted picture, while there is something to say of its VAE."""
    measured: Sequence[Entry]
    """Entries of the family that have published figures; the one that checkpoints carry is among them."""
    notices: Sequence[Message]
    damage: Sequence[Message]
    """Files of this program's state that could not be read, until somebody has dismissed it."""
    problems: Sequence[CatalogueProblem]
    choose_refused: Message | None
    prefer_refused: Message | None
    change_refused: Message | None
    tab_refused: Message | None
    quick_settings_refused: Message | None
    reload_refused: Message | None
    sources_refused: Message | None
    downloads_refused: Message | None
    """The reason why this person cannot change the queue."""
    terms_refused: Message | None
    """The reason why this person cannot accept the terms of a licence."""
    damage_refused: Message | None
    """The reason why this person cannot dismiss notices of damaged files."""
    in_quick_settings: bool

    @property
    def is_setting_refused(self) -> bool:
        """What the setting means was refused, and is still what it means."""
        refusal = self.in_use.refusal
        is_meant = refusal is not None and refusal.path == self.resolution.path
        return is_meant and self.in_use.path != self.resolution.path and not self.in_use.overridden

    @property
    def is_of_other_family(self) -> bool:
        """The file in use is known, or guessed, to be made for another family than the checkpoint's."""
        theirs, ours = self.in_use_family.family, self.in_use.family
        return theirs is not None and ours is not None and theirs != ours

    @property
    def active(self) -> bool:
        """Something moves: the page should look again soon."""
        jobs = [one.job for one in self.downloads] + ([self.choosing] if self.choosing is not None else [])
        return any(job.state in (JobState.WAITING, JobState.RUNNING) for job in jobs)


def read_facts(host: Host, service: Service, files: Sequence[VaeFile], memo: Memo | None = None) -> Facts:
    """Look at everything once; `files` are all VAE files. `memo` keeps what the last look has found, if it
    still holds. Starts hashing, in the background, what has to be known to name it."""
    memo = memo or Memo()
    service.maintenance.inspect(files, timeout=0)
    in_use, choice = host.in_use(), host.choice()
    choosing = newest_choice(host, service)
    moving = choosing is not None and not choosing.state.ended
    family = in_use.family or DEFAULT_FAMILY
    _learn_hashes(host, service, files, in_use, memo)
    left = _left_over(host, service)
    sha256 = _hash_in_use(service, in_use)
    picture = read_pasted(host, service)
    builtin = read_builtin(host, service, in_use, files, memo)
    options, resolution = read_options(host, service, files, choice, memo), host.resolution()
    entries = _with_the_pictures(picture, service.catalogue.offered(family))
    entry = service.catalogue.recognise(sha256) if sha256 else None
    in_use_family = _family_in_use(in_use, entry, service.maintenance.records(files))
    return Facts(
        in_use=in_use,
        in_use_name=Path(in_use.path).name if in_use.path else None,
        in_use_entry=entry,
        in_use_sha256=sha256,
        in_use_word=_word_of(host, in_use.path),
        in_use_family=in_use_family,
        builtin=builtin,
        resolution=resolution,
        choice=choice,
        wanted=Choice(choosing.key.removeprefix(CHOICE_KEY)) if choosing is not None and moving else choice,
        choosing=choosing,
        choosing_asks=choosing is not None
        and choosing.error is not None
        and choosing.error == question_of(option_of(options, choosing.key.removeprefix(CHOICE_KEY))),
        stuck=stuck_at(options, choosing, in_use, resolution),
        refusal=_refusal(service, in_use, choosing),
        generating=host.generating(),
        caught=_caught(host),
        options=options,
        family=family,
        rows=_rows(host, service, files, sha256, entries, left, memo),
        others=[
            (other, _rows(host, service, files, sha256, service.catalogue.offered(other), left, memo))
            for other in FAMILIES
            if other != family and service.catalogue.offered(other)
        ],
        downloads=service.downloads.views(),
        left=[(item, service.name_of(item)) for item in left],
        past=service.history.entries(),
        key_saved=CIVITAI in service.keys,
        picture=picture,
        measured=_measured(service, family),
        notices=[*_notices(in_use, entry, in_use_family), *builtin_notices(builtin, in_use)],
        damage=[notice.message for notice in damage_notices(*state_folders(host, service))],
        problems=service.catalogue.problems,
        choose_refused=host.refusal(Permission.CHOOSE),
        prefer_refused=host.refusal(Permission.PREFER),
        change_refused=host.refusal(Permission.CHANGE_FILES),
        tab_refused=host.refusal(Permission.CHOOSE_FOR_TAB),
        quick_settings_refused=host.refusal(Permission.CHANGE_QUICK_SETTINGS),
        reload_refused=host.refusal(Permission.RELOAD_PAGE),
        sources_refused=host.refusal(Permission.CHANGE_SOURCES),
        downloads_refused=host.refusal(Permission.MANAGE_DOWNLOADS),
        terms_refused=host.refusal(Permission.ACCEPT_TERMS),
        damage_refused=host.refusal(Permission.CHECK_FILES),
        in_quick_settings="sd_vae" in (host.quick_settings() or ()),
    )


def state_folders(host: Host, service: Service) -> Sequence[Path]:
    """Folders of the program's state: its own folder, and that of unfinished downloads."""
    try:
        return service.data_folder, host.download_folder()
    except VaeManagerError:  # it cannot be found on this WebUI, which has its own notice
        return (service.data_folder,)


def _hash_in_use(service: Service, in_use: InUse) -> str | None:
    """The hash of the file whose weights are in the model, which may be another by now, or gone."""
    if in_use.identity is not None:
        return service.stores.hashes.known_of(in_use.identity)
    return service.stores.hashes.known(Path(in_use.path)) if in_use.path else None


def _word_of(host: Host, path: str | None) -> str | None:
    if path is None:
        return BUILTIN.word
    name = Path(path).name
    return name if host.files().get(name) == path else None


def _caught(host: Host) -> Sequence[PrefixMatch]:
    """A checkpoint whose card says what it wants is left out: there Automatic does not look at names."""
    listed = host.files()

    def looks_at_names(checkpoint: str) -> bool:
        preferred = host.preference(checkpoint)
        return preferred != BUILTIN.word and preferred not in listed

    by_name = _caught_by_name(tuple(listed), tuple(host.checkpoints()))
    found = (caught for caught, checkpoints in by_name[:CAUGHT_LOOKED_AT] if any(map(looks_at_names, checkpoints)))
    return tuple(itertools.islice(found, CAUGHT_SHOWN))


@functools.lru_cache(maxsize=2)
def _caught_by_name(
    file_names: tuple[str, ...], checkpoints: tuple[str, ...]
) -> Sequence[tuple[PrefixMatch, Sequence[str]]]:
    """With the checkpoints' files. Both lists change seldom, and the page asks often."""
    by_stem: dict[str, list[str]] = {}
    for file in checkpoints:
        by_stem.setdefault(stem_of(file), []).append(file)
    return [(caught, by_stem[caught.stem]) for caught in prefix_matches(file_names, by_stem)]


def _measured(service: Service, family: str) -> Sequence[Entry]:
    """The one that checkpoints carry first, then what is offered instead."""
    measured = [entry for entry in service.catalogue.entries if entry.family == family and entry.evaluations]
    return sorted(measured, key=lambda entry: entry.offered)


def _learn_hashes(host: Host, service: Service, files: Sequence[VaeFile], in_use: InUse, memo: Memo) -> None:
    """Hash the file in use, and those that may be an offered entry by name or size."""
    if not host.may_hash():
        return
    catalogue, records = service.catalogue, service.maintenance.records(files)

    def unknown() -> list[Path]:
        names = {entry.file_name for entry in catalogue.entries}
        sizes = {entry.size for entry in catalogue.entries if entry.size is not None}
        telling = (file.path for file in files if file.name in names or file.size in sizes)
        return [path for path in telling if path not in records or records[path].sha256 is None]

    telling = memo.get("telling", (files, records, catalogue), (), unknown)
    service.hash_in_background([*([Path(in_use.path)] if in_use.path else []), *telling])


def _with_the_pictures(picture: Pasted | None, offered: Sequence[Entry]) -> Sequence[Entry]:
    """The VAE of a pasted picture comes first, also one of another family."""
    entry = picture.match.offer if picture is not None else None
    return offered if entry is None else [entry, *(other for other in offered if other is not entry)]


def _rows(
    host: Host,
    service: Service,
    files: Sequence[VaeFile],
    hash_in_use: str | None,
    entries: Sequence[Entry],
    left: Sequence[UnfinishedDownload],
    memo: Memo,
) -> Sequence[Row]:
    records = service.maintenance.records(files)
    by_hash = memo.get("by hash", (files, records), (dict(host.files()), service.stores.hashes.revision),
                       lambda: _by_hash(host, service, files, records))  # fmt: skip
    kept = {item.request.sha256: item for item in left if item.done}
    latest = {one.wanted.request.sha256: one.job for one in service.downloads.views()}
    rows = []
    for entry in entries:
        here = by_hash.get(entry.sha256)
        rows.append(
            Row(
                entry=entry,
                here=here,
                in_use=hash_in_use == entry.sha256,
                job=latest.get(entry.sha256),
                left=kept.get(entry.sha256),
                terms_open=terms_are_open(entry, service),
            )
        )
    return rows


def _by_hash(
    host: Host, service: Service, files: Sequence[VaeFile], records: Mapping[Path, FileRecord]
) -> Mapping[str, VaeFile]:
    """The file of each hash; of several, one that the WebUI lists."""
    listed = set(host.files().values())
    found: dict[str, VaeFile] = {}
    for file in files:
        record = records.get(file.path)
        sha256 = record.sha256 if record is not None else service.stores.hashes.known(file.path)
        if sha256 is not None and (sha256 not in found or str(file.path) in listed):
            found[sha256] = file
    return found


def _left_over(host: Host, service: Service) -> Sequence[UnfinishedDownload]:
    try:
        return service.downloads.left_over(host.download_folder())
    except VaeManagerError:
        return ()  # a folder that cannot be read has its own sentence when something is fetched into it


def terms_are_open(entry: Entry, service: Service) -> bool:
    """The entry's licence is neither MIT nor Apache, and nobody has accepted it here yet."""
    return entry.licence is not None and not entry.licence.permissive and entry.id not in service.accepted


def _family_in_use(in_use: InUse, entry: Entry | None, records: Mapping[Path, FileRecord]) -> FamilyGuess:
    """The family of what is in use. The file at its path may be another by now, or gone."""
    if in_use.path is None:
        return FamilyGuess(in_use.family, sure=True)
    record = records.get(Path(in_use.path))
    if record is not None and in_use.identity in (None, record.identity) and record.family.family is not None:
        return record.family
    return FamilyGuess(entry.family, "hash", sure=True) if entry is not None else UNKNOWN_FAMILY


def _refusal(service: Service, in_use: InUse, choosing: JobView | None) -> Refusal | None:
    refusal = in_use.refusal
    if refusal is None or refusal.serial == service.dismissed_refusal:
        return None
    return None if choosing is not None and choosing.error == refusal.message else refusal


def _notices(in_use: InUse, entry: Entry | None, family: FamilyGuess) -> Sequence[Message]:
    notices = [in_use.notice] if in_use.notice is not None else []
    if loaded_code().is_outdated():
        notices.append(msg("VAE Manager was updated. Restart the WebUI to finish the update.", code="restart-needed"))
    if in_use.decoded_by_taesd:
        notices.append(
            msg("The WebUI is set to decode with TAESD, so the chosen VAE does not decode. See Settings, VAE.")
        )
    if in_use.path is not None and family.sure and in_use.family is not None and family.family != in_use.family:
        notices.append(
            msg(
                "{vae} was made for {theirs}, this checkpoint is {ours}: pictures will be noise. "
                "Choose one made for {ours}.",
                code="noise-expected",
                vae=entry.name if entry is not None else Path(in_use.path).name,
                theirs=family_label(family.family or ""),
                ours=family_label(in_use.family),
            )
        )
    return notices
