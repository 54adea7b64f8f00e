"""The view model of the page: plain data, read from the host and the service at one moment."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...catalogue import FAMILIES, CatalogueProblem, Entry
from ...catalogue.entry import UNKNOWN_FAMILY, FamilyGuess
from ...choice import BUILTIN, Choice, PrefixMatch, Resolution, prefix_matches, stem_of
from ...downloads import Download, DownloadOutcome, PastDownload, UnfinishedDownload
from ...downloads.addresses import CIVITAI
from ...errors import VaeManagerError
from ...files.state_file import damage_notices
from ...jobs import JobState, JobView
from ...library import VaeFile
from ...maintenance import Notice
from ...messages import Message, msg
from ...service import Service
from ..faults import FAULTS
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
    from .needs_view_model import NeedsFacts


@dataclass(frozen=True)
class Activity:
    """Background work on the library, and its last result."""

    work: Sequence[JobView]
    """Running, waiting and failed jobs."""
    told: Notice | None
    """The result of the last job."""
    can_choose: bool
    in_use: str | None
    """Path of the file in use."""

    @property
    def is_working(self) -> bool:
        """True if a job waits or runs; a failed one that is still shown does not count."""
        return any(job.state in (JobState.WAITING, JobState.RUNNING) for job in self.work)


def read_activity(host: Host, service: Service, in_use: str | None) -> Activity:
    """Read the running work, and the last result."""
    views = service.maintenance.views()
    return Activity(
        work=[job for job in views if not job.state.ended or job.state is JobState.FAILED],
        told=service.maintenance.notice,
        can_choose=host.refusal(Permission.CHOOSE) is None,
        in_use=in_use,
    )


@dataclass(frozen=True)
class Builtin:
    """The loaded checkpoint's own VAE, as far as it is known."""

    is_known: bool = False
    """True if the fingerprint of its weights has been taken."""
    is_missing: bool = False
    """True if the checkpoint's file holds no VAE: the WebUI then keeps the earlier VAE in the model."""
    twins: Sequence[VaeFile] = ()
    """Files of the library with the same weights: choosing one of them changes no picture."""
    entry: Entry | None = None
    """The catalogue entry of these weights, if the catalogue has one of the twins."""

    @property
    def name(self) -> str | None:
        """Return the name of these weights: a catalogue entry's, else that of a file of the library."""
        if self.entry is not None:
            return self.entry.name
        return self.twins[0].name if self.twins else None


def read_builtin(host: Host, service: Service, in_use: InUse, files: Sequence[VaeFile], memo: Memo) -> Builtin:
    """Read the header of the checkpoint and the known fingerprints.

    Missing fingerprints are taken in the background for the checkpoint's VAE, the file in use and files that the
    catalogue recognises: about 335 MB are read for each, once. For all files it could take hours.
    """
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
    """Return files with bytes of the catalogue and without known fingerprints."""
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
    """Return the notice about the checkpoint's own VAE: missing although in use, or equal to the file in use."""
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
                code="same-as-built-in",
                file=Path(in_use.path or "").name,
            )
        ]
    return []


@functools.lru_cache(maxsize=16)
def _holds_vae(identity: Identity) -> bool:
    """Return True for a checkpoint with a VAE, and for an unreadable one, which gets no notice."""
    from ...files import inspect

    try:
        record = inspect(Path(identity.path))
    except VaeManagerError:
        return True
    return record.layout != "checkpoint" or record.has_decoder


DEFAULT_FAMILY = "sd1"
"""The family of the offers while there is no checkpoint. One of an unknown family gets no offers."""

CAUGHT_SHOWN = 8
"""The maximum of shown matches; more of a kind add no information."""
CAUGHT_LOOKED_AT = 40
"""The maximum of examined matches; each costs the reading of a card."""


@dataclass(frozen=True)
class Row:
    """One offered VAE."""

    entry: Entry
    here: VaeFile | None
    """The file with exactly these bytes, if the library has one."""
    in_use: bool
    job: JobView | None
    left: UnfinishedDownload | None
    """The unfinished download of an earlier process."""
    terms_open: bool
    """True if the licence has to be read and accepted before the first download."""


@dataclass(frozen=True)
class Facts:
    """The facts that the accordion and the downloads page show."""

    in_use: InUse
    in_use_name: str | None
    """The file's name; None for Built-in."""
    in_use_entry: Entry | None
    in_use_sha256: str | None
    in_use_word: str | None
    """The WebUI's word for it; None if the WebUI does not list the file."""
    in_use_family: FamilyGuess
    """The family of its latents: that of the file, or the checkpoint's for Built-in."""
    builtin: Builtin
    resolution: Resolution
    choice: Choice
    wanted: Choice
    """The choice that is being applied, or the present one."""
    choosing: JobView | None
    """The newest change of the choice, while it waits or runs, or after its failure."""
    choosing_asks: bool
    """True if it has failed only because the choice may be a mistake."""
    stuck: Option | None
    """The chosen file that is not in use, if a conversion would make it loadable."""
    refusal: Refusal | None
    """The VAE that the setting failed to put in, until its dismissal; None if `choosing` shows the same failure."""
    generating: bool
    caught: Sequence[PrefixMatch]
    """Files that Automatic takes for a checkpoint by the beginning of their names alone; the first `CAUGHT_SHOWN`."""
    options: Sequence[Option]
    family: str | None
    """The family of the offers; None for a checkpoint of an unknown one, for which there are none."""
    rows: Sequence[Row]
    others: Sequence[tuple[str, Sequence[Row]]]
    """Offers for the other families, by family."""
    downloads: Sequence[Download]
    """The queue in its order, with recently ended downloads."""
    left: Sequence[tuple[UnfinishedDownload, str]]
    """Interrupted downloads that can be continued, with their names."""
    past: Sequence[PastDownload]
    key_saved: bool
    picture: Pasted | None
    """The last pasted picture, while there is a notice about its VAE."""
    measured: Sequence[Entry]
    """Entries of the family with published figures, including the one that checkpoints carry."""
    notices: Sequence[Message]
    damage: Sequence[Message]
    """Notices of unreadable state files, until their dismissal."""
    problems: Sequence[CatalogueProblem]
    choose_refused: Message | None
    prefer_refused: Message | None
    change_refused: Message | None
    tab_refused: Message | None
    quick_settings_refused: Message | None
    reload_refused: Message | None
    sources_refused: Message | None
    downloads_refused: Message | None
    """The reason why this visitor cannot change the queue."""
    terms_refused: Message | None
    """The reason why this visitor cannot accept the terms of a licence."""
    damage_refused: Message | None
    """The reason why this visitor cannot dismiss notices of damaged files."""
    in_quick_settings: bool
    needs: NeedsFacts | None
    """The components that the checkpoint lacks in its own file; None without any."""

    @property
    def is_setting_refused(self) -> bool:
        """Return True if the VAE of the setting was refused and the setting is unchanged."""
        refusal = self.in_use.refusal
        is_meant = refusal is not None and refusal.path == self.resolution.path
        return is_meant and self.in_use.path != self.resolution.path and not self.in_use.overridden

    @property
    def is_of_other_family(self) -> bool:
        """Return True if the file in use is known or guessed to be for another family than the checkpoint's."""
        theirs, ours = self.in_use_family.family, self.in_use.family
        return theirs is not None and ours is not None and theirs != ours

    @property
    def active(self) -> bool:
        """Return True if the page should poll again soon."""
        jobs = [one.job for one in self.downloads] + ([self.choosing] if self.choosing is not None else [])
        return any(job.state in (JobState.WAITING, JobState.RUNNING) for job in jobs)


def read_facts(host: Host, service: Service, files: Sequence[VaeFile], memo: Memo | None = None) -> Facts:
    """Read all facts once; `files` are all VAE files.

    `memo` keeps the earlier results that are still valid. Starts background hashing of the files whose names depend on
    it.
    """
    memo = memo or Memo()
    service.maintenance.inspect(files, timeout=0)
    in_use, choice = host.in_use(), host.choice()
    choosing = newest_choice(host, service)
    moving = choosing is not None and not choosing.state.ended
    family = in_use.family if in_use.checkpoint or in_use.coming else DEFAULT_FAMILY
    _learn_hashes(host, service, files, in_use, memo)
    left = left_over(host, service)
    sha256 = _hash_in_use(service, in_use)
    picture = read_pasted(host, service)
    builtin = read_builtin(host, service, in_use, files, memo)
    options, resolution = read_options(host, service, files, choice, memo), host.resolution()
    entries = _with_the_pictures(picture, offered(host, service, family) if family is not None else ())
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
            (other, _rows(host, service, files, sha256, entries, left, memo))
            for other in FAMILIES
            if other != family and (entries := offered(host, service, other))
        ],
        downloads=service.downloads.views(),
        left=[(item, service.name_of(item)) for item in left],
        past=[past for past in service.history.entries() if past.ending is not DownloadOutcome.KEPT],
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
        needs=_needs(host, service, files, left),
    )


def _needs(
    host: Host, service: Service, files: Sequence[VaeFile], left: Sequence[UnfinishedDownload]
) -> NeedsFacts | None:
    """Return the components that the checkpoint lacks in its own file; None on a WebUI that takes none beside it."""
    if not host.encoder_folders():
        return None
    from .needs_view_model import read_needs_facts  # code that detects engines waits for a WebUI that needs it

    with FAULTS.suppressed(msg("The components of the checkpoint")):
        return read_needs_facts(host, service, files, left)
    return None


def offered(host: Host, service: Service, family: str) -> tuple[Entry, ...]:
    """Return the entries of a family that are offered and that the WebUI can use, best advice first."""
    return tuple(entry for entry in service.catalogue.offered(family) if host.capability.can_use(entry))


def state_folders(host: Host, service: Service) -> Sequence[Path]:
    """Return the folders of the program's state: the data folder, and that of unfinished downloads."""
    try:
        return service.data_folder, host.download_folder()
    except VaeManagerError:  # no such folder on this WebUI, which has its own notice
        return (service.data_folder,)


def _hash_in_use(service: Service, in_use: InUse) -> str | None:
    """Return the hash of the file whose weights are in the model; the file may since be replaced or deleted."""
    if in_use.identity is not None:
        return service.stores.hashes.known_of(in_use.identity)
    return service.stores.hashes.known(Path(in_use.path)) if in_use.path else None


def _word_of(host: Host, path: str | None) -> str | None:
    if path is None:
        return BUILTIN.word
    name = Path(path).name
    return name if host.files().get(name) == path else None


def _caught(host: Host) -> Sequence[PrefixMatch]:
    """Return the prefix matches of checkpoints whose card has no usable preference, which would come before names."""
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
    """Return the prefix matches with the checkpoints' files. Cached, since both lists change seldom."""
    by_stem: dict[str, list[str]] = {}
    for file in checkpoints:
        by_stem.setdefault(stem_of(file), []).append(file)
    return [(caught, by_stem[caught.stem]) for caught in prefix_matches(file_names, by_stem)]


def _measured(service: Service, family: str | None) -> Sequence[Entry]:
    """Return the measured entries, the one that checkpoints carry first."""
    measured = [entry for entry in service.catalogue.entries if entry.family == family and entry.evaluations]
    return sorted(measured, key=lambda entry: entry.offered)


def _learn_hashes(host: Host, service: Service, files: Sequence[VaeFile], in_use: InUse, memo: Memo) -> None:
    """Hash the file in use, and files that may be an offered entry by name or size."""
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
    """Put the VAE of a pasted picture first, even one of another family."""
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
                terms_open=service.terms_are_open(entry),
            )
        )
    return rows


def _by_hash(
    host: Host, service: Service, files: Sequence[VaeFile], records: Mapping[Path, FileRecord]
) -> Mapping[str, VaeFile]:
    """Return a file for each hash; of several, one that the WebUI lists."""
    listed = set(host.files().values())
    found: dict[str, VaeFile] = {}
    for file in files:
        record = records.get(file.path)
        sha256 = record.sha256 if record is not None else service.stores.hashes.known(file.path)
        if sha256 is not None and (sha256 not in found or str(file.path) in listed):
            found[sha256] = file
    return found


def left_over(host: Host, service: Service) -> Sequence[UnfinishedDownload]:
    """Return the unfinished downloads into the download folder and into that of text encoders."""
    found: list[UnfinishedDownload] = []
    with suppress(VaeManagerError):  # a download into an unreadable folder shows its own message
        found += service.downloads.left_over(host.download_folder())
    for folder in host.encoder_folders()[-1:]:
        with suppress(VaeManagerError):
            found += service.downloads.left_over(folder)
    return found


def _family_in_use(in_use: InUse, entry: Entry | None, records: Mapping[Path, FileRecord]) -> FamilyGuess:
    """Return the family of the VAE in use. The file at its path may since be replaced or deleted."""
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
