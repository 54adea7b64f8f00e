"""Service of the process: it owns the jobs, the downloads, the catalogue and the stores of records.

It lives as long as the process. A page of the WebUI attaches to it and owns no state, so a reload of the page
interrupts no work: a download continues, and its progress is found again.
"""

from __future__ import annotations

import functools
import logging
import stat
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .catalogue import Catalogue, EncoderEntry, Entry, PublishedFile, load
from .compare import Comparisons
from .compare.picture_basket import PictureBasket
from .compare.trial_records import TrialRecords
from .compare.trial_state import Trials
from .downloads import (
    DownloadItem,
    Downloads,
    History,
    Keys,
    Looks,
    Pending,
    UnfinishedDownload,
    kept_version,
    references_of,
)
from .errors import DiskError, NotFoundError, VaeManagerError
from .files.state_file import StateFile, list_of, text
from .infotext import Picture
from .jobs import JobContext, JobQueue
from .library.inspection_cache import Stores
from .maintenance import Maintenance, Notice, Recovery
from .messages import Message, msg

if TYPE_CHECKING:
    from .downloads.addresses import NetworkFor
    from .files import FileRecord
    from .library.index import Index
    from .records import HashStore
    from .records.verdict import Verdict
    from .transfer import DownloadResult, Network

    Then = Callable[[DownloadResult], None]


Stamp = tuple[int, int, int]

WEIGHTS = "weights of "
"""Prefix of the key of a job that takes fingerprints; the key of a hashing job is the path alone."""

logger = logging.getLogger(__name__)

CATALOGUE_FILE = "catalogue.yaml"


class BackgroundHashing:
    """Jobs on a lane that is somebody else's. All methods may be called from any thread."""

    def __init__(self, lane: JobQueue, hashes: Callable[[], HashStore], index: Callable[[], Index]) -> None:
        self._jobs = lane
        self._hashes = hashes
        self._index = index
        self._lock = threading.Lock()
        self._asked: set[tuple[str, Stamp]] = set()

    def can_be_hashed(self, path: Path) -> bool:
        """Return False for a file that is gone, or that was tried and cannot be read."""
        now = stamp(path)
        if now is None:
            return False
        with self._lock:
            asked = (str(path), now) in self._asked
        job = self._jobs.view(str(path)) if asked else None
        return not asked or (job is not None and not job.state.ended)

    def hash(self, paths: Iterable[Path]) -> None:
        """Queue the hashing of each file without a known hash."""
        for path in paths:
            if self._hashes().known(path) is None:
                self._ask(str(path), path, self._hash)

    def take_fingerprints(self, paths: Iterable[Path]) -> None:
        """Queue the fingerprints of each file without known ones. A file without a VAE is skipped."""
        for path in paths:
            if self._index().known_fingerprints(path) is None:
                self._ask(f"{WEIGHTS}{path}", path, self._fingerprint)

    def _ask(self, key: str, path: Path, work: Callable[[JobContext, Path, int], None]) -> None:
        now = stamp(path)
        if now is None:
            return
        with self._lock:
            if (key, now) in self._asked:
                return  # under way, or it could not be read: the next process asks again
            self._asked.add((key, now))
        self._jobs.start(key, path.name, lambda context: work(context, path, now[1]))

    def _hash(self, context: JobContext, path: Path, size: int) -> None:
        self._hashes().compute(path, report=lambda done: context.report("hashing", done, size), stop=context.stop)

    def _fingerprint(self, context: JobContext, path: Path, size: int) -> None:
        with suppress(NotFoundError):  # no VAE in it, or a deleted file: both are normal
            self._index().fingerprints_of(
                path, report=lambda done, total: context.report("fingerprinting", done, total), stop=context.stop
            )


def stamp(path: Path) -> Stamp | None:
    """Return times and size of a file, which show a change; None for an unreadable file."""
    try:
        status = path.stat()
    except OSError:
        return None
    if stat.S_ISFIFO(status.st_mode):
        return None  # to open a pipe waits for somebody to write to it, and all other work with it
    return status.st_mtime_ns, status.st_size, status.st_ctime_ns


class Service:
    """State that outlives a page. All methods may be called from any thread."""

    def __init__(self, data_folder: Path) -> None:
        """Make the service; `data_folder`, the folder of the project's state, is created at the first write."""
        self._data_folder = data_folder
        self._catalogue: Catalogue | None = None
        self._catalogue_stamp: Stamp | None = None
        self._lock = threading.Lock()
        self.stores = Stores(data_folder, lambda: self.catalogue)
        self.accepted = AcceptedLicences(data_folder / "accepted-terms.json")
        self.keys = Keys(data_folder / "keys.json")
        self.history = History(data_folder / History.NAME)
        self.downloads = Downloads(
            self.history,
            Pending(data_folder / "queue.json"),
            lambda: self.stores.hashes,
            lambda path: self.obstacle(path),
        )
        self.looks = Looks()
        self.judge: Callable[[FileRecord], Verdict] | None = None
        """Returns the verdict of the WebUI; None without one: that of A1111 applies, for any published checkpoint."""
        self.choices = JobQueue("choices")
        self.declared = JobQueue("declared set")
        """Brings the download folder to the set that the owner has declared."""
        self.background = JobQueue("background")
        self._hashing = BackgroundHashing(self.background, lambda: self.stores.hashes, lambda: self.stores.index)
        self.maintenance = Maintenance(
            self.stores,
            lambda: references_of(self.history.entries()),
            lambda path, sha256, size: self.history.add(kept_version(path, sha256, size)),
        )
        self._recovery = Recovery(data_folder, self.maintenance.memories, self._tell_of_recovery)
        self.confirmed: set[tuple[str, str]] = set()
        """Choices and the questions that a person has answered: each is asked once."""
        self.choice_at_refusal: tuple[str, int | None] = ("", None)
        """The host's setting when the last of `choices` failed, in its word, and the serial of its own refusal: a
        change of either ends the failure."""
        self.dismissed_refusal: int | None = None
        """The serial of the host's refusal that a person has dismissed."""
        self.comparing = JobQueue("comparisons")
        self.comparisons = Comparisons()
        """The results of the jobs of `comparing`, by their keys."""
        self.trials = Trials()
        """The last trial; it is a job of `comparing` too."""
        self.basket = PictureBasket()
        self.sent_pictures = PictureBasket()
        """The pictures that a program has sent, apart from those that a person has dropped."""
        self.trial_records = TrialRecords(data_folder / TrialRecords.NAME)
        self.saving = JobQueue("saving")
        self.saved: Mapping[str, Sequence[Path]] = {}
        """The files of the comparisons that were saved, by their ids; the sheet is the last of each."""
        self.picture: Picture | None = None
        """The last pasted picture with a notice about its VAE."""

    @property
    def data_folder(self) -> Path:
        """Folder of the project's state."""
        return self._data_folder

    @property
    def catalogue_file(self) -> Path:
        """The user's own catalogue."""
        return self._data_folder / CATALOGUE_FILE

    @property
    def catalogue(self) -> Catalogue:
        """The built-in catalogue with the user's own entries, read again when the user's file has changed."""
        now = stamp(self.catalogue_file)
        with self._lock:
            if self._catalogue is None or now != self._catalogue_stamp:
                self._catalogue, self._catalogue_stamp = load(self.catalogue_file), now
            return self._catalogue

    def obstacle(self, path: Path) -> Message | None:
        """Return why a VAE file cannot be used as it is; the error's sentence if it cannot be read.

        None for a published text encoder.
        """
        from .files import inspect
        from .records.verdict import A1111, verdict

        if isinstance(self._published(path), EncoderEntry):
            return None
        try:
            record = inspect(path)
        except VaeManagerError as error:
            return error.message
        reason = (self.judge(record) if self.judge is not None else verdict(record, A1111)).reason
        return reason.message if reason is not None else None

    def terms_are_open(self, entry: PublishedFile) -> bool:
        """Return True if the licence is neither MIT nor Apache and has not been accepted in this installation."""
        return entry.licence is not None and not entry.licence.permissive and entry.id not in self.accepted

    def recover(self, folders: Iterable[Path]) -> None:
        """Complete or undo interrupted operations of killed processes in these VAE folders."""
        self._recovery.run(tuple(dict.fromkeys(folders)))

    def _tell_of_recovery(self, message: Message) -> None:
        logger.warning("%s", message)
        self.maintenance.notice = Notice(message)

    def recognise(self, path: str | Path) -> Entry | None:
        """Return the catalogue's entry for a file with a known hash; no file is hashed here."""
        sha256 = self.stores.hashes.known(Path(path))
        return self.catalogue.recognise(sha256) if sha256 else None

    def _published(self, path: Path) -> PublishedFile | None:
        sha256 = self.stores.hashes.known(path)
        return self.catalogue.published(sha256) if sha256 else None

    def get(self, entry: PublishedFile, folder: Path, network: Callable[[], Network], then: Then | None = None) -> str:
        """Download `entry` into `folder` in the background; return the job's key in `downloads`.

        `then` runs in the same job once the file is there and verified.
        """
        from .transfer import DownloadRequest  # imported here, since the network code waits for the first download

        request = DownloadRequest(entry.sources, folder, entry.file_name, entry.sha256, entry.size)
        return self.downloads.get(DownloadItem(request, entry.name), network, then)

    def get_from(
        self,
        address: str,
        folder: Path,
        network: NetworkFor,
        then: Then | None = None,
        *,
        remote_users: bool,
        name: str = "",
        anyway: bool = False,
    ) -> str:
        """Download from an address that a person typed: no hash is known for it. `name` is the person's own.

        With `remote_users`, people elsewhere can type too. Raises if it is refused; without an earlier look it sends a
        request first if only a server has the file's name. A look at the address that is under way is waited for in the
        background, and fails the download of a file that is no VAE, unless it is wanted `anyway`.
        """
        from .downloads.addresses import typed

        def checked() -> Network:
            refusal = None if anyway else self.looks.refusal(address, remote_users=remote_users, wait=True)
            if refusal is not None:
                raise refusal
            return network(request.sources)

        seen = self.looks.seen(address, remote_users=remote_users)
        request = typed(address, folder, network, remote_users=remote_users, name=name, seen=seen)
        return self.downloads.get(DownloadItem(request, request.file_name), checked, then)

    def go_on(
        self, left: UnfinishedDownload, network: NetworkFor, then: Then | None = None, *, remote_users: bool
    ) -> str:
        """Resume a download that was interrupted."""
        from .downloads.addresses import check

        for source in left.request.sources:
            check(source, remote_users=remote_users and left.request.sha256 is None)
        return self.downloads.get(
            DownloadItem(left.request, self.name_of(left)), lambda: network(left.request.sources), then
        )

    def name_of(self, left: UnfinishedDownload) -> str:
        """Return the name of an unfinished download for people."""
        entry = self.catalogue.published(left.request.sha256) if left.request.sha256 is not None else None
        return entry.name if entry is not None else left.request.file_name

    def can_be_hashed(self, path: Path) -> bool:
        """Return False for a file that is gone, or that was tried and cannot be read."""
        return self._hashing.can_be_hashed(path)

    def hashing(self) -> frozenset[str]:
        """Return the paths of the files that are being hashed, or wait for it."""
        return frozenset(view.key for view in self.background.views() if not view.state.ended)

    def hash_in_background(self, paths: Iterable[Path]) -> None:
        """Queue the hashing of each file without a known hash."""
        self._hashing.hash(paths)

    def learn(self, paths: Iterable[Path]) -> None:
        """Queue the fingerprints of each file without known ones."""
        self._hashing.take_fingerprints(paths)


class AcceptedLicences:
    """Licences other than MIT or Apache that the person has read and accepted, by entry id."""

    def __init__(self, path: Path) -> None:
        self._file = StateFile(path, list_of)
        self._lock = threading.Lock()
        self._accepted: frozenset[str] = frozenset()

    def __contains__(self, entry_id: str) -> bool:
        with self._lock:
            return entry_id in self._current()

    def add(self, entry_id: str) -> None:
        """Accept the licence of an entry, for all processes of this data folder. Raises DiskError without effect."""
        with self._lock:
            accepted = self._current() | {entry_id}
            try:
                self._file.write(sorted(accepted))
            except OSError as error:
                raise DiskError(
                    msg(
                        "{path} cannot be written: {reason}",
                        code="not-writable",
                        path=self._file.path,
                        reason=error.strerror or error,
                    )
                ) from error
            self._accepted = accepted

    def _current(self) -> frozenset[str]:
        """Read the accepted licences; an unreadable file means that they are asked for again."""
        if self._file.has_changed:
            self._accepted = frozenset(self._file.items(text))
        return self._accepted


@functools.cache
def the_service(data_folder: Path) -> Service:
    """Return the process's service for this folder, the same object for every caller."""
    return Service(data_folder)
