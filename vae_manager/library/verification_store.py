"""Results of verifications, without the code that opens files: the WebUI's start does not need that."""

from __future__ import annotations

import enum
import functools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..catalogue import Entry
from ..errors import VaeManagerError
from ..sentences import Sentence, from_data, to_data
from .folders import VaeFile

if TYPE_CHECKING:
    from ..files import Identity, Problem
    from ..records import RecordStore

__all__ = ["Outcome", "Verification", "VerificationStore"]

_Key = tuple[str, int, int, int]
"""Path, size, mtime and ctime: what a listing knows of an identity."""


class Outcome(enum.Enum):
    """Result of a verification, from right to wrong."""

    VERIFIED = "verified"
    """The bytes are those of the catalogue's entry, or of an earlier reading, and each number is finite."""
    UNVERIFIED = "unverified"
    """Nothing is wrong, and there is nothing to compare the bytes with: neither an entry nor an earlier reading."""
    CHANGED = "changed"
    """Other bytes than at an earlier reading, or than the published file of that name."""
    DAMAGED = "damaged"
    """The file is cut off, inconsistent, or has NaN or infinite values."""
    NOT_A_VAE = "not-a-vae"
    """No model, or a model without a VAE."""
    UNREADABLE = "unreadable"
    """Missing, not permitted, changed while it was read, or in a form that is refused."""

    @property
    def is_right(self) -> bool:
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
    reason: Sentence | None = None
    """What is not right; None if `outcome.is_right`."""
    error: VaeManagerError | None = None
    """The error behind UNREADABLE, if there is one."""
    damage: tuple[Identity, Problem] | None = None
    """What reading the weights has shown of these very bytes; not kept here, but with the file's record."""

    @property
    def is_right(self) -> bool:
        return self.outcome.is_right


class VerificationStore:
    """The last verification of each file, bound to its bytes; the records keep what it compared.

    All methods may be called from any thread.
    """

    def __init__(self, records: Callable[[], RecordStore]) -> None:
        """`records` gives the store in which verifications survive a restart."""
        self._records = records
        self._lock = threading.Lock()
        self._all: dict[_Key, Verification] = {}
        self._changes = 0

    @property
    def revision(self) -> tuple[int, int]:
        """Another one after each change, by whichever process."""
        return self._changes, self._records().verifications.revision

    def of(self, file: VaeFile) -> Verification | None:
        """The verification of `file` as it was listed."""
        key = (str(file.path.absolute()), file.size, file.mtime_ns, file.ctime_ns)
        found = self._all.get(key)
        if found is not None:
            return found
        row = self._records().verifications.get(key[0])
        if row is None or _key(row.identity) != key:
            return None
        return _from_text(row.at, row.problem)

    def put(self, file: VaeFile, verification: Verification) -> None:
        from ..files import Identity, identity_of  # what opens files waits for the first file
        from ..records import Verification as Row

        path = str(file.path.absolute())
        self._put((path, file.size, file.mtime_ns, file.ctime_ns), verification)
        if verification.outcome is Outcome.UNVERIFIED:
            return  # nothing was compared, so there is nothing to keep
        now = identity_of(file.path)
        identity = Identity(path, file.size, file.mtime_ns, now.inode if now is not None else 0, file.ctime_ns)
        self._records().verifications.put(Row(identity, verification.at, _to_text(verification)))

    def carry(self, before: Identity, after: Path) -> None:
        """Copy what is known of `before` to `after`, which has the same bytes under another identity."""
        from ..files import identity_of

        found, now = self._all.get(_key(before)), identity_of(after)
        if found is not None and now is not None and now.size == before.size:
            self._put(_key(now), found)

    def _put(self, key: _Key, verification: Verification) -> None:
        with self._lock:
            self._all = {**self._all, key: verification}
            self._changes += 1


def _key(identity: Identity) -> _Key:
    return identity.path, identity.size, identity.mtime_ns, identity.ctime_ns


def _to_text(verification: Verification) -> str | None:
    """Return JSON for a file that is not right; None for a verified one."""
    if verification.reason is None:
        return None
    return json.dumps({"outcome": verification.outcome.value, **to_data(verification.reason)})


@functools.lru_cache(maxsize=4096)
def _from_text(at: float, text: str | None) -> Verification | None:
    """Read what `_to_text` gave; None for any other text: the file can be verified again."""
    if text is None:
        return Verification(Outcome.VERIFIED, at)
    try:
        data = json.loads(text)
        return Verification(Outcome(data.get("outcome", Outcome.DAMAGED.value)), at, reason=from_data(data))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
