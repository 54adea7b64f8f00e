"""Files of a library, and what the index says of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from tests.files.samples import encode, header_of, ldm
from vae_manager.library import Folder, scan
from vae_manager.library.index import Index, IndexedFile


def vae(path: Path, seed: int = 0, **metadata: str) -> Path:
    """A tiny VAE of the WebUI's layout; another seed, other weights."""
    header, size = header_of(ldm())
    if metadata:
        header["__metadata__"] = metadata
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(header, bytes([seed]) * size))
    return path


def look(folder: Path, index: Index | None = None) -> dict[str, IndexedFile]:
    """What the index says of all files of a folder, by their names below it."""
    found = (index or Index(None)).look(scan([Folder(folder)]))
    return {file.file.relative: file for file in found}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(folder: Path) -> Sequence[str]:
    """All that is below a folder, hidden files too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
