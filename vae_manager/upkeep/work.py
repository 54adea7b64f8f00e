"""The pieces of work: each reads whole files, says how far it is, and can be stopped within a few megabytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Cancelled, DiskError, FileChangedError, IntegrityError, NotFoundError, VaeManagerError
from ..jobs import Handle
from ..library import VaeFile
from ..sentences import Sentence, say
from .known import Verdict
from .looks import Looks, Stores

if TYPE_CHECKING:
    from ..records import HashStore


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
    judged: Callable[[VaeFile, Verdict], None],
    handle: Handle,
) -> int:
    """Verify each file, and say how many were found bad."""
    course = Course(handle, 3 * sum(file.size for file in files))
    bad = 0
    for file in files:
        course.go_on()
        problem = _problem(file, stores, looks, course)
        judged(file, Verdict(time.time(), problem))
        bad += problem is not None
    return bad


def _problem(file: VaeFile, stores: Stores, looks: Looks, course: Course) -> Sentence | None:
    """What is wrong with the bytes of one file. Each part counts as long as the file, whatever it really reads."""
    parts = (_read_through, _look_at_numbers, _take_fingerprints)
    found = None
    for part in parts:
        try:
            found = found or part(file, stores, looks, course)
        except Cancelled:
            raise
        except (IntegrityError, NotFoundError, DiskError) as error:
            found = found or error.sentence
        course.next(file.size)
    looks.again(file)
    return found


def _read_through(file: VaeFile, stores: Stores, looks: Looks, course: Course) -> Sentence | None:
    """Every byte, whatever is remembered: what is remembered may be what the disk has lost."""
    from ..files import identity_of, sha256_of

    before = identity_of(file.path)
    sha256 = sha256_of(file.path, report=course.reach, stop=course.handle.stop)
    if before is None or identity_of(file.path) != before:  # whose bytes these are, nobody knows
        raise FileChangedError(say("{file} was changed while it was being read. Try again.", file=file.name))
    if stores.hashes().read_again(before, sha256):
        return None
    return say(
        "{file} has other bytes than when it was last read, though its size and time are the same: the disk may be "
        "failing. Get it again.",
        file=file.name,
    )


def _look_at_numbers(file: VaeFile, stores: Stores, looks: Looks, course: Course) -> Sentence | None:
    from ..files.numbers import find_nan

    if _is_no_model(file, stores):
        return None  # the list says so already
    problem = find_nan(file.path, report=course.reach, stop=course.handle.stop)
    return problem.sentence if problem is not None else None


def _take_fingerprints(file: VaeFile, stores: Stores, looks: Looks, course: Course) -> Sentence | None:
    if not _is_no_model(file, stores):
        _fingerprint(file.path, stores, course)
    return None


def _is_no_model(file: VaeFile, stores: Stores) -> bool:
    """There are no tensors in it that can be read."""
    return all(record.table is None for record in stores.index().look([file]))


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
def convert(source: Path, hashes: HashStore, handle: Handle) -> tuple[Path, tuple[str, ...]]:
    """Write the VAE of `source` as a file that the WebUI loads, beside it; returns that and what was done."""
    from ..files import inspect
    from ..files.conversion import convert as write
    from ..files.conversion import free_name, plan

    target = free_name(source.parent, source, plan(inspect(source)).done)
    converted = write(
        source,
        target,
        hashes=hashes,
        report=lambda done, total: handle.report("converting", done, total),
        stop=handle.stop,
    )
    hashes.remember(converted.target, converted.sha256)
    return converted.target, converted.done
