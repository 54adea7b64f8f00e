"""Maintenance of the library, one for the process: knowledge of its files, and the work that finds it out.

Work runs on a lane of its own, so that a verification of many gigabytes delays neither a choice nor the hash of the
file in use. It never needs the WebUI's queue lock: files are read, and new ones are written beside them.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..jobs import Handle, JobView, Lane
from ..library import VaeFile
from ..library.folders import key_of
from ..library.verification import Outcome, Verification, VerificationStore
from ..sentences import Sentence, megabytes, say
from . import maintenance_jobs
from .inspection_cache import Looks, Stores
from .removed_files import RemovedFiles

if TYPE_CHECKING:
    from ..files import FileRecord
    from ..library.family_evidence import Guess
    from ..library.moving import How, Memory, Surroundings
    from ..records.capability import HostCapability

__all__ = ["problems_of", "summary_of"]


LOOKING = "look"
PATIENCE = 0.3
"""Seconds that an answer may wait for new files to be looked at: so long, most libraries are whole at first sight."""
VERIFY_ALL = "verify-all"
DUPLICATES = "duplicates"


@dataclass(frozen=True)
class Told:
    """What a piece of work has done."""

    sentence: Sentence
    made: Path | None = None
    """The file that is new in the library."""
    restorable: str | None = None
    """The entry of the trash with the file that was deleted; None for the system's trash, and for other work."""
    problems: tuple[tuple[VaeFile, Sentence], ...] = ()
    """The files that are not right, with the reasons."""
    serial: int = field(default_factory=itertools.count(1).__next__)
    """Another one for each notice."""


class Upkeep:
    """All methods may be called from any thread."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._looks = Looks(stores)
        self._looking = Lane("looks")
        self._lane = Lane("upkeep")
        self._lock = threading.Lock()
        self.verifications = VerificationStore(stores.records)
        self._renamed: dict[str, str] = {}
        self.removed = RemovedFiles(stores.trash)
        self._told: Told | None = None

    @property
    def told(self) -> Told | None:
        """What the last piece of work has done, until somebody has read it, and as long as it is true: another process
        can restore a file or empty the trash."""
        told = self._told
        if told is None or told.restorable is None:
            return told
        places = (gone.place for gone, _ in self.removed.all() if gone.place is not None)
        return told if told.restorable in {place.name for place in places} else None

    @told.setter
    def told(self, told: Told | None) -> None:
        self._told = told

    # -- looking ---------------------------------------------------------------------------------------------------
    def look(self, files: Sequence[VaeFile], *, patience: float = PATIENCE) -> None:
        """Make sure that each file gets looked at, in the background; wait at most `patience` seconds for it."""
        if not self._looks.lacking(files):
            return
        self._looking.start(LOOKING, "", lambda handle: self._looks.take(files, handle.stop))
        if patience:
            self._looking.wait(LOOKING, patience)

    def look_at(self, file: VaeFile) -> None:
        """Look at one file now, unless that was done: whoever decides about it cannot go by what is not known yet."""
        if self._looks.lacking([file]):
            self._looks.again(file)

    @property
    def looking(self) -> bool:
        view = self._looking.view(LOOKING)
        return view is not None and not view.state.ended

    def records(self, files: Sequence[VaeFile]) -> Mapping[Path, FileRecord]:
        """Return the record of each file that has been looked at."""
        return self._looks.records(files)

    def twins(self, files: Sequence[VaeFile]) -> Mapping[Path, Sequence[VaeFile]]:
        """The others that have the same weights, of each file that has any."""
        return self._looks.twins(files)

    def set_family(self, file: VaeFile, family: str | None) -> None:
        """Remember the person's own word; None takes it back. Raises UsageError, DiskError."""
        for record in self._stores.index().look([file]):
            self._stores.words().put(record, family)

    def try_out(self, file: VaeFile, test: Callable[[], tuple[Guess, Sentence]]) -> None:
        """Have the latent test tell the family: `test` gives its guess, which is remembered, and what is told."""

        def try_it(handle: Handle) -> None:
            guess, sentence = test()
            self.told = Told(sentence)  # before the row shows the guess, which comes with the next look
            for record in self._stores.index().look([file]):
                self._stores.guesses().put(record, guess)

        self._lane.start(f"try {key_of(file.path)}", file.name, try_it)

    # -- files -----------------------------------------------------------------------------------------------------
    def memories(self) -> tuple[Memory, ...]:
        """What knows files by their identity, and has to be told when one moves."""
        stores = self._stores
        return stores.hashes(), stores.index(), stores.words(), stores.guesses(), stores.records(), self.verifications

    def now_called(self, key: str) -> str:
        """The key of the file that had the key `key`: an open page may not know yet that it was renamed."""
        return self._renamed.get(key, key)

    def renamed(self, old: Path, new: Path) -> None:
        before, now = key_of(old), key_of(new)
        with self._lock:
            follow = {key: now if name == before else name for key, name in self._renamed.items()}
            self._renamed = {key: name for key, name in {**follow, before: now}.items() if key != name}

    def remove(self, file: Path, around: Surroundings) -> None:
        """Put it into the trash. Raises as `trash.remove` does."""
        gone = self.removed.remove(file, around)
        if gone.place is None:
            self.told = Told(say("{file} is in the system's trash. Restore it from there.", file=file.name))
        else:
            self.told = Told(say("{file} is in the trash.", file=file.name), restorable=gone.place.name)

    def restore(self, entry: str, around: Surroundings, name: str | None = None) -> None:
        """Bring a file of the trash back. Raises as `trash.restore` does."""
        path = self.removed.restore(entry, around, name)
        self.told = Told(say("{file} is back in {folder}.", file=path.name, folder=path.parent.name), path)

    def empty_trash(self) -> None:
        """Delete for good what is in the trash. Raises as `trash.empty` does."""
        self.told = Told(say("The trash is empty: {size} are free again.", size=megabytes(self.removed.empty())))

    # -- work ------------------------------------------------------------------------------------------------------
    def verify(self, file: VaeFile, host: HostCapability) -> None:
        self._verify(f"verify {key_of(file.path)}", file.name, [file], host)

    def verify_all(self, files: Sequence[VaeFile], host: HostCapability) -> None:
        self._verify(VERIFY_ALL, "", files, host)

    def _verify(self, key: str, title: str, files: Sequence[VaeFile], host: HostCapability) -> None:
        found: dict[VaeFile, Verification] = {}

        def judged(file: VaeFile, verification: Verification) -> None:
            found[file] = verification
            self.verifications.put(file, verification)

        def verify(handle: Handle) -> None:
            maintenance_jobs.verify_all(files, self._stores, self._looks, judged, handle, host)
            self.told = Told(summary_of(list(found.values())), problems=problems_of(found))

        self._lane.start(key, title, verify)

    def find_duplicates(self, files: Sequence[VaeFile]) -> None:
        def find(handle: Handle) -> None:
            self._looks.take(files, handle.stop)
            maintenance_jobs.take_fingerprints(files, self._stores, self._looks, handle)
            groups = doubled(self.twins(files))
            if groups:
                sentence = say(
                    "{count} VAEs are here more than once, whatever their files are called: see below their names.",
                    count=groups,
                )
                self.told = Told(sentence)
            else:
                self.told = Told(say("No VAE is here twice."))

        self._lane.start(DUPLICATES, "", find)

    def convert(self, source: Path, files: Sequence[VaeFile], then: Callable[[Path], None]) -> None:
        """Convert into a second file beside `source`, unless one of `files` is that already; `then` gets its path in
        the same job."""
        from ..files.conversion import described

        def convert(handle: Handle) -> None:
            made = maintenance_jobs.convert(source, [file.path for file in files], self._stores, handle)
            maintenance_jobs.carry_family(source, made.path, self._stores)
            first, *more = described(made.done)
            for another in more:
                first = say("{first}, {next}", first=first, next=another)
            names = {"file": made.path.name, "source": source.name, "done": first}
            if made.is_new:
                self.told = Told(say("{file} was made from {source}: {done}.", **names), made.path)
            else:
                self.told = Told(say("{file} is there already, made from {source}: {done}.", **names), made.path)
            then(made.path)

        self._lane.start(f"convert {key_of(source)}", source.name, convert)

    def adopt(self, source: Path, folder: Path, how: How, around: Surroundings, then: Callable[[Path], None]) -> None:
        """Take a file from anywhere into a VAE folder; `then` is told of it in the same job."""
        from ..library import moving

        def adopt(handle: Handle) -> None:
            target = moving.adopt(
                source,
                folder,
                how,
                around=around,
                report=lambda done, total: handle.report("copying", done, total),
                stop=handle.stop,
            )
            then(target)
            self.told = Told(say("{file} is in the library now.", file=target.name), target)

        self._lane.start(f"adopt {key_of(source)}", source.name, adopt)

    def views(self) -> tuple[JobView, ...]:
        return self._lane.views()

    def wait(self, key: str, timeout: float | None = None) -> JobView | None:
        return self._lane.wait(key, timeout)

    def stop(self, key: str) -> None:
        self._lane.stop(key)

    def forget(self, key: str) -> None:
        self._lane.forget(key)


def doubled(twins: Mapping[Path, Sequence[VaeFile]]) -> int:
    """How many VAEs are there more than once."""
    return len({frozenset([path, *(other.path for other in others)]) for path, others in twins.items()})


def summary_of(found: Sequence[Verification]) -> Sentence:
    """Count the outcomes, the right ones first: "8 files were checked: 6 verified, 1 damaged, 1 not a VAE."."""
    counts = Counter(one.outcome for one in found)
    parts = [_counted(outcome, counts[outcome]) for outcome in Outcome if counts[outcome]]
    if not parts:
        return say("There is no file to verify.")
    first, *more = parts
    for another in more:
        first = say("{first}, {next}", first=first, next=another)
    if len(found) == 1:
        return say("1 file was checked: {found}.", found=first)
    return say("{count} files were checked: {found}.", count=len(found), found=first)


def problems_of(found: Mapping[VaeFile, Verification]) -> tuple[tuple[VaeFile, Sentence], ...]:
    """The files that are not right, with the reasons."""
    return tuple((file, one.reason) for file, one in found.items() if one.reason is not None)


def _counted(outcome: Outcome, count: int) -> Sentence:
    if outcome is Outcome.VERIFIED:
        return say("{count} verified", count=count)
    if outcome is Outcome.UNVERIFIED:
        return say("{count} without anything to compare with", count=count)
    if outcome is Outcome.CHANGED:
        return say("{count} changed", count=count)
    if outcome is Outcome.DAMAGED:
        return say("{count} damaged", count=count)
    if outcome is Outcome.NOT_A_VAE:
        return say("{count} not a VAE", count=count)
    return say("{count} could not be read", count=count)
