"""The one service of the process: it owns the jobs, the hashes and the catalogue.

It lives as long as the process. A page of the WebUI attaches to it and owns nothing, so a reload of the page loses
nothing: a download goes on, and its progress is found again.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .catalogue import Catalogue, Entry, load
from .errors import DiskError
from .jobs import Handle, JobView, Lane
from .sentences import say

if TYPE_CHECKING:
    from .files import HashStore
    from .transfer import Delivery, Network, Progress, Unfinished

CATALOGUE_FILE = "catalogue.yaml"


class Service:
    """State that outlives a page. All methods may be called from any thread."""

    def __init__(self, data_folder: Path) -> None:
        """`data_folder` is where the project keeps its state; it is made when something is first written there."""
        self._data_folder = data_folder
        self._catalogue: Catalogue | None = None
        self._catalogue_stamp: tuple[int, int] | None = None
        self._asked_for_hash: set[tuple[Path, tuple[int, int]]] = set()
        self._lock = threading.Lock()
        self.accepted = AcceptedTerms(data_folder / "accepted-terms.json")
        self.downloads = Lane("downloads")
        self.choices = Lane("choices")
        self.background = Lane("background")

    @property
    def catalogue_file(self) -> Path:
        """The user's own catalogue."""
        return self._data_folder / CATALOGUE_FILE

    @property
    def catalogue(self) -> Catalogue:
        """The built-in catalogue with the user's own entries, read again when the user's file has changed."""
        stamp = _stamp(self.catalogue_file)
        with self._lock:
            if self._catalogue is None or stamp != self._catalogue_stamp:
                self._catalogue, self._catalogue_stamp = load(self.catalogue_file), stamp
            return self._catalogue

    @functools.cached_property
    def hashes(self) -> HashStore:
        """The SHA-256 of files, as far as it is known."""
        from .files import HashStore  # what reads files waits for the first file

        return HashStore(self._data_folder / "hashes.json")

    def recognise(self, path: str | Path) -> Entry | None:
        """The catalogue's entry for a file whose hash is known already; nothing is hashed here."""
        sha256 = self.hashes.known(Path(path))
        return self.catalogue.recognise(sha256) if sha256 else None

    def get(
        self, entry: Entry, folder: Path, network: Network, then: Callable[[Delivery], None] | None = None
    ) -> None:
        """Fetch `entry` into `folder` in the background; `then` runs in the same job once it is there and proven.

        The job's key is the entry's id.
        """
        from .transfer import Order, deliver  # the network's part waits for the first download

        order = Order(entry.sources, folder, entry.file_name, entry.sha256, entry.size)

        def work(handle: Handle) -> None:
            def report(progress: Progress) -> None:
                handle.report(progress.phase, progress.done, progress.total)

            delivery = deliver(order, network=network, report=report, stop=handle.stop)
            self.hashes.remember(delivery.path, delivery.sha256)
            if then is not None:
                then(delivery)

        self.downloads.start(entry.id, entry.name, work)

    def download(self, entry_id: str) -> JobView | None:
        return self.downloads.view(entry_id)

    def unfinished(self, folder: Path) -> tuple[Unfinished, ...]:
        """Downloads into `folder` that were cut off, by this process or an earlier one, and can go on."""
        from .transfer import unfinished

        return unfinished(folder)

    def hash_in_background(self, paths: Iterable[Path]) -> None:
        """Make sure that the hash of each file gets known, one after the other."""
        for path in paths:
            stamp = _stamp(path)
            if stamp is None or self.hashes.known(path) is not None:
                continue
            if (path, stamp) in self._asked_for_hash:
                continue  # under way, or it could not be read: the next process asks again
            self._asked_for_hash.add((path, stamp))

            def work(handle: Handle, path: Path = path, size: int = stamp[1]) -> None:
                self.hashes.compute(path, report=lambda done: handle.report("hashing", done, size), stop=handle.stop)

            self.background.start(str(path), path.name, work)


class AcceptedTerms:
    """Licences other than MIT or Apache that the person has read and accepted, by entry id."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._read()

    def add(self, entry_id: str) -> None:
        with self._lock:
            accepted = sorted({*self._read(), entry_id})
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                temporary = self._path.with_suffix(".new")
                temporary.write_text(json.dumps(accepted), encoding="utf-8")
                temporary.replace(self._path)
            except OSError as error:
                raise DiskError(
                    say("{path} cannot be written: {reason}", path=self._path, reason=error.strerror or error)
                ) from error

    def _read(self) -> list[str]:
        try:
            ids = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []  # nothing accepted yet, or unreadable: then it is asked again
        return [id for id in ids if isinstance(id, str)] if isinstance(ids, list) else []


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


@functools.cache
def the_service(data_folder: Path) -> Service:
    """The process's service for this folder: the same object each time, whoever asks."""
    return Service(data_folder)
