"""Maintenance of the library in the background.

It covers inspection, verification, duplicates, conversions, the trash, and the recovery of operations that an ended
process left incomplete. There is one object for the process.

The jobs have a queue of their own, so that a verification of many gigabytes delays neither a choice nor the hash of the
file in use. They never need the WebUI's queue lock: files are read, and new ones are written beside them.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from .errors import BrokenFileError, Cancelled, NotFoundError, VaeManagerError
from .jobs import JobContext, JobQueue, JobView
from .library import VaeFile
from .library.folders import YOUNG_NS, key_of
from .library.inspection_cache import InspectionCache, Stores
from .library.verification import Outcome, Reference, Verification
from .messages import Message, megabytes, msg
from .records.verdict import A1111, HostCapability

if TYPE_CHECKING:
    from .files import FileRecord
    from .library.family_evidence import LatentTestGuess
    from .library.moving import How, LibraryContext, Memory
    from .library.trash import Removed

__all__ = [
    "OWN",
    "VERIFY_ALL",
    "Maintenance",
    "Notice",
    "Recovery",
    "RemovedFiles",
    "doubled",
    "key_of",
    "problems_of",
    "summary_of",
]


_Stamp: TypeAlias = tuple[tuple[str, int], ...]

OWN: Final = ".vae-manager"
"""Folder in the VAE folder: the command line's state if there is no WebUI; no WebUI reads it."""

INSPECTING = "look"
INSPECTION_TIMEOUT_S = 0.3
"""Seconds that an answer may wait for the inspection of new files: most libraries are complete in that time."""
VERIFY_ALL = "verify-all"
DUPLICATES = "duplicates"


class RemovedFiles:
    """Entries of the trash in `folder`, read again when one of its folders has changed.

    Another thread or process may be filling an entry at any time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read_at: _Stamp | None = None
        self._all: Sequence[tuple[Removed, int]] = ()

    def all(self) -> Sequence[tuple[Removed, int]]:
        """Return the entries with their sizes in bytes, newest first; the same object until a folder changes."""
        now = _stamp(self._folder)
        if not now:  # the folder is made with the first entry
            self._read_at, self._all = None, ()
        elif now != self._read_at:
            found = self._read()
            if found != self._all:
                self._all = found
            is_young = time.time_ns() - max(time_ns for _, time_ns in now) < YOUNG_NS
            self._read_at = None if is_young else now
        return self._all

    def _read(self) -> Sequence[tuple[Removed, int]]:
        from .library import trash

        return tuple((gone, gone.size) for gone in trash.removed(self._folder))

    def remove(self, file: Path, library: LibraryContext) -> Removed:
        """Move a file into the trash. Raises as `trash.remove` does."""
        from .library import trash

        return trash.remove(file, self._folder, library)

    def restore(self, entry: str, library: LibraryContext, name: str | None = None) -> Path:
        """Restore the file of that entry, under `name` if one is given. Raises as `trash.restore` does."""
        from .library import trash

        entries = ((gone, gone.place) for gone, _ in self._read())
        gone = next((gone for gone, place in entries if place is not None and place.name == entry), None)
        if gone is None:
            raise NotFoundError(msg("This file is no longer in the trash.", code="not-in-trash"))
        return trash.restore(gone, library, name=name)

    def empty(self) -> int:
        """Delete the entries for good; return the number of freed bytes. Raises as `trash.empty` does."""
        from .library import trash

        return trash.empty(self._folder)


def _stamp(folder: Path) -> _Stamp:
    """Return names and modification times (nanoseconds) of the trash, its entries and their folders of files.

    Empty if there is no trash. A change of an entry does not change the time of the trash itself.
    """
    try:
        entries = sorted(path.name for path in folder.iterdir())
    except OSError:
        return ()
    paths = ["", *entries, *(f"{entry}/files" for entry in entries)]
    return tuple((path, _modified(folder / path)) for path in paths)


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


class Recovery:
    """The recovery of interrupted operations and the removal of partial files.

    All methods may be called from any thread.
    """

    def __init__(self, data: Path, memories: Callable[[], Iterable[Memory]], report: Callable[[Message], None]) -> None:
        """Set up; `report` gets a message for each operation, once."""
        self._data = data
        self._memories = memories
        self._report = report
        self._lock = threading.Lock()
        self._swept: set[Path] = set()
        self._reported: set[str] = set()

    def run(self, folders: Sequence[Path]) -> None:
        """Complete or undo interrupted operations; in a folder that is new to this process, remove partial files too.

        The call takes almost no time if there are no notes, so that each listing of the library can begin with it.
        """
        with self._lock:
            for data in dict.fromkeys([self._data, *(folder / OWN for folder in folders)]):
                if (data / "operations").is_dir():
                    self._recover(data)
            for folder in folders:
                if folder not in self._swept:
                    self._swept.add(folder)
                    _sweep(folder)
            if self._data not in self._swept:
                self._swept.add(self._data)
                _sweep_one(self._data)

    def _recover(self, data: Path) -> None:
        from .library.operations import Journal
        from .library.trash import recover

        recover(Journal(data), self._memories, self._tell)

    def _tell(self, message: Message) -> None:
        if str(message) not in self._reported:  # an operation that cannot be ended now is found again each time
            self._reported.add(str(message))
            self._report(message)


def _sweep(folder: Path) -> None:
    for place, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        _sweep_one(Path(place))


def _sweep_one(folder: Path) -> None:
    from .files.disk import sweep
    from .transfer.resumable import sweep as sweep_downloads

    sweep(folder)
    sweep_downloads(folder)


class ProgressCounter:
    """The progress of a job of several parts, in bytes."""

    def __init__(self, context: JobContext, total: int) -> None:
        self.context = context
        self._total = total
        self._before = 0
        self.reach(0)

    def reach(self, done: int, _: int = 0) -> None:
        """Report `done` bytes of the present part."""
        self.context.report("working", min(self._before + done, self._total), self._total)

    def next(self, size: int) -> None:
        """Complete a part of `size` bytes."""
        self._before += size
        self.reach(0)

    def go_on(self) -> None:
        """Raise Cancelled if the work is to stop."""
        if self.context.stop.is_set():
            raise Cancelled(msg("Stopped."))


# -- verifying -----------------------------------------------------------------------------------------------------
def verify_all(
    files: Sequence[VaeFile],
    stores: Stores,
    looks: InspectionCache,
    judged: Callable[[VaeFile, Verification], None],
    context: JobContext,
    host: HostCapability = A1111,
    of_paths: Mapping[Path, Reference] | None = None,
) -> None:
    """Verify each file for `host`, and take the missing fingerprints. Each part counts as long as the file.

    `of_paths` has the bytes that paths should have.
    """
    from .library.verification import References, verify

    references = References(stores.hashes, of_paths)
    course = ProgressCounter(context, 3 * sum(file.size for file in files))
    for file in files:
        course.go_on()
        verification = verify(
            file.path, stores.catalogue, stores.hashes, host=host, references=references, report=course.reach,
            stop=context.stop,
        )  # fmt: skip
        course.next(2 * file.size)
        if verification.outcome not in (Outcome.NOT_A_VAE, Outcome.UNREADABLE):
            _fingerprint(file.path, stores, course)
        if verification.damage is not None:
            stores.index.note_failure(*verification.damage)  # so that no list offers it any more
        looks.again(file)
        judged(file, verification)
        course.next(file.size)


# -- duplicates ----------------------------------------------------------------------------------------------------
def take_fingerprints(files: Sequence[VaeFile], stores: Stores, looks: InspectionCache, context: JobContext) -> None:
    """Take the fingerprints that are not known yet."""
    lacking = [file for file, record in looks.seen(files) if record.fingerprints is None and record.table is not None]
    course = ProgressCounter(context, sum(file.size for file in lacking))
    for file in lacking:
        course.go_on()
        _fingerprint(file.path, stores, course)
        looks.again(file)
        course.next(file.size)


def _fingerprint(path: Path, stores: Stores, course: ProgressCounter) -> None:
    """Take the fingerprints of a file; one without a VAE is skipped, since it has no duplicate."""
    try:
        stores.index.fingerprints_of(path, report=course.reach, stop=course.context.stop)
    except Cancelled:
        raise
    except VaeManagerError:
        return


# -- conversion ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Conversion:
    """A file that the WebUI loads, made from another one."""

    path: Path
    done: tuple[str, ...]
    """As `Plan.done`."""
    is_new: bool
    """False for the result of an earlier conversion that is still valid."""


def convert_one(source: Path, files: Sequence[Path], stores: Stores, context: JobContext) -> Conversion:
    """Return the result of an earlier conversion among `files`, or write the VAE of `source` as a file beside it.

    Damage found on the way is recorded for `source`. Raises as `files.conversion.convert` does.
    """
    from .files import Problem, identity_of, inspect
    from .files.conversion import convert as write
    from .files.conversion import find_twin, free_name, plan

    def report(done: int, total: int) -> None:
        context.report("converting", done, total)

    hashes, index = stores.hashes, stores.index
    planned = plan(inspect(source))
    twin = find_twin(source, planned, files, hashes, report=report, stop=context.stop)
    if twin is not None:
        return Conversion(twin, planned.done, is_new=False)
    target = free_name(source.parent, source, planned.done)
    before = identity_of(source)
    try:
        converted = write(source, target, hashes=hashes, report=report, stop=context.stop)
    except BrokenFileError as error:
        if before is not None:
            index.note_failure(before, Problem(error.code, error.message))
        raise
    hashes.remember(converted.target, converted.sha256)
    return Conversion(converted.target, converted.done, is_new=True)


def carry_family(source: Path, target: Path, stores: Stores) -> None:
    """Copy the family set by the person or the latent test to the file that was made from this one.

    The weights are the same, although their fingerprint may not have been taken yet.
    """
    old, new = _record(source, stores), _record(target, stores)
    if old is None or new is None:
        return
    word, guess = stores.overrides.get(old), stores.guesses.guess(old)
    if word is not None and stores.overrides.get(new) is None:
        stores.overrides.put(new, word)
    if guess is not None and stores.guesses.guess(new) is None:
        stores.guesses.put(new, guess)


def _record(path: Path, stores: Stores) -> FileRecord | None:
    from .files import identity_of, inspect

    identity = identity_of(path)
    return stores.index.completed(inspect(path), identity) if identity is not None else None


@dataclass(frozen=True)
class Notice:
    """The result of a job, for display."""

    message: Message
    made: Path | None = None
    """The new file in the library."""
    restorable: str | None = None
    """The entry of the trash with the file that was deleted; None for the system's trash, and for other work."""
    problems: tuple[tuple[VaeFile, Message], ...] = ()
    """The invalid files, with the reasons."""
    serial: int = field(default_factory=itertools.count(1).__next__)
    """A number that differs for each notice."""


class Maintenance:
    """The maintenance jobs and their results. All methods may be called from any thread."""

    def __init__(
        self,
        stores: Stores,
        references: Callable[[], Mapping[Path, Reference]] = dict,
        note_kept: Callable[[Path, str, int], None] = lambda path, sha256, size: None,
    ) -> None:
        """Set up.

        Args:
            stores: What is known of files.
            references: Returns the bytes that paths should have.
            note_kept: Stores that the owner keeps a file: its path, its SHA-256 and its bytes.
        """
        self._stores = stores
        self._references = references
        self._note_kept = note_kept
        self._inspections = InspectionCache(stores)
        self._inspection_jobs = JobQueue("looks")
        self._jobs = JobQueue("upkeep")
        self._lock = threading.Lock()
        self._renamed: dict[str, str] = {}
        self.removed = RemovedFiles(stores.trash)
        self._notice: Notice | None = None

    @property
    def notice(self) -> Notice | None:
        """The result of the last job, until it is dismissed, and as long as it is valid.

        Another process can restore a file or empty the trash.
        """
        notice = self._notice
        if notice is None or notice.restorable is None:
            return notice
        places = (gone.place for gone, _ in self.removed.all() if gone.place is not None)
        return notice if notice.restorable in {place.name for place in places} else None

    @notice.setter
    def notice(self, notice: Notice | None) -> None:
        self._notice = notice

    # -- inspection ----------------------------------------------------------------------------------------------------
    def inspect(self, files: Sequence[VaeFile], *, timeout: float = INSPECTION_TIMEOUT_S) -> None:
        """Inspect each file in the background; wait at most `timeout` seconds for it."""
        if not self._inspections.lacking(files):
            return
        self._inspection_jobs.start(INSPECTING, "", lambda context: self._inspections.take(files, context.stop))
        if timeout:
            self._inspection_jobs.wait(INSPECTING, timeout)

    def inspect_file(self, file: VaeFile) -> None:
        """Inspect one file now, unless that was done: a decision about it needs its record."""
        if self._inspections.lacking([file]):
            self._inspections.again(file)

    @property
    def is_inspecting(self) -> bool:
        """True while files are inspected in the background: the records may be incomplete."""
        view = self._inspection_jobs.view(INSPECTING)
        return view is not None and not view.state.ended

    def records(self, files: Sequence[VaeFile]) -> Mapping[Path, FileRecord]:
        """Return the record of each file that has been inspected."""
        return self._inspections.records(files)

    def twins(self, files: Sequence[VaeFile]) -> Mapping[Path, Sequence[VaeFile]]:
        """Return, for each file with duplicates, the other files with the same weights."""
        return self._inspections.twins(files)

    def set_family(self, file: VaeFile, family: str | None) -> None:
        """Store the person's own family; None removes it. Raises UsageError, DiskError."""
        for record in self._stores.index.inspect_all([file]):
            self._stores.overrides.put(record, family)

    def try_out(self, file: VaeFile, test: Callable[[], tuple[LatentTestGuess, Message]]) -> None:
        """Determine the family by the latent test: `test` returns its guess, which is stored, and the message."""

        def try_it(context: JobContext) -> None:
            guess, message = test()
            self.notice = Notice(message)  # before the row shows the guess, which comes with the next look
            for record in self._stores.index.inspect_all([file]):
                self._stores.guesses.put(record, guess)

        self._jobs.start(f"try {key_of(file.path)}", file.name, try_it)

    # -- files -----------------------------------------------------------------------------------------------------
    def memories(self) -> Sequence[Memory]:
        """Return the stores that identify files by their identity, which changes when a file moves."""
        return self._stores.memories()

    def now_called(self, key: str) -> str:
        """Return the present key of the file that had the key `key`: an open page may have an old one."""
        return self._renamed.get(key, key)

    def renamed(self, old: Path, new: Path) -> None:
        """Record a renaming that begins, for `now_called`; a chain of them leads to the last name.

        One that fails is recorded once more, in the other direction.
        """
        before, now = key_of(old), key_of(new)
        with self._lock:
            follow = {key: now if name == before else name for key, name in self._renamed.items()}
            self._renamed = {key: name for key, name in {**follow, before: now}.items() if key != name}

    def remove(self, file: Path, library: LibraryContext) -> None:
        """Move the file into the trash. Raises as `trash.remove` does."""
        gone = self.removed.remove(file, library)
        if gone.place is None:
            self.notice = Notice(
                msg("{file} is in the system's trash. Restore it from there.", code="in-system-trash", file=file.name)
            )
        else:
            self.notice = Notice(
                msg("{file} is in the trash.", code="in-trash", file=file.name), restorable=gone.place.name
            )

    def restore(self, entry: str, library: LibraryContext, name: str | None = None) -> None:
        """Restore a file of the trash. Raises as `trash.restore` does."""
        path = self.removed.restore(entry, library, name)
        self.notice = Notice(msg("{file} is back in {folder}.", file=path.name, folder=path.parent.name), path)

    def empty_trash(self) -> None:
        """Delete the content of the trash for good. Raises as `trash.empty` does."""
        self.notice = Notice(msg("The trash is empty: {size} are free again.", size=megabytes(self.removed.empty())))

    # -- jobs ----------------------------------------------------------------------------------------------------------
    def verify(self, file: VaeFile, host: HostCapability) -> None:
        """Verify one file in the background for the WebUI `host`; the outcome is stored, and becomes the notice."""
        self._verify(f"verify {key_of(file.path)}", file.name, [file], host)

    def verify_all(self, files: Sequence[VaeFile], host: HostCapability) -> None:
        """Verify `files` in one job. A second request while it waits or runs has no effect."""
        self._verify(VERIFY_ALL, "", files, host)

    def _verify(self, key: str, title: str, files: Sequence[VaeFile], host: HostCapability) -> None:
        found: dict[VaeFile, Verification] = {}

        def judged(file: VaeFile, verification: Verification) -> None:
            found[file] = verification
            self._stores.verifications.put(file, verification)

        def verify(context: JobContext) -> None:
            verify_all(files, self._stores, self._inspections, judged, context, host, self._references())
            self.notice = Notice(summary_of(list(found.values())), problems=problems_of(found))

        self._jobs.start(key, title, verify)

    def keep(self, file: VaeFile, host: HostCapability) -> None:
        """Make the present bytes of a changed file its reference, in the background, after they are read again.

        Bytes that are damaged, or that changed silently since the last reading, are not kept: the notice says so.
        """
        from .library.verification import can_be_kept, kept

        def keep(context: JobContext) -> None:
            found: list[Verification] = []
            last = self._stores.hashes.known(file.path)
            verify_all(
                [file], self._stores, self._inspections, lambda _, one: found.append(one), context, host,
                self._references(),
            )  # fmt: skip
            [one] = found
            if one.sha256 is not None and can_be_kept(one, last):
                self._keep(file.path, one.sha256)
                one = kept(one)
            self._stores.verifications.put(file, one)
            message = msg("{file} is kept as it is: later checks compare it with these bytes.", code="kept",
                          file=file.name)  # fmt: skip
            self.notice = Notice(message if one.is_right else summary_of([one]), problems=problems_of({file: one}))

        self._jobs.start(f"keep {key_of(file.path)}", file.name, keep)

    def _keep(self, path: Path, sha256: str) -> None:
        self._note_kept(path, sha256, path.stat().st_size)
        self._stores.hashes.remember(path, sha256)

    def find_duplicates(self, files: Sequence[VaeFile]) -> None:
        """Inspect the files and take missing fingerprints in the background; the notice counts the duplicates."""

        def find(context: JobContext) -> None:
            self._inspections.take(files, context.stop)
            take_fingerprints(files, self._stores, self._inspections, context)
            groups = doubled(self.twins(files))
            if groups:
                message = msg(
                    "{count} VAEs are here more than once, whatever their files are called: see below their names.",
                    code="duplicates-found",
                    count=groups,
                )
                self.notice = Notice(message)
            else:
                self.notice = Notice(msg("No VAE is here twice.", code="no-duplicates"))

        self._jobs.start(DUPLICATES, "", find)

    def convert(self, source: Path, files: Sequence[VaeFile], then: Callable[[Path], None]) -> None:
        """Convert into a second file beside `source`, unless one of `files` is that already.

        `then` receives the path in the same job.
        """
        from .files.conversion import described

        def convert(context: JobContext) -> None:
            made = convert_one(source, [file.path for file in files], self._stores, context)
            carry_family(source, made.path, self._stores)
            first, *more = described(made.done)
            for another in more:
                first = msg("{first}, {next}", first=first, next=another)
            names: dict[str, Any] = {"file": made.path.name, "source": source.name, "done": first}
            if made.is_new:
                self.notice = Notice(
                    msg("{file} was made from {source}: {done}.", code="converted-from", **names), made.path
                )
            else:
                self.notice = Notice(
                    msg("{file} is there already, made from {source}: {done}.", code="converted-before", **names),
                    made.path,
                )
            then(made.path)

        self._jobs.start(f"convert {key_of(source)}", source.name, convert)

    def adopt(
        self, source: Path, folder: Path, how: How, library: LibraryContext, then: Callable[[Path], None]
    ) -> None:
        """Take a file from anywhere into a VAE folder; `then` receives its path in the same job.

        If other bytes were downloaded under its name before, it is kept in their place.
        """
        from .library import moving
        from .library.verification import unlike_reference

        def adopt(context: JobContext) -> None:
            target = moving.adopt(
                source,
                folder,
                how,
                library=library,
                report=lambda done, total: context.report("copying", done, total),
                stop=context.stop,
            )
            other = unlike_reference(target, self._stores.hashes, self._references(), context.stop)
            if other is not None:  # the owner has chosen these bytes for this name
                self._keep(target, other)
            then(target)
            self.notice = Notice(msg("{file} is in the library now.", code="adopted", file=target.name), target)

        self._jobs.start(f"adopt {key_of(source)}", source.name, adopt)

    def views(self) -> tuple[JobView, ...]:
        """Return the jobs but those of inspection, which have a queue of their own, in their order."""
        return self._jobs.views()

    def wait(self, key: str, timeout: float | None = None) -> JobView | None:
        """Block until the job has ended, or for `timeout` seconds; None for an unknown key."""
        return self._jobs.wait(key, timeout)

    def stop(self, key: str) -> None:
        """Stop a job for good; files that it has already verified, converted or adopted stay so."""
        self._jobs.stop(key)

    def forget(self, key: str) -> None:
        """Drop an ended job from view; its notice stays."""
        self._jobs.forget(key)


def doubled(twins: Mapping[Path, Sequence[VaeFile]]) -> int:
    """Return the number of VAEs that exist more than once."""
    return len({frozenset([path, *(other.path for other in others)]) for path, others in twins.items()})


def summary_of(found: Sequence[Verification]) -> Message:
    """Count the outcomes, the right ones first: "8 files were checked: 6 verified, 1 damaged, 1 not a VAE."."""
    counts = Counter(one.outcome for one in found)
    parts = [_counted(outcome, counts[outcome]) for outcome in Outcome if counts[outcome]]
    if not parts:
        return msg("There is no file to verify.")
    first, *more = parts
    for another in more:
        first = msg("{first}, {next}", first=first, next=another)
    if len(found) == 1:
        return msg("1 file was checked: {found}.", code="one-file-checked", found=first)
    return msg("{count} files were checked: {found}.", code="files-checked", count=len(found), found=first)


def problems_of(found: Mapping[VaeFile, Verification]) -> tuple[tuple[VaeFile, Message], ...]:
    """Return the invalid files, with the reasons."""
    return tuple((file, one.reason) for file, one in found.items() if one.reason is not None)


def _counted(outcome: Outcome, count: int) -> Message:
    if outcome is Outcome.VERIFIED:
        return msg("{count} verified", code="count-verified", count=count)
    if outcome is Outcome.UNVERIFIED:
        return msg("{count} without anything to compare with", code="count-unverified", count=count)
    if outcome is Outcome.CHANGED:
        return msg("{count} changed", code="count-changed", count=count)
    if outcome is Outcome.DAMAGED:
        return msg("{count} damaged", code="count-damaged", count=count)
    if outcome is Outcome.NOT_A_VAE:
        return msg("{count} not a VAE", code="count-not-a-vae", count=count)
    return msg("{count} could not be read", code="count-unreadable", count=count)
