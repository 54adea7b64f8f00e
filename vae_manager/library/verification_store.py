"""Results of verifications, without the code that opens files: the WebUI's start does not need that."""

from __future__ import annotations

import enum
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..catalogue import Entry
from ..errors import VaeManagerError
from ..sentences import Sentence
from .folders import VaeFile

if TYPE_CHECKING:
    from ..files import Identity

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

    @property
    def is_right(self) -> bool:
        return self.outcome.is_right


class VerificationStore:
    """The last verification of each file, bound to its bytes, for as long as the process lives.

    All methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: dict[_Key, Verification] = {}

    @property
    def all(self) -> Mapping[_Key, Verification]:
        """All of them; another object after each change."""
        return self._all

    def of(self, file: VaeFile) -> Verification | None:
        """The verification of `file` as it was listed."""
        return self._all.get((str(file.path.absolute()), file.size, file.mtime_ns, file.ctime_ns))

    def put(self, file: VaeFile, verification: Verification) -> None:
        self._put((str(file.path.absolute()), file.size, file.mtime_ns, file.ctime_ns), verification)

    def carry(self, before: Identity, after: Path) -> None:
        """Copy what is known of `before` to `after`, which has the same bytes under another identity."""
        from ..files import identity_of  # what opens files waits for the first file

        found, now = self._all.get(_key(before)), identity_of(after)
        if found is not None and now is not None and now.size == before.size:
            self._put(_key(now), found)

    def _put(self, key: _Key, verification: Verification) -> None:
        with self._lock:
            self._all = {**self._all, key: verification}


def _key(identity: Identity) -> _Key:
    return identity.path, identity.size, identity.mtime_ns, identity.ctime_ns
