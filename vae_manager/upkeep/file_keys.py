"""Keys by which messages and pages name files."""

from __future__ import annotations

import hashlib
from pathlib import Path


def key_of(path: Path) -> str:
    """Return the name of a file in messages and pages: a digest, since a path can hold any characters."""
    return hashlib.blake2s(str(path).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
