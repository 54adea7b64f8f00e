"""Files of a library, and what the index says of them."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.files.filling import filling
from tests.files.samples import encode, header_of, ldm
from vae_manager.files import FileRecord, disk, identity_of
from vae_manager.library import Folder, scan
from vae_manager.library import operations as journal_module
from vae_manager.library.index import Index
from vae_manager.library.operations import Intent, Journal
from vae_manager.records import HashStore

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")


def vae(path: Path, seed: int = 0, **metadata: str) -> Path:
    """A tiny VAE of the WebUI's layout; another seed, other weights."""
    header, size = header_of(ldm())
    if metadata:
        header["__metadata__"] = metadata
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(header, filling(size, seed)))
    return path


def look(folder: Path, index: Index | None = None) -> dict[str, FileRecord]:
    """Return the records of all files of a folder, by their names below it."""
    found = (index or Index()).inspect_all(scan([Folder(folder)]))
    return {record.path.relative_to(folder).as_posix(): record for record in found}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(folder: Path) -> Sequence[str]:
    """All that is below a folder, hidden files too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def put(folder: Path, *names: str) -> None:
    """Small files that hold their own name."""
    for name in names:
        (folder / name).write_text(name)


def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imitate exFAT and many network folders: no hard links, and no rename that refuses to overwrite."""

    def link(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    with_links_alone(monkeypatch)


def with_links_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Imitate NFS, and any system but Linux: hard links, and no rename that refuses to overwrite."""
    monkeypatch.setattr(disk, "_renameat2", lambda: None)


def rot(path: Path, hashes: HashStore) -> None:
    """Another byte, by no writing that anybody could notice: no time of the file has changed, as far as is known."""
    before, content = identity_of(path), bytearray(path.read_bytes())
    assert before is not None
    content[-1] ^= 1
    path.write_bytes(content)
    hashes.carry(before, path)


def note_of(journal: Journal, intent: Intent, name: str = "0123456789abcdef.json") -> Path:
    """The note of a process that is gone."""
    journal.folder.mkdir(parents=True, exist_ok=True)
    note = journal.folder / name
    note.touch()
    note.write_text(journal_module._to_json(intent, note.stat().st_ino))
    return note


def left_behind(journal: Journal, folder: Path, old: str, new: str, *endings: str) -> Path:
    """The note of a renaming by a process that is gone."""
    pairs = tuple((folder / f"{old}{ending}", folder / f"{new}{ending}") for ending in endings)
    return note_of(journal, Intent("move", pairs))


class WindowsLike(type(Path())):  # type: ignore[misc]
    """To Windows, paths that differ in capitals alone are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Path) and str(self).casefold() == str(other).casefold()

    def __hash__(self) -> int:
        return hash(str(self).casefold())


def blind_to_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the disks of macOS and Windows: looks and links find a name whatever its capitals.

    A file gets the name that it is renamed to, capitals too, as it does there. Nothing else is pretended.
    """
    lexists, isfile, link, symlink = os.path.lexists, os.path.isfile, os.link, os.symlink

    def as_listed(path: Path) -> Path:
        listed = (one for one in Path(path.parent).iterdir() if one.name.casefold() == path.name.casefold())
        return next(listed, path)

    def new_link(source: Path, target: Path, **more: bool) -> None:
        link(source, as_listed(target), **more)

    def new_symlink(leads_to: str, path: Path, *more: bool) -> None:
        symlink(leads_to, as_listed(path), *more)

    monkeypatch.setattr(os.path, "lexists", lambda path: lexists(as_listed(path)))
    monkeypatch.setattr(os.path, "isfile", lambda path: isfile(as_listed(path)))
    monkeypatch.setattr(os, "link", new_link)
    monkeypatch.setattr(os, "symlink", new_symlink)
