"""Verification of one file: every byte is read, whatever is remembered of it, and every number is looked at.

The page and the command line share this; each words the count of several files in its own way.
"""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..catalogue import Catalogue
from ..errors import DiskError, FileChangedError, IntegrityError, NotFoundError
from ..files import FileRecord, Problem, identity_of, inspect, sha256_of
from ..files.numbers import find_nan
from ..records import HashStore
from ..records.capability import A1111, HostCapability
from ..records.verdict import Refused, verdict
from ..sentences import Sentence, say
from .verification_store import Outcome, Verification

__all__ = ["can_look_at_numbers", "verify"]

Report = Callable[[int, int], None]


_NOT_A_VAE: Final = frozenset(
    {"empty", "web-page", "lfs-pointer", "other-format", "not-a-model", "zip-without-model", "lora", "no-vae"}
)
_INCOMPLETE: Final = frozenset({"incomplete", "not-weights"})
"""Codes of VAEs that no checkpoint of any size can use."""
_REFUSED: Final = frozenset({"unsafe-pickle", "old-torch"})
"""Codes of files whose tensors are not read."""


def can_look_at_numbers() -> bool:
    """Return True if numpy is installed, which the look at the numbers needs."""
    return importlib.util.find_spec("numpy") is not None


def verify(
    path: Path,
    catalogue: Catalogue,
    hashes: HashStore,
    *,
    host: HostCapability = A1111,
    has_numbers: bool = True,
    report: Report | None = None,
    stop: threading.Event | None = None,
) -> Verification:
    """Read the whole of `path` and judge it for `host`; `has_numbers` looks at each weight too, which reads it once
    more.

    `report` gets the bytes that are done and all that are to do. The hash is remembered in `hashes`. Raises Cancelled.
    """
    now = time.time()
    try:
        record = inspect(path)
        before = identity_of(path)
        course = _Course(report, record.size, 2 if has_numbers and record.tensors else 1)
        sha256 = sha256_of(path, report=lambda done: course.reach(0, done, record.size), stop=stop)
        if before is None or identity_of(path) != before:  # it is unknown whose bytes these are
            raise FileChangedError(say("{file} was changed while it was being read. Try again.", file=path.name))
        earlier = hashes.last_of(before)
        is_unchanged = hashes.read_again(before, sha256)
        damage = _damage(record, course, stop) if has_numbers else None
    except (DiskError, FileChangedError, NotFoundError) as error:
        return Verification(Outcome.UNREADABLE, now, reason=error.sentence, error=error)
    entry = catalogue.recognise(sha256)
    outcome, reason = (Outcome.DAMAGED, damage.sentence) if damage is not None else (Outcome.VERIFIED, None)
    if damage is None and entry is None:
        outcome, reason = _by_itself(record, host)
        if reason is None and not is_unchanged:
            outcome, reason = Outcome.CHANGED, _other_bytes(path)
        elif reason is None:
            reason = _unlike_its_name(path, sha256, catalogue)
            outcome = Outcome.CHANGED if reason else Outcome.VERIFIED if earlier else Outcome.UNVERIFIED
    shown = (before, damage) if damage is not None else None
    return Verification(outcome, now, sha256, entry, reason, damage=shown)


def _by_itself(record: FileRecord, host: HostCapability) -> tuple[Outcome, Sentence | None]:
    """Judge the content without any comparison. A VAE in another form is right: it can be converted."""
    answer = verdict(record, host)
    if not isinstance(answer, Refused):
        return Outcome.VERIFIED, None
    reason = answer.reason
    if reason.code in _NOT_A_VAE:
        return Outcome.NOT_A_VAE, reason.sentence
    if reason.code in _REFUSED:
        return Outcome.UNREADABLE, reason.sentence
    is_whole = record.table is not None and not record.problems and reason.code not in _INCOMPLETE
    return (Outcome.VERIFIED, None) if is_whole else (Outcome.DAMAGED, reason.sentence)


def _damage(record: FileRecord, course: _Course, stop: threading.Event | None) -> Problem | None:
    """Find NaN or infinite values, or tensors that cannot be read; None for a file without tensors."""
    if not record.tensors:
        return None
    try:
        return find_nan(record.path, report=lambda done, total: course.reach(1, done, total), stop=stop)
    except FileChangedError:
        raise
    except IntegrityError as error:
        return Problem(getattr(error, "code", "damaged"), error.sentence)


def _other_bytes(path: Path) -> Sentence:
    return say(
        "{file} has other bytes than when it was last read, though its size and time are the same: the disk may be "
        "failing. Get it again.",
        file=path.name,
    )


def _unlike_its_name(path: Path, sha256: str, catalogue: Catalogue) -> Sentence | None:
    namesake = next((entry for entry in catalogue.offered() if entry.file_name == path.name), None)
    if namesake is None:
        return None
    return say(
        "{file} is named like {vae}, but has other bytes: {sha256}", file=path.name, vae=namesake.name, sha256=sha256
    )


class _Course:
    """Progress over parts that each count as long as the file."""

    def __init__(self, report: Report | None, size: int, parts: int) -> None:
        self._report = report
        self._size = size
        self._parts = parts

    def reach(self, part: int, done: int, total: int) -> None:
        if self._report is not None and total:
            self._report(part * self._size + self._size * min(done, total) // total, self._parts * self._size)
