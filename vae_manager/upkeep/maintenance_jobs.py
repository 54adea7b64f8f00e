"""The pieces of work: each reads whole files, says how far it is, and can be stopped within a few megabytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BrokenFileError, Cancelled, VaeManagerError
from ..jobs import Handle
from ..library import VaeFile
from ..library.verification import Outcome, Verification
from ..records.capability import A1111, HostCapability
from ..sentences import say
from .inspection_cache import Looks, Stores

if TYPE_CHECKING:
    from ..files import FileRecord


class Course:
    """How far a piece of work of several parts is, in bytes."""

    def __init__(self, handle: Handle, total: int) -> None:
        self.handle = handle
        self._total = total
        self._before = 0
        self.reach(0)

    def reach(self, done: int, _: int = 0) -> None:
        """`done` bytes of the present part."""
        self.handle.report("working", min(self._before + done, self._total), self._total)

    def next(self, size: int) -> None:
        """A part of `size` bytes is over."""
        self._before += size
        self.reach(0)

    def go_on(self) -> None:
        """Raises Cancelled where the work is to stop."""
        if self.handle.stop.is_set():
            raise Cancelled(say("Stopped."))


# -- verifying -----------------------------------------------------------------------------------------------------
def verify_all(
    files: Sequence[VaeFile],
    stores: Stores,
    looks: Looks,
    judged: Callable[[VaeFile, Verification], None],
    handle: Handle,
    host: HostCapability = A1111,
) -> None:
    """Verify each file for `host`, and take the fingerprints that are lacking. Each part counts as long as the file."""
    from ..library.verification import verify

    course = Course(handle, 3 * sum(file.size for file in files))
    for file in files:
        course.go_on()
        verification = verify(
            file.path, stores.catalogue(), stores.hashes(), host=host, report=course.reach, stop=handle.stop
        )
        course.next(2 * file.size)
        if verification.outcome not in (Outcome.NOT_A_VAE, Outcome.UNREADABLE):
            _fingerprint(file.path, stores, course)
        if verification.damage is not None:
            stores.index().note_failure(*verification.damage)  # so that no list offers it any more
        looks.again(file)
        judged(file, verification)
        course.next(file.size)


# -- duplicates ----------------------------------------------------------------------------------------------------
def take_fingerprints(files: Sequence[VaeFile], stores: Stores, looks: Looks, handle: Handle) -> None:
    """Take those that are not known yet."""
    lacking = [file for file, record in looks.seen(files) if record.fingerprints is None and record.table is not None]
    course = Course(handle, sum(file.size for file in lacking))
    for file in lacking:
        course.go_on()
        _fingerprint(file.path, stores, course)
        looks.again(file)
        course.next(file.size)


def _fingerprint(path: Path, stores: Stores, course: Course) -> None:
    """One that cannot be taken has no VAE in it: then it is nobody's twin."""
    try:
        stores.index().fingerprints_of(path, report=course.reach, stop=course.handle.stop)
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
    """False for the result of an earlier conversion, which is still what it says."""


def convert(source: Path, files: Sequence[Path], stores: Stores, handle: Handle) -> Conversion:
    """Find the result of an earlier conversion among `files`, or write the VAE of `source` as a file beside it.

    Damage that is found on the way is remembered of `source`. Raises as `files.conversion.convert` does.
    """
    from ..files import Problem, identity_of, inspect
    from ..files.conversion import convert as write
    from ..files.conversion import find_twin, free_name, plan

    def report(done: int, total: int) -> None:
        handle.report("converting", done, total)

    hashes, index = stores.hashes(), stores.index()
    planned = plan(inspect(source))
    twin = find_twin(source, planned, files, hashes, report=report, stop=handle.stop)
    if twin is not None:
        return Conversion(twin, planned.done, is_new=False)
    target = free_name(source.parent, source, planned.done)
    before = identity_of(source)
    try:
        converted = write(source, target, hashes=hashes, report=report, stop=handle.stop)
    except BrokenFileError as error:
        if before is not None:
            index.note_failure(before, Problem(error.code, error.sentence))
        raise
    hashes.remember(converted.target, converted.sha256)
    return Conversion(converted.target, converted.done, is_new=True)


def carry_family(source: Path, target: Path, stores: Stores) -> None:
    """Let what the person and the latent test have said of a file's family hold for what was made from it: the weights
    are the same, though their fingerprint may not have been taken yet."""
    old, new = _record(source, stores), _record(target, stores)
    if old is None or new is None:
        return
    word, guess = stores.words().word(old), stores.guesses().guess(old)
    if word is not None and stores.words().word(new) is None:
        stores.words().put(new, word)
    if guess is not None and stores.guesses().guess(new) is None:
        stores.guesses().put(new, guess)


def _record(path: Path, stores: Stores) -> FileRecord | None:
    from ..files import identity_of, inspect

    identity = identity_of(path)
    return stores.index().completed(inspect(path), identity) if identity is not None else None
