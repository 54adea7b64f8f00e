"""The service of the process: the owner of the jobs, the downloads, the catalogue and the knowledge of files.

It lives as long as the process. A page of the WebUI attaches to it and owns no state, so a reload of the page loses no
state: a download continues, and the new page shows its progress.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .background_hashing import Learning, Stamp, stamp
from .catalogue import Catalogue, Entry, load
from .compare import Comparisons
from .downloads import DownloadItem, Downloads, History, Keys, Pending, UnfinishedDownload
from .errors import DiskError, VaeManagerError
from .files.state_file import StateFile, list_of, text
from .infotext import Picture
from .jobs import JobQueue
from .maintenance import Maintenance, Notice, Recovery, Stores
from .messages import Message, msg

if TYPE_CHECKING:
    from .downloads.addresses import NetworkFor
    from .files import FileRecord
    from .library.family_evidence import FamilyOverrides, Guesses
    from .library.index import Index
    from .library.journal import Journal
    from .records import HashStore, RecordStore
    from .records.verdict import Verdict
    from .transfer import DownloadResult, Network

    Then = Callable[[DownloadResult], None]

logger = logging.getLogger(__name__)

CATALOGUE_FILE = "catalogue.yaml"


class Service:
    """State that outlives a page. All methods may be called from any thread."""

    def __init__(self, data_folder: Path) -> None:
        """Make the service; `data_folder`, the folder of the project's state, is created at the first write."""
        self._data_folder = data_folder
        self._catalogue: Catalogue | None = None
        self._catalogue_stamp: Stamp | None = None
        self._lock = threading.Lock()
        self.accepted = AcceptedTerms(data_folder / "accepted-terms.json")
        self.keys = Keys(data_folder / "keys.json")
        self.history = History(data_folder / "history.jsonl")
        self.downloads = Downloads(
            self.history, Pending(data_folder / "queue.json"), lambda: self.hashes, lambda path: self.obstacle(path)
        )
        self.judge: Callable[[FileRecord], Verdict] | None = None
        """Returns the verdict of the WebUI; None without one: that of A1111 applies, for any published checkpoint."""
        self.choices = JobQueue("choices")
        self.background = JobQueue("background")
        self._learning = Learning(self.background, lambda: self.hashes, lambda: self.index)
        self.maintenance = Maintenance(
            Stores(
                hashes=lambda: self.hashes,
                catalogue=lambda: self.catalogue,
                index=lambda: self.index,
                words=lambda: self.own_words,
                guesses=lambda: self.guesses,
                records=lambda: self.records,
                trash=self.trash,
            )
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

    @functools.cached_property
    def records(self) -> RecordStore:
        """The data of files that can be computed again."""
        from .records import RecordStore  # imported here, since reading files waits for the first file

        return RecordStore(self._data_folder)

    @functools.cached_property
    def hashes(self) -> HashStore:
        """The known SHA-256 of files."""
        from .records import HashStore

        return HashStore(self.records)

    @functools.cached_property
    def index(self) -> Index:
        """The known data of the library's files."""
        from .library.index import Index

        return Index(self.records, self.hashes)

    @functools.cached_property
    def own_words(self) -> FamilyOverrides:
        """The families that the person has given to files."""
        from .library.family_evidence import FamilyOverrides

        return FamilyOverrides(self._data_folder / "families.json")

    @functools.cached_property
    def guesses(self) -> Guesses:
        """The results of the latent test."""
        from .library.family_evidence import Guesses

        return Guesses(self.records)

    def obstacle(self, path: Path) -> Message | None:
        """Return why a file cannot be used as it is; the error's sentence if it cannot be read."""
        from .files import inspect
        from .records.verdict import A1111, verdict

        try:
            record = inspect(path)
        except VaeManagerError as error:
            return error.message
        reason = (self.judge(record) if self.judge is not None else verdict(record, A1111)).reason
        return reason.message if reason is not None else None

    @property
    def trash(self) -> Path:
        """Folder of removed files, for those that the system's own trash does not take."""
        return self._data_folder / "trash"

    @functools.cached_property
    def journal(self) -> Journal:
        """Notes of operations on several files."""
        from .library.journal import Journal

        return Journal(self._data_folder)

    def recover(self, folders: Iterable[Path]) -> None:
        """Complete or undo interrupted operations of killed processes in these VAE folders."""
        self._recovery.run(tuple(dict.fromkeys(folders)))

    def _tell_of_recovery(self, message: Message) -> None:
        logger.warning("%s", message)
        self.maintenance.told = Notice(message)

    def recognise(self, path: str | Path) -> Entry | None:
        """Return the catalogue's entry for a file with a known hash; no file is hashed here."""
        sha256 = self.hashes.known(Path(path))
        return self.catalogue.recognise(sha256) if sha256 else None

    def get(self, entry: Entry, folder: Path, network: Callable[[], Network], then: Then | None = None) -> str:
        """Download `entry` into `folder` in the background; return the job's key in `downloads`.

        `then` runs in the same job once the file is there and verified.
        """
        from .transfer import DownloadRequest  # imported here, since the network code waits for the first download

        order = DownloadRequest(entry.sources, folder, entry.file_name, entry.sha256, entry.size)
        return self.downloads.get(DownloadItem(order, entry.name), network, then)

    def get_from(
        self, address: str, folder: Path, network: NetworkFor, then: Then | None = None, *, remote_users: bool
    ) -> str:
        """Download from an address that a person typed: no hash is known for it.

        With `remote_users`, people elsewhere can type too. Raises if it is refused; sends a request first if only a
        server has the file's name.
        """
        from .downloads.addresses import typed

        order = typed(address, folder, network, remote_users=remote_users)
        return self.downloads.get(DownloadItem(order, order.file_name), lambda: network(order.sources), then)

    def go_on(
        self, left: UnfinishedDownload, network: NetworkFor, then: Then | None = None, *, remote_users: bool
    ) -> str:
        """Resume a download that was interrupted."""
        from .downloads.addresses import check

        for source in left.order.sources:
            check(source, remote_users=remote_users and left.order.sha256 is None)
        return self.downloads.get(
            DownloadItem(left.order, self.name_of(left)), lambda: network(left.order.sources), then
        )

    def name_of(self, left: UnfinishedDownload) -> str:
        """Return the name of an unfinished download for people."""
        entry = self.catalogue.recognise(left.order.sha256) if left.order.sha256 is not None else None
        return entry.name if entry is not None else left.order.file_name

    def can_be_hashed(self, path: Path) -> bool:
        """Return False for a file that is gone, or that was tried and cannot be read."""
        return self._learning.can_be_hashed(path)

    def hashing(self) -> frozenset[str]:
        """Return the paths of the files that are being hashed, or wait for it."""
        return frozenset(view.key for view in self.background.views() if not view.state.ended)

    def hash_in_background(self, paths: Iterable[Path]) -> None:
        """Queue the hashing of each file without a known hash."""
        self._learning.hash(paths)

    def learn(self, paths: Iterable[Path]) -> None:
        """Queue the fingerprints of each file without known ones."""
        self._learning.take_fingerprints(paths)


class AcceptedTerms:
    """Licences other than MIT or Apache that the person has read and accepted, by entry id."""

    def __init__(self, path: Path) -> None:
        self._file = StateFile(path, list_of)
        self._lock = threading.Lock()
        self._accepted: frozenset[str] = frozenset()

    def __contains__(self, entry_id: str) -> bool:
        with self._lock:
            return entry_id in self._current()

    def add(self, entry_id: str) -> None:
        with self._lock:
            accepted = self._current() | {entry_id}
            try:
                self._file.write(sorted(accepted))
            except OSError as error:
                raise DiskError(
                    msg("{path} cannot be written: {reason}", path=self._file.path, reason=error.strerror or error)
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
