"""Results of a verification, and the keys by which messages name files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ..sentences import Sentence


@dataclass(frozen=True)
class Verdict:
    """What a verification gave."""

    at: float
    """Seconds since 1970."""
    problem: Sentence | None
    """None: every byte could be read, they are those of before, and every number is one."""


def key_of(path: Path) -> str:
    """Names a file in messages and pages: a digest, since a path can hold anything."""
    return hashlib.blake2s(str(path).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
