"""Verification of one file: every byte is read, independent of stored facts, and every number is checked.

The page and the command line share it; each has its own summary of several files.
"""

from __future__ import annotations

import enum
import functools
import importlib.util
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from ..catalogue import Catalogue, Entry
from ..errors import BrokenFileError, DiskError, FileChangedError, IntegrityError, NotFoundError, VaeManagerError
from ..files import FileRecord, Problem, identity_of, inspect, sha256_of
from ..files.tensor_data import find_hole, find_nan, read_contents
from ..messages import Message, from_data, msg, renamed, to_data
from ..records import HashStore
from ..records.verdict import A1111, HostCapability, Refused, verdict
from .folders import VaeFile

if TYPE_CHECKING:
    from ..files import Identity, Problem
    from ..records import RecordStore

__all__ = [
    "Outcome",
    "Reference",
    "References",
    "Verification",
    "VerificationStore",
    "can_be_kept",
    "can_check_for_nan",
    "kept",
    "may_be_kept",
    "outcome_text",
    "unlike_reference",
    "verify",
]


Report = Callable[[int, int], None]


_NOT_A_VAE: Final = frozenset(
    {"empty", "web-page", "lfs-pointer", "other-format", "not-a-model", "zip-without-model", "lora", "no-vae"}
)
_INCOMPLETE: Final = frozenset({"incomplete", "not-weights"})
"""Codes of VAEs that no checkpoint of any size can use."""
_SILENT: Final = "changed-bytes"
"""The code of a change that the file's times do not show."""
_KEPT_ON_REQUEST: Final = frozenset({_SILENT, "other-than-delivered", "other-than-kept"})
"""Codes of changes after which the owner can keep the file."""
_REFUSED: Final = frozenset({"unsafe-pickle", "old-torch"})
"""Codes of files whose tensors are not read."""

_Key = tuple[str, int, int, int]
"""Path, size, mtime and ctime: the part of an identity that a listing has."""


def can_check_for_nan() -> bool:
    """Return True if numpy is installed, which the check of the numbers needs."""
    return importlib.util.find_spec("numpy") is not None


class Reference(NamedTuple):
    """The bytes that a path should have."""

    sha256: str
    is_kept: bool = False
    """The owner keeps them; otherwise the newest delivery to the path proved them."""


class References:
    """The hashes that one run compares files with: those of their paths, and those of the readings before it.

    A reading of the run itself is no reference: two names of one file would vouch for each other.
    """

    def __init__(self, hashes: HashStore, of_paths: Mapping[Path, Reference] | None = None) -> None:
        """Note the readings so far; `of_paths` has what deliveries proved and what the owner keeps.

        A reading never replaces that: what has changed stays so until the file is delivered again, renamed or kept.
        """
        self.read: Final = hashes.all_known()
        self._of_paths = {_place(path): reference for path, reference in (of_paths or {}).items()}

    def of(self, path: Path) -> Reference | None:
        """Return the reference of this path; None without a delivery, or without a proof."""
        return self._of_paths.get(_place(path)) if self._of_paths else None


def _place(path: Path) -> str:
    """Return one spelling of a path: its folder without links; the file itself may be a link to other bytes."""
    return os.path.normcase(Path(os.path.realpath(path.parent)) / path.name)


def verify(
    path: Path,
    catalogue: Catalogue,
    hashes: HashStore,
    *,
    host: HostCapability = A1111,
    has_numbers: bool = True,
    references: References | None = None,
    report: Report | None = None,
    stop: threading.Event | None = None,
) -> Verification:
    """Read the whole of `path` and judge it for `host`. Raises Cancelled.

    Args:
        path: The file.
        catalogue: The published hashes.
        hashes: The store of hashes, which gets the new one.
        host: The WebUI.
        has_numbers: Check each weight too, which reads it once more.
        references: What all files of this run are compared with; None: with the readings before this one.
        report: Receives the bytes done and in all.
        stop: Ends the work.
    """
    now = time.time()
    references = references if references is not None else References(hashes)
    reference = references.of(path)
    try:
        record = inspect(path)
        before = identity_of(path)
        course = _ProgressMeter(report, record.size, 2 if has_numbers and record.tensors else 1)
        sha256 = sha256_of(path, report=lambda done: course.reach(0, done, record.size), stop=stop)
        if before is None or identity_of(path) != before:  # the hash may be of other bytes
            raise FileChangedError(msg("{file} was changed while it was being read. Try again.", file=path.name))
        earlier, at_path = hashes.last_of(before), hashes.read_at(path)
        is_unchanged = hashes.read_again(before, sha256)
        damage = _damage(record, course, stop, has_numbers)
    except (DiskError, FileChangedError, NotFoundError) as error:
        return Verification(Outcome.UNREADABLE, now, reason=error.message, error=error)
    entry = catalogue.recognise(sha256)
    outcome, reason = (Outcome.DAMAGED, damage.message) if damage is not None else (Outcome.VERIFIED, None)
    if damage is None and entry is None:
        outcome, reason = _by_itself(record, host)
        if reason is None and reference is not None and reference.sha256 != sha256:
            outcome, reason = Outcome.CHANGED, _other_than(reference, path)
        elif reason is None and not is_unchanged and reference is None:
            outcome, reason = Outcome.CHANGED, _other_bytes(path)
        elif reason is None:
            reason = _unlike_its_name(path, sha256, catalogue)
            # The same bytes under a new time or name were read before too: a touch sets the time, a copy both.
            is_known = reference is not None or sha256 in references.read or earlier is not None
            outcome = Outcome.CHANGED if reason else Outcome.VERIFIED if is_known else Outcome.UNVERIFIED
    shown = (before, damage) if damage is not None else None
    was_other = outcome is Outcome.UNVERIFIED and at_path is not None
    return Verification(
        outcome, now, sha256, entry, reason, damage=shown, was_other=was_other,
        reference=reference if reference is not None and reference.sha256 == sha256 else None,
    )  # fmt: skip


def may_be_kept(found: Verification) -> bool:
    """Return True for a changed file whose owner can make its bytes the reference.

    One that is named like a published file cannot be kept: its name misleads others too.
    """
    code = found.reason.code if found.reason is not None and found.outcome is Outcome.CHANGED else None
    return code in _KEPT_ON_REQUEST


def can_be_kept(found: Verification, last: str | None) -> bool:
    """Return True if the bytes just read can become the reference; `last` is the hash of the reading before.

    After a silent change both readings have to be the same: a failing disk may give other bytes each time.
    """
    is_silent = found.reason is not None and found.reason.code == _SILENT
    return may_be_kept(found) and (last == found.sha256 or not is_silent)


def kept(found: Verification) -> Verification:
    """Return the verification of a changed file after its owner has kept it."""
    reference = Reference(found.sha256 or "", is_kept=True)
    return replace(found, outcome=Outcome.VERIFIED, reason=None, reference=reference)


def unlike_reference(
    path: Path, hashes: HashStore, references: Mapping[Path, Reference], stop: threading.Event | None = None
) -> str | None:
    """Return the hash of a file that its owner has brought to `path`, if other bytes were expected there; else None.

    Raises as `sha256_of`.
    """
    reference = References(hashes, references).of(path)
    if reference is None:
        return None
    sha256 = hashes.compute(path, stop=stop)
    return sha256 if sha256 != reference.sha256 else None


def _by_itself(record: FileRecord, host: HostCapability) -> tuple[Outcome, Message | None]:
    """Judge the content without any comparison. A VAE in another form is right: it can be converted."""
    answer = verdict(record, host)
    if not isinstance(answer, Refused):
        return Outcome.VERIFIED, None
    reason = answer.reason
    if reason.code in _NOT_A_VAE:
        return Outcome.NOT_A_VAE, reason.message
    if reason.code in _REFUSED:
        return Outcome.UNREADABLE, reason.message
    is_whole = record.table is not None and not record.problems and reason.code not in _INCOMPLETE
    return (Outcome.VERIFIED, None) if is_whole else (Outcome.DAMAGED, reason.message)


def _damage(
    record: FileRecord, course: _ProgressMeter, stop: threading.Event | None, has_numbers: bool
) -> Problem | None:
    """Return the problem of a file with NaN or infinite values, long runs of zeros, or unreadable tensors.

    None for a file without tensors.
    """
    if not record.tensors:
        return None
    try:
        if has_numbers:
            found = find_nan(record.path, report=lambda done, total: course.reach(1, done, total), stop=stop)
            if found is not None:
                return found
        return find_hole(record.path, read_contents(record.path))
    except FileChangedError:
        raise
    except IntegrityError as error:
        return Problem(error.code if isinstance(error, BrokenFileError) else "damaged", error.message)


def _other_bytes(path: Path) -> Message:
    return msg(
        "{file} has other bytes than when it was last read, though its size and time are the same: the disk may be "
        "failing. Get it again, or keep this version.",
        code="changed-bytes",
        file=path.name,
    )


def _other_than(reference: Reference, path: Path) -> Message:
    if reference.is_kept:
        return msg(
            "{file} has other bytes than the version that you kept. Replace it by that one, or keep this version.",
            code="other-than-kept",
            file=path.name,
        )
    return msg(
        "{file} has other bytes than those that were downloaded under this name, whose SHA-256 was the published one. "
        "Remove it and get it again; if you changed it yourself, keep this version or give it another name.",
        code="other-than-delivered",
        file=path.name,
    )


def _unlike_its_name(path: Path, sha256: str, catalogue: Catalogue) -> Message | None:
    name_clash = next((entry for entry in catalogue.offered() if entry.file_name == path.name), None)
    if name_clash is None:
        return None
    return msg(
        "{file} is named like {vae}, but has other bytes: {sha256}",
        code="other-bytes-under-name",
        file=path.name,
        vae=name_clash.name,
        sha256=sha256,
    )


class _ProgressMeter:
    """Progress over parts that each count as long as the file."""

    def __init__(self, report: Report | None, size: int, parts: int) -> None:
        self._report = report
        self._size = size
        self._parts = parts

    def reach(self, part: int, done: int, total: int) -> None:
        if self._report is not None and total:
            self._report(part * self._size + self._size * min(done, total) // total, self._parts * self._size)


class Outcome(enum.Enum):
    """Result of a verification, from right to wrong."""

    VERIFIED = "verified"
    """The bytes are those of an entry, of the delivery or of an earlier reading, and each number is finite."""
    UNVERIFIED = "unverified"
    """No problem was found, and there are no bytes to compare with: neither an entry nor a stored reading."""
    CHANGED = "changed"
    """Other bytes than at an earlier reading, than a delivery to that path, or than the published file of that name."""
    DAMAGED = "damaged"
    """The file is cut off, inconsistent, or has NaN or infinite values."""
    NOT_A_VAE = "not-a-vae"
    """No model, or a model without a VAE."""
    UNREADABLE = "unreadable"
    """Missing, not permitted, changed while it was read, or in a form that is refused."""

    @property
    def is_right(self) -> bool:
        """True if no problem was found, with or without bytes to compare with."""
        return self in (Outcome.VERIFIED, Outcome.UNVERIFIED)


@dataclass(frozen=True)
class Verification:
    """The result for one file."""

    outcome: Outcome
    at: float
    """Seconds since 1970."""
    sha256: str | None = None
    """Hash of the bytes that were read; None if they could not be read."""
    entry: Entry | None = None
    """The catalogue's entry with these bytes."""
    reason: Message | None = None
    """The problem; None if `outcome.is_right`."""
    error: VaeManagerError | None = None
    """The error behind UNREADABLE, if there is one."""
    damage: tuple[Identity, Problem] | None = None
    """The problem that reading the weights of these exact bytes has shown; stored with the file's record, not here."""
    was_other: bool = False
    """The file was written to, or replaced, since the last reading under its path."""

    reference: Reference | None = None
    """The reference of the path, if the bytes are those."""

    @property
    def is_right(self) -> bool:
        """True if no problem was found, so that `reason` is None."""
        return self.outcome.is_right


def outcome_text(one: Verification) -> str:
    """Return the outcome in English, for the command line and for programs: what follows the name of the file."""
    if one.reason is not None:
        return str(one.reason)
    if one.entry is not None:
        return f"is {one.entry.name}, byte for byte"
    if one.outcome is Outcome.VERIFIED and one.reference is not None and one.reference.is_kept:
        return f"has the bytes that you keep: {one.sha256}"
    if one.outcome is Outcome.VERIFIED and one.reference is not None:
        return f"has the bytes of its download: {one.sha256}"
    if one.outcome is Outcome.VERIFIED:
        return f"has the bytes of an earlier reading: {one.sha256}"
    if one.was_other:
        return f"was written to since its last reading, and is not in the catalogue: {one.sha256}"
    return f"is not in the catalogue, and no earlier reading of these bytes is remembered: {one.sha256}"


class VerificationStore:
    """The last verification of each file, bound to its bytes; the records keep what it compared.

    All methods may be called from any thread.
    """

    def __init__(self, records: Callable[[], RecordStore]) -> None:
        """Make a store; `records` returns the store in which verifications survive a restart."""
        self._records = records
        self._lock = threading.Lock()
        self._all: dict[_Key, Verification] = {}
        self._changes = 0

    @property
    def revision(self) -> tuple[int, int]:
        """A value that differs after each change, by any process."""
        return self._changes, self._records().verifications.revision

    def of(self, file: VaeFile) -> Verification | None:
        """Return the verification of `file` as it was listed."""
        return self._of((str(file.path.absolute()), file.size, file.mtime_ns, file.ctime_ns))

    def of_identity(self, identity: Identity) -> Verification | None:
        """Return the verification of the file `identity`."""
        return self._of(_key(identity))

    def _of(self, key: _Key) -> Verification | None:
        found = self._all.get(key)
        if found is not None:
            return found
        row = self._records().verifications.get(key[0])
        if row is None or _key(row.identity) != key:
            return None
        return _from_text(row.at, row.problem)

    def put(self, file: VaeFile, verification: Verification) -> None:
        """Store the result for `file` as it was listed: if it has changed since, the result does not apply to it."""
        # imported here, since modules that open files wait for the first file
        from ..files import Identity, identity_of

        path, now = str(file.path.absolute()), identity_of(file.path)
        inode = now.inode if now is not None else 0
        self.put_identity(Identity(path, file.size, file.mtime_ns, inode, file.ctime_ns), verification)

    def put_identity(self, identity: Identity, verification: Verification) -> None:
        """Store the verification of the file `identity`."""
        from ..records import Verification as Row

        self._put(_key(identity), verification)
        if verification.outcome is not Outcome.UNVERIFIED:  # there was no comparison, so there is no result to store
            self._records().verifications.put(Row(identity, verification.at, _to_text(verification)))

    def carry(self, before: Identity, after: Path) -> None:
        """Copy the verification of `before` to `after`, which has the same bytes under another identity."""
        from ..files import identity_of

        found, now = self._all.get(_key(before)), identity_of(after)
        if found is not None and now is not None and now.size == before.size:
            reason = renamed(found.reason, Path(before.path).name, after.name) if found.reason is not None else None
            self._put(_key(now), replace(found, reason=reason))

    def _put(self, key: _Key, verification: Verification) -> None:
        with self._lock:
            self._all = {**self._all, key: verification}
            self._changes += 1


def _key(identity: Identity) -> _Key:
    return identity.path, identity.size, identity.mtime_ns, identity.ctime_ns


def _to_text(verification: Verification) -> str | None:
    """Return JSON for an invalid file; None for a verified one."""
    if verification.reason is None:
        return None
    return json.dumps({"outcome": verification.outcome.value, **to_data(verification.reason)})


@functools.lru_cache(maxsize=4096)
def _from_text(at: float, text: str | None) -> Verification | None:
    """Read the output of `_to_text`; None for any other text: the file can be verified again."""
    if text is None:
        return Verification(Outcome.VERIFIED, at)
    try:
        data = json.loads(text)
        return Verification(Outcome(data.get("outcome", Outcome.DAMAGED.value)), at, reason=from_data(data))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
