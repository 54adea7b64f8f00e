"""The view model of the tab “VAE”, read at one moment, and the changed rows of its table."""

from __future__ import annotations

import enum
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict

from ...catalogue import Entry
from ...errors import NotFoundError
from ...library import VaeFile, collisions, operations, scan
from ...library.folders import previews_of
from ...library.verification import Verification
from ...maintenance import doubled, key_of
from ...messages import Message, msg
from ...records.verdict import Refused
from ...service import Service
from ..hosts.host_values import InUse, Permission
from .vae_options import Memo, can_use, judge, needs_conversion
from .view_model import Activity, read_activity

if TYPE_CHECKING:
    from ...files import FileRecord, Identity
    from ...library.trash import Removed
    from ...records.verdict import Verdict
    from ..hosts.host import Host


SOURCE_KEY: Final = "vae_manager.source_sha256"
DONE_KEY: Final = "vae_manager.done"
"""Key in the metadata of a converted file (files.conversion)."""
SAME_WEIGHTS: Final = frozenset({"from-checkpoint", "prefix", "from-diffusers", "names", "dropped", "safetensors"})
"""Steps of a conversion that change no number and no shape, so that the fingerprint of the weights stays."""


class HashState(enum.Enum):
    """The state of a file's SHA-256."""

    PROVEN = "proven"
    """The hash is the published one of a catalogue entry."""
    KNOWN = "known"
    HASHING = "hashing"
    NONE = "none"


class Converted(NamedTuple):
    """A result of a conversion of another file of the library."""

    key: str
    name: str
    word: str | None
    """The WebUI's word for it; None if the WebUI lists another file of that name."""


@dataclass(frozen=True)
class LibraryRow:
    """One VAE file."""

    key: str
    """Its identifier in the page and in messages: a digest of its path, since a path can hold any character."""
    name: str
    """The WebUI's name for it; if two files share that, with the folders below the VAE folder before it."""
    word: str | None
    """The WebUI's word for it; None if the WebUI lists another file of that name."""
    path: Path
    folder: Path
    """The VAE folder that holds it, directly or in a subfolder."""
    size: int
    """Size in bytes."""
    record: FileRecord | None = None
    """All known facts of the file; None until it has been inspected."""
    answer: Verdict | None = None
    """The verdict of the WebUI with its checkpoint."""
    twins: tuple[str, ...] = ()
    """Other files of the library with the same weights."""
    name_clashes: tuple[str, ...] = ()
    """Other files of the library with the same base name."""
    sha256: str | None = None
    hash_state: HashState = HashState.NONE
    in_use: bool = False
    was_changed: bool = False
    """True if the file was changed or replaced since its weights went into the model."""
    chosen: bool = False
    """True if the setting means this file, in the model or not."""
    has_preview: bool = False
    """True if there is a preview beside it."""
    converted: Converted | None = None
    """The usable result of a conversion of exactly these bytes, if the library has one."""
    verification: Verification | None = None
    """The last verification of exactly these bytes."""

    @property
    def entry(self) -> Entry | None:
        """The catalogue's entry with its bytes or its weights; None without one, and until it has been inspected."""
        return self.record.entry if self.record is not None else None

    @property
    def published(self) -> bool:
        """Return True if its bytes, not its weights alone, are those of the catalogue entry."""
        return self.hash_state is HashState.PROVEN

    @property
    def broken(self) -> Message | None:
        """Return its most serious problem."""
        if isinstance(self.answer, Refused) or needs_conversion(self.answer):
            return self.answer.reason.message if self.answer is not None and self.answer.reason is not None else None
        return self.verification.reason if self.verification is not None else None


class LibraryTable:
    """The rows, and totals over all of them. It is rebuilt only after a change of a row."""

    def __init__(self, rows: Sequence[LibraryRow]) -> None:
        self.rows = rows
        self.size = sum(row.size for row in rows)
        self.with_problems = sum(row.broken is not None or bool(row.name_clashes) for row in rows)
        self.is_hashing = any(row.hash_state is HashState.HASHING for row in rows)
        self.in_use = next((row for row in rows if row.in_use), None)
        self._by_key = {row.key: row for row in rows}

    def row(self, key: str) -> LibraryRow | None:
        """Return the row of that key; None if the file is no longer listed."""
        return self._by_key.get(key)


@dataclass(frozen=True)
class Library:
    """The facts that the tab “VAE” shows."""

    table: LibraryTable
    selected: LibraryRow | None
    """The row that the user has selected."""
    folders: Sequence[Path]
    """The VAE folders, to which a file can be moved."""
    in_use: InUse
    activity: Activity
    doubled: int
    """The number of VAEs with more than one file, by their weights."""
    looking: bool
    """True while new files are being inspected."""
    removed: Sequence[tuple[Removed, int]]
    """Entries of the trash with their sizes, the newest first."""
    has_system_trash: bool
    """True if deleted files go to the system's trash."""
    change_refused: Message | None
    adopt_refused: Message | None
    choose_refused: Message | None
    check_refused: Message | None
    """The reason why this visitor cannot verify files."""
    shows_paths: bool

    @property
    def rows(self) -> Sequence[LibraryRow]:
        """The rows of `table`: every file of the library."""
        return self.table.rows

    @property
    def active(self) -> bool:
        """True while facts are still to come, so that the page has to ask again."""
        return self.looking or self.table.is_hashing or self.activity.is_working


def vae_folders(host: Host) -> Sequence[Path]:
    """Return the folders to which a file can be moved; messages name a folder by its index in this list."""
    return tuple(dict.fromkeys(folder.path for folder in host.folders() if folder.purpose == "vae"))


def file_of(host: Host, service: Service, key: str) -> VaeFile:
    """Return the file that a message names, if the library holds it. Raises NotFoundError."""
    keys = {service.maintenance.now_called(key), key}  # a renaming is recorded before it happens
    for file in scan(host.folders()):
        if key_of(file.path) in keys:
            return file
    raise NotFoundError(msg("This file is no longer there. Refresh shows what is."))


def read_library(
    host: Host, service: Service, files: Sequence[VaeFile], selected: str, memo: Memo | None = None
) -> Library:
    """Read the library once: all of its `files`.

    `selected` is the key of the selected row, empty for the file in use. `memo` keeps the earlier results that are
    still valid.
    """
    service.maintenance.inspect(files)
    in_use = host.in_use()
    twins = service.maintenance.twins(files)
    table = _table(host, service, files, in_use, twins, memo or Memo())
    return Library(
        table=table,
        # Under the old key too: a renaming is recorded before it happens.
        selected=table.row(service.maintenance.now_called(selected)) or table.row(selected) or table.in_use,
        folders=vae_folders(host),
        in_use=in_use,
        activity=read_activity(host, service, in_use.path),
        doubled=doubled(twins),
        looking=service.maintenance.is_inspecting,
        removed=service.maintenance.removed.all(),
        has_system_trash=operations.has_system_trash(),
        change_refused=host.refusal(Permission.CHANGE_FILES),
        adopt_refused=host.refusal(Permission.ADOPT_FILES),
        choose_refused=host.refusal(Permission.CHOOSE),
        check_refused=host.refusal(Permission.CHECK_FILES),
        shows_paths=host.shows_paths,
    )


def _table(
    host: Host,
    service: Service,
    files: Sequence[VaeFile],
    in_use: InUse,
    twins: Mapping[Path, Sequence[VaeFile]],
    memo: Memo,
) -> LibraryTable:
    return memo.get(
        "library",
        (files, twins, service.maintenance.records(files), service.catalogue),
        (
            service.stores.verifications.revision, dict(host.files()), host.choice(), host.capability,
            host.signature(), in_use.path, in_use.identity, service.hashing(),
        ),
        lambda: LibraryTable(_rows(host, service, files, in_use, twins)),
    )  # fmt: skip


def _rows(
    host: Host,
    service: Service,
    files: Sequence[VaeFile],
    in_use: InUse,
    twins: Mapping[Path, Sequence[VaeFile]],
) -> Sequence[LibraryRow]:
    listed, choice = host.files(), host.choice().word
    same_name = {name: tuple(file.path for file in group) for name, group in collisions(files).items()}
    records, hashing = service.maintenance.records(files), service.hashing()
    previews = previews_of(files)
    made = _conversions(host, files, records, listed)
    rows = []
    for file in files:
        path, others = str(file.path), same_name.get(file.name, ())
        mine = listed.get(file.name) == path
        record = records.get(file.path)
        sha256, state = _hash(service, path, record, hashing)
        rows.append(
            LibraryRow(
                key=key_of(file.path),
                name=file.relative if others else file.name,
                word=file.name if mine else None,
                path=file.path,
                folder=file.folder.path,
                size=file.size,
                record=record,
                answer=judge(host, record),
                twins=tuple(other.relative for other in twins.get(file.path, ())),
                name_clashes=tuple(str(other) for other in others if other != file.path),
                sha256=sha256,
                hash_state=state,
                in_use=in_use.path == path,
                was_changed=in_use.path == path and _was_changed(file, in_use.identity),
                chosen=mine and choice == file.name,
                has_preview=file.path in previews,
                converted=_converted(record, made) if record is not None else None,
                verification=service.stores.verifications.of(file),
            )
        )
    return rows


def _was_changed(file: VaeFile, before: Identity | None) -> bool:
    """Compare a file with its identity at reading. A new mode or a second name changes the ctime alone."""
    return before is not None and (file.size, file.mtime_ns) != (before.size, before.mtime_ns)


def _conversions(
    host: Host, files: Sequence[VaeFile], records: Mapping[Path, FileRecord], listed: Mapping[str, str]
) -> Mapping[str, Sequence[tuple[FileRecord, Converted]]]:
    """Return results of conversions by the hashes of their sources; those that the WebUI lists come first."""
    found: dict[str, list[tuple[FileRecord, Converted]]] = {}
    for file in files:
        record = records.get(file.path)
        source = record.metadata.get(SOURCE_KEY) if record is not None else None
        if record is None or source is None or not can_use(judge(host, record)):
            continue
        is_listed = listed.get(file.name) == str(file.path)
        made = Converted(key_of(file.path), file.relative, file.name if is_listed else None)
        found.setdefault(source, []).insert(0 if is_listed else len(found[source]), (record, made))
    return found


def _converted(source: FileRecord, made: Mapping[str, Sequence[tuple[FileRecord, Converted]]]) -> Converted | None:
    """Return the result of a conversion of `source`; metadata that the weights contradict do not count."""
    results = made.get(source.sha256, ()) if source.sha256 is not None else ()
    return next((converted for record, converted in results if not _is_other(record, source)), None)


def _is_other(result: FileRecord, source: FileRecord) -> bool:
    """Return True if the weights differ and the steps of the conversion do not explain the difference."""
    if result.weights is None or source.weights is None or result.weights == source.weights:
        return False
    return set(result.metadata.get(DONE_KEY, "").split()) <= SAME_WEIGHTS


def _hash(
    service: Service, path: str, record: FileRecord | None, hashing: frozenset[str]
) -> tuple[str | None, HashState]:
    sha256 = record.sha256 if record is not None else None
    if sha256 is None:
        return None, HashState.HASHING if path in hashing else HashState.NONE
    proven = service.catalogue.recognise(sha256) is not None
    return sha256, HashState.PROVEN if proven else HashState.KNOWN


MAX_DIGITS: Final = 18
"""The maximum number of digits in a stamp, since Python limits the length of numbers that it parses."""


class Rows(TypedDict):
    """The answer to the browser."""

    stamp: str
    rows: dict[str, str]
    """HTML by key, of each new or changed row."""
    order: list[str] | None
    """All keys in order; None if the order is unchanged."""


@dataclass(frozen=True)
class _Sent:
    row: LibraryRow
    seen_with: object
    html: str
    serial: int
    """The change of the table at which its HTML was made, as a count of changes."""


class RowLog:
    """A log of the rows as sent last. Each of several browsers passes the stamp of its own rows."""

    def __init__(self) -> None:
        self._life = secrets.token_hex(4)  # after a Reload UI, the rows of an open page are obsolete
        self._lock = threading.Lock()
        self._serial = 0
        self._ordered_at = 0
        self._sent: dict[str, _Sent] = {}
        self._rows: Sequence[LibraryRow] | None = None
        self._seen_with: object = None

    def since(
        self, stamp: str, rows: Sequence[LibraryRow], seen_with: object, html: Callable[[LibraryRow], str]
    ) -> Rows:
        """Return the rows that a browser with `stamp` lacks.

        `html` makes a row's HTML from the row and `seen_with` alone, so it is not called if both are unchanged.
        """
        with self._lock:
            if rows is not self._rows or seen_with != self._seen_with:
                self._take(rows, seen_with, html)
                self._rows, self._seen_with = rows, seen_with
            life, _, number = stamp.partition(".")
            is_number = number.isascii() and number.isdecimal() and len(number) <= MAX_DIGITS
            had = int(number) if life == self._life and is_number else 0
            sent_since = self._sent.items() if had < self._serial else ()
            lacking = {key: sent.html for key, sent in sent_since if sent.serial > had}
            order = list(self._sent) if self._ordered_at > had or not had else None
            return {"stamp": f"{self._life}.{self._serial}", "rows": lacking, "order": order}

    def _take(self, rows: Sequence[LibraryRow], seen_with: object, html: Callable[[LibraryRow], str]) -> None:
        serial = self._serial + 1
        sent: dict[str, _Sent] = {}
        for row in rows:
            old = self._sent.get(row.key)
            if old is not None and old.row == row and old.seen_with == seen_with:
                sent[row.key] = old
                continue
            made = html(row)
            when = old.serial if old is not None and old.html == made else serial
            sent[row.key] = _Sent(row, seen_with, made, when)
        moved = list(sent) != list(self._sent) or not self._serial
        if moved:
            self._ordered_at = serial
        if moved or any(one.serial == serial for one in sent.values()):
            self._serial = serial
        self._sent = sent
