"""Delivery of one file: resolve, fetch, verify, publish."""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ..catalogue.entry import SHA256, HubSource, LocalSource, Source, safe_file_name
from ..errors import (
    Cancelled,
    IntegrityError,
    NameTakenError,
    NetworkError,
    NotFoundError,
    NoVaeError,
    RefusedError,
    UsageError,
    VaeManagerError,
    WrongBytesError,
)
from ..files import FileRecord, inspect, inspect_beginning
from ..files.disk import check_room, name_taken_error
from ..messages import Message, joined, megabytes, msg, renamed
from . import resume_journal
from .deadline import Deadline, run_cancellable
from .http_client import HttpClient
from .local_copies import Copy, Snapshot, Wanted, copies_of, snapshot_of, take
from .partial_file import PartialFile
from .request import DownloadRequest, DownloadResult, Network, Phase, Progress, Taken, retry
from .resolved_url import ResolvedUrl, SignedUrl, shown_source
from .resumable import hold_lock
from .resume_journal import Journal, contiguous_end, hash_of, make_folder, partial_write_error, redacted
from .scheduler import fetch
from .sources import resolve_source

__all__ = ["check_arrival", "check_beginning", "download_file"]


SAFETENSORS: Final = ".safetensors"

REPORT_INTERVAL_S = 0.1


def check_beginning(file: Path, count: int, request: DownloadRequest, source: str, *, is_hash_expected: bool) -> bool:
    """Check the first `count` bytes of `file`; return True if they are enough to identify it.

    A request with its own hash skips the check, because its sender has identified the file.

    Raises:
        NoVaeError: The file is a LoRA, or, unless a hash is expected that will verify the bytes, no model at all.
    """
    if request.sha256 is not None:
        return True
    record = inspect_beginning(file, count)
    if record is None:
        return False
    problem = _lora_problem(record) or (None if is_hash_expected else record.problem)
    if problem is None:
        return True
    raise NoVaeError(
        msg(
            "{problem} The download from {source} was stopped at its beginning; nothing was put under the name {file}.",
            problem=renamed(problem, file.name, request.file_name),
            source=source,
            file=request.file_name,
        )
    )


def _lora_problem(record: FileRecord) -> Message | None:
    return msg("{file} is a LoRA, not a VAE.", file=record.path.name) if record.layout == "lora" else None


def check_arrival(file: Path, request: DownloadRequest, source: str) -> None:
    """Raise RefusedError for a file that cannot get the name of `request`; `source` is its origin.

    If the hash was known beforehand, its publisher decides about the content. Pickles that are not wholly understood
    are refused all the same: their code would run in other programs. The same holds for a file with the extension of a
    pickle that is not understood as one: other programs choose their reader by the extension, and would run the code of
    a file that does not look like a pickle (of protocol 0, or a safetensors file as well).
    """
    inspection = inspect(file)
    is_pickle_by_name = not request.file_name.lower().endswith(SAFETENSORS)
    lora = _lora_problem(inspection) if request.sha256 is None else None
    fits_name = inspection.container == "pickle" or not is_pickle_by_name
    if inspection.tensors and fits_name and lora is None:
        return
    if request.sha256 is not None and inspection.container != "pickle" and not is_pickle_by_name:
        return
    problem = lora or inspection.problem or msg("{file} is no model.", file=request.file_name)
    if inspection.tensors and not fits_name:
        problem = msg(
            "The name {name} does not suit what is in {file}: it has to end with {ending}.",
            code="wrong-extension",
            name=request.file_name,
            file=file.name,
            ending=SAFETENSORS,
        )
    raise RefusedError(
        msg(
            "{problem} It came from {source} and was thrown away; nothing was put under the name {file}.",
            problem=renamed(problem, file.name, request.file_name),
            source=source,
            file=request.file_name,
        )
    )


@dataclass(frozen=True)
class AlreadyThere:
    """The target name has the wanted bytes already."""


@dataclass(frozen=True)
class NameTaken:
    """The target name has other bytes, which are never overwritten."""


@dataclass(frozen=True)
class Resume:
    """Resume from the kept bytes."""

    etag: str | None
    """The ETag of the kept bytes from the same source; None if they came from another one."""


@dataclass(frozen=True)
class Start:
    """Fetch from the first byte."""


NextStep = AlreadyThere | NameTaken | Resume | Start


def next_step(
    *,
    target: str | None,
    expected: str | None,
    journal: Journal | None = None,
    source: Source | None = None,
    size: int | None = None,
) -> NextStep:
    """Decide the next step from the target's hash (None: no target), the expected hash, and the kept bytes.

    >>> next_step(target=None, expected="aa")
    Start()
    >>> next_step(target="aa", expected="aa")
    AlreadyThere()
    >>> next_step(target="bb", expected="aa"), next_step(target="bb", expected=None)
    (NameTaken(), NameTaken())
    """
    if target is not None:
        return AlreadyThere() if target == expected else NameTaken()
    if journal is None or not journal.segments or (size is not None and journal.segments[-1][1] > size):
        return Start()
    etag = journal.etag if journal.source == source else None
    if expected is not None:
        return Resume(etag) if journal.sha256 == expected else Start()
    return Resume(etag) if etag else Start()


def download_file(
    request: DownloadRequest, *, network: Network, report: Callable[[Progress], None], stop: threading.Event
) -> DownloadResult:
    """Download and verify the file of `request` into its folder, or raise one of `vae_manager.errors`.

    The bytes that have arrived are kept after a failure or when `stop` is set, and the next call resumes from them. An
    existing file with the target name is never changed.
    """
    request = _validated(request)
    download = _Download(request, network, stop, report)
    try:
        return download.run()
    except Cancelled:
        raise _stopped_error(request, download.partial) from None
    except OSError as error:
        raise partial_write_error(request.folder, error) from error
    finally:
        download.client.close()


def _validated(request: DownloadRequest) -> DownloadRequest:
    safe_file_name(request.file_name)
    if not request.sources and request.sha256 is None:
        raise UsageError(msg("No source is given for {file}.", file=request.file_name))
    if request.sha256 is None:
        return request
    sha256 = request.sha256.lower()
    if not SHA256.fullmatch(sha256):
        raise UsageError(
            msg("“{hash}” is not a SHA-256 hash (64 hexadecimal digits).", code="bad-sha256", hash=request.sha256)
        )
    return replace(request, sha256=sha256)


def _stopped_error(request: DownloadRequest, partial: PartialFile) -> Cancelled:
    journal = partial.state()
    if journal is None or not journal.done:
        return Cancelled(msg("Stopped. Nothing of {file} had arrived.", file=request.file_name))
    return Cancelled(
        msg(
            "Stopped. {done} of {file} are kept, and the next start goes on from there.",
            done=megabytes(journal.done),
            file=request.file_name,
        )
    )


@dataclass
class _Download:
    request: DownloadRequest
    network: Network
    stop: threading.Event
    report: Callable[[Progress], None]
    partial: PartialFile = field(init=False)
    client: HttpClient = field(init=False)
    target: Path = field(init=False)
    fetched: int = 0
    max_done: int = 0
    """The most bytes that were there at once: a source that resends the same bytes makes no progress."""
    kept: int = 0
    total: int | None = None
    is_locked: bool = False
    is_beginning_known: bool = False
    """The first bytes were checked, and are plausible."""
    _reported_at: float = 0.0

    def __post_init__(self) -> None:
        self.partial = PartialFile.of(self.request)
        self.client = HttpClient(self.network)
        self.target = self.request.folder / self.request.file_name
        self.total = self.request.size

    # -- steps of a download -------------------------------------------------------------------------------------------
    def run(self) -> DownloadResult:
        if self.partial.is_published(self.target):
            with hold_lock(self.partial, self.report_waiting, self.stop) as self.is_locked:
                return self.complete_published()
        if self.request.sha256 is not None and (existing := self.existing_result(self.request.sha256)):
            self.partial.remove_leftovers(lock=True)  # the process that published it may have been killed before this
            return existing
        make_folder(self.request.folder)
        with hold_lock(self.partial, self.report_waiting, self.stop) as self.is_locked:
            journal = self.partial.state()
            self.kept = journal.done if journal else 0
            if self.request.sha256 is not None:
                # the process that was waited for has probably published the file
                here = self.existing_result(self.request.sha256) or self.copy_result(
                    self.request.sha256, self.request.size, self.request.sources
                )
                if here is not None:
                    return here
            return self.try_sources()

    def complete_published(self) -> DownloadResult:
        """Complete a download whose process was killed while the file had both its names."""
        journal = self.partial.state()
        expected = self.request.sha256 or (journal.sha256 if journal is not None else None)
        self.partial.remove_published(self.target)
        sha256, size = self.target_hash(), self.target.stat().st_size
        if sha256 is None or expected not in (None, sha256):
            raise name_taken_error(self.target)
        return DownloadResult(self.target, sha256, size, expected is not None, fetched=0, already_there=True)

    def try_sources(self) -> DownloadResult:
        """Try the sources in turn; after wrong bytes from the last one, try that one once more from the start."""
        if not self.request.sources:
            raise NotFoundError(
                msg(
                    "{file} is missing, and no source of it is known. Put a file with these bytes into {folder} by "
                    "other means. SHA-256: {hash}.",
                    code="no-source",
                    file=self.request.file_name,
                    folder=self.request.folder,
                    hash=self.request.sha256,
                )
            )
        failures: dict[Source, VaeManagerError] = {}
        pending = deque(self.request.sources)
        while pending:
            source = pending.popleft()
            try:
                try_source = functools.partial(self.try_source, source)
                return retry(
                    try_source, lambda: self.max_done, self.network.retry_policy, self.stop, self.report_failure
                )
            except NameTakenError:
                raise
            except (NetworkError, NotFoundError, IntegrityError, RefusedError, UsageError) as error:
                if isinstance(error, WrongBytesError) and not pending and source not in failures:
                    pending.append(source)
                    self.max_done = 0
                    self.client.close()  # so that the retry uses other connections
                failures[source] = error
        raise _combined_error(self.request, list(failures.values()))

    def try_source(self, source: Source) -> DownloadResult:
        """Try one source once."""
        self.report_progress("resolving", self.partial.done or self.kept)
        if self.request.sha256 is not None and (existing := self.existing_result(self.request.sha256)):
            return existing  # another process has downloaded it meanwhile
        if here := self.snapshot_result(source, pinned_only=True):
            return here
        try:
            location = self.resolve(source)
        except NetworkError:
            if here := self.snapshot_result(source, pinned_only=False):
                return here
            raise
        expected = _agreed_hash(self.request, location)
        if existing := self.existing_result(expected):
            return existing
        if self.request.sha256 is None and (here := self.published_result(expected, location)):
            return here
        try:
            address = SignedUrl(
                replace(location, is_hash_known=expected is not None),
                lambda: replace(self.resolve(source), is_hash_known=expected is not None),
            )
            return self.download(address, expected)
        except (FileNotFoundError, FileExistsError) as error:
            if not self.request.folder.is_dir():
                raise
            # without working locks, another process may be just a moment faster
            raise self.partial.taken_over_error() from error

    def resolve(self, source: Source) -> ResolvedUrl:
        """Return the resolved address of `source`. Raises TransientNetworkError after `Network.answer_timeout`."""
        deadline = Deadline(self.network.answer_timeout, shown_source(source))
        client, hash_decides = self.client.within(deadline), self.request.sha256 is not None
        return run_cancellable(lambda: resolve_source(source, client, hash_decides=hash_decides), self.stop, deadline)

    def copy_result(self, sha256: str, size: int | None, sources: tuple[Source, ...]) -> DownloadResult | None:
        """Take a file of this machine with the wanted bytes; None without one."""
        wanted = Wanted(sha256, size, self.request.file_name, sources)
        for copy in copies_of(wanted, self.network.places):
            try:
                taken = self.take(copy, sha256)
            except NameTakenError:  # another process was faster
                return self.existing_result(sha256)
            if taken is not None:
                return self.taken_result(taken, is_proven=True)
        return None

    def published_result(self, sha256: str | None, location: ResolvedUrl) -> DownloadResult | None:
        """Take a file of this machine with the hash that a site publishes; None without one."""
        return self.copy_result(sha256, location.size, (location.source,)) if sha256 is not None else None

    def snapshot_result(self, source: Source, *, pinned_only: bool) -> DownloadResult | None:
        """Take the file of a source without a known hash from the hub's cache; None if it is not there."""
        cache = self.network.places.hub_cache
        if cache is None or self.request.sha256 is not None or not isinstance(source, HubSource):
            return None
        snapshot: Snapshot | None = snapshot_of(source, cache, pinned_only=pinned_only)
        if snapshot is None:
            return None
        if existing := self.existing_result(snapshot.sha256):
            return existing
        taken = self.take(Copy(snapshot.path, is_named=True), snapshot.sha256)
        if taken is None:
            return None
        return replace(self.taken_result(taken, is_proven=snapshot.sha256 is not None), source=source)

    def take(self, copy: Copy, sha256: str | None) -> Taken | None:
        """Put a file of this machine under the final name, if it has the wanted bytes."""

        def report(done: int) -> None:
            if time.monotonic() - self._reported_at >= REPORT_INTERVAL_S:
                self._reported_at = time.monotonic()
                self.report(Progress("proving", done, self.total, done))  # nothing of it comes from the network

        return take(
            copy,
            self.target,
            self.network.places,
            sha256=sha256,
            check=lambda file: check_arrival(file, self.request, str(copy.path)),
            report=report,
            stop=self.stop,
        )

    def taken_result(self, taken: Taken, *, is_proven: bool) -> DownloadResult:
        """Return the result for a file of this machine, and remove what had arrived of it."""
        if self.is_locked:
            self.partial.discard()
        self.partial.remove_leftovers()
        size = self.target.stat().st_size
        return DownloadResult(
            self.target, taken.sha256, size, is_proven, self.fetched, already_there=False, taken=taken
        )

    def download(self, address: SignedUrl, expected: str | None) -> DownloadResult:
        """Download all bytes, verify them, and publish the file under the final name."""
        self.fetch_missing(address, expected)
        source = address.now.source
        if not self.partial.done:
            self.partial.discard()
            raise self.empty_error(source)
        sha256 = self.verify(source, expected)
        if existing := self.existing_result(expected):
            return existing
        self.check_content(source)
        self.report_progress("publishing", self.partial.done)
        size = self.partial.done
        self.partial.publish(self.target)
        return DownloadResult(
            self.target, sha256, size, expected is not None, self.fetched, already_there=False, source=source
        )

    def fetch_missing(self, address: SignedUrl, expected: str | None) -> None:
        """Download all missing bytes into the partial file."""
        location = address.now
        size = self.request.size if self.request.size is not None else location.size
        if size == 0:
            raise self.empty_error(location.source)
        kept, source = self.partial.state(), redacted(location.source)
        plan = next_step(target=None, expected=expected, journal=kept, source=source, size=size)
        journal = Journal(self.request, expected, size, source)
        done = 0
        if isinstance(plan, Resume) and kept is not None:
            journal = replace(journal, etag=plan.etag, segments=kept.segments)
            self.report_progress("resuming", kept.done)
            in_place = self.is_locked and resume_journal.has_ended(kept.owner) and not self.partial.has_other_names
            self.partial.resume(journal, self.stop, in_place=in_place)
            done = self.partial.done
        else:
            self.partial.close()  # the kept bytes are removed when other bytes come, not before
        self.kept = min(self.kept, done)
        self.total = size
        if size is not None:
            if done == size:
                return
            check_room(self.request.folder, size - done)
        self.is_beginning_known = False
        try:
            fetch(
                self.client,
                address,
                journal,
                self.partial,
                tick=self.progress_callback(location, expected),
                stop=self.stop,
            )
        except NoVaeError:
            self.partial.discard()
            raise
        except VaeManagerError:
            # However recent the last report is. A connection that is ending may still write what nobody will count.
            self.report_progress("fetching", self.partial.saved)
            raise

    def verify(self, source: Source, expected: str | None) -> str:
        """Return the hash of the downloaded bytes; discard them if it is not the expected one."""
        while (found := self.partial.sha256()) is None:
            if self.stop.is_set():
                raise Cancelled(msg("Stopped."))
            self.report_progress("proving", self.partial.hashed)
        if expected in (None, found):
            return found
        self.partial.discard()
        raise WrongBytesError(
            msg(
                "{file} from {source} is not the published file and was thrown away. Expected SHA-256: {expected}. "
                "Received: {found}. Files that were there before are unharmed.",
                code="wrong-bytes",
                file=self.request.file_name,
                source=shown_source(source),
                expected=expected,
                found=found,
            )
        )

    def check_content(self, source: Source) -> None:
        """Remove a file that is no model, or contains code, before it is published."""
        self.partial.truncate()
        try:
            check_arrival(self.partial.path, self.request, shown_source(source))
        except NotFoundError as error:  # without working locks, another process may have published it
            raise self.partial.taken_over_error() from error
        except RefusedError:
            self.partial.discard()
            raise

    def check_first_bytes(self, source: Source, expected: str | None) -> None:
        """Check the first bytes once they are there. Raises NoVaeError."""
        count = contiguous_end(self.partial.byte_ranges)
        if count and not self.is_beginning_known:
            self.is_beginning_known = check_beginning(
                self.partial.path, count, self.request, shown_source(source), is_hash_expected=expected is not None
            )

    def empty_error(self, source: Source) -> IntegrityError:
        return IntegrityError(
            msg(
                "{file} from {source} is empty: it has no bytes. Nothing was put in place.",
                file=self.request.file_name,
                source=shown_source(source),
            )
        )

    def existing_result(self, expected: str | None) -> DownloadResult | None:
        """Check the file with the target name; None without such a file."""
        found = self.target_hash()
        plan = next_step(target=found, expected=expected)
        if isinstance(plan, NameTaken):
            raise name_taken_error(self.target)
        if isinstance(plan, AlreadyThere) and found is not None:
            if self.is_locked:  # the lock guarantees that no other process uses the kept bytes
                self.partial.discard()
            self.partial.remove_leftovers()
            size = self.target.stat().st_size
            return DownloadResult(self.target, found, size, proven=True, fetched=self.fetched, already_there=True)
        return None

    def target_hash(self) -> str | None:
        if not self.target.is_symlink() and not self.target.exists():
            return None
        if not self.target.is_file():
            return ""  # a folder, or a dangling link: no file has this hash
        size = self.target.stat().st_size
        self.report_progress("proving", size)
        return hash_of(self.target, self.stop)

    # -- progress reports ----------------------------------------------------------------------------------------------
    def report_progress(self, phase: Phase, done: int) -> None:
        self._reported_at = time.monotonic()
        self.report(Progress(phase, done, self.total, self.kept))

    def progress_callback(self, location: ResolvedUrl, expected: str | None) -> Callable[[int, int | None], None]:
        is_network = not isinstance(location.source, LocalSource)

        def arrived(count: int, total: int | None) -> None:
            self.fetched += count if is_network else 0
            self.max_done = max(self.max_done, self.partial.done)
            self.total = total
            self.kept = min(self.kept, self.partial.kept)
            self.check_first_bytes(location.source, expected)
            if time.monotonic() - self._reported_at >= REPORT_INTERVAL_S:
                self.report_progress("fetching", self.partial.done)

        return arrived

    def report_failure(self, problem: Message) -> None:
        self._reported_at = time.monotonic()
        self.report(Progress("retrying", self.partial.done, self.total, self.kept, problem))

    def report_waiting(self) -> None:
        done = 0
        with suppress(OSError):
            done = self.partial.path.stat().st_size
        self.report_progress("waiting", done)


def _agreed_hash(request: DownloadRequest, location: ResolvedUrl) -> str | None:
    """Return the hash to verify; the request and the source must agree if both have one."""
    if None not in (request.sha256, location.sha256) and request.sha256 != location.sha256:
        raise IntegrityError(
            msg(
                "{source} now holds another file than the known {file}, so nothing was fetched. "
                "Known SHA-256: {expected}. The hub's: {found}.",
                code="other-file-at-source",
                source=shown_source(location.source),
                file=request.file_name,
                expected=request.sha256,
                found=location.sha256,
            )
        )
    return request.sha256 or location.sha256


def _combined_error(request: DownloadRequest, failures: list[VaeManagerError]) -> VaeManagerError:
    """Return one error that names the failure of each source."""
    if len(failures) == 1:
        return failures[0]
    message = msg(
        "{file} could not be fetched from any of its sources. {failures}",
        code="no-source-left",
        file=request.file_name,
        failures=joined([error.message for error in failures]),
    )
    if any(isinstance(error, IntegrityError) for error in failures):
        return IntegrityError(message)
    for kind in (NotFoundError, RefusedError, UsageError):
        if all(isinstance(error, kind) for error in failures):
            return kind(message)
    return NetworkError(message)
