"""The user's own catalogue in the WebUI's data folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Offered:
    """An entry of the user's own, as the checks know it."""

    id: str
    name: str
    file_name: str
    sha256: str
    size: int


class OwnCatalogue:
    """`catalogue.yaml`, with one entry more than the person has; put back at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before = path.read_text(encoding="utf-8") if path.exists() else None
        self._had_folder = path.parent.exists()

    def add(self, id: str, repo: str, file: Path) -> Offered:
        name = "Live check VAE"
        entry = Offered(id, name, file.name, sha256_of(file), file.stat().st_size)
        text = (
            f"- id: {id}\n  name: {name}\n  family: sd1\n  purpose: Random weights, for the live checks\n"
            f"  licence: MIT\n  sha256: {entry.sha256}\n  size: {entry.size}\n  source: hub:{repo}/{file.name}\n"
        )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text((self._before or "") + text, encoding="utf-8")
        return entry

    def restore(self) -> None:
        if self._before is None:
            self._path.unlink(missing_ok=True)
        else:
            self._path.write_text(self._before, encoding="utf-8")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(path)


def _digest(path: Path) -> str:
    """For Python 3.10."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
