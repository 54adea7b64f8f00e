"""Records from before ctimes were kept, and after a ctime that changed alone (chmod, a backup's hard links)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.records.earlier import write_earlier
from tests.records.reading import sql
from vae_manager.files import FileRecord, identity_of
from vae_manager.files.state_file import damage_notices
from vae_manager.library import Folder, scan
from vae_manager.library.family_evidence import FamilyOverrides
from vae_manager.library.index import Index
from vae_manager.records import HashStore, RecordStore

from .vaes import POSIX, sha256, vae


class Library:
    """A data folder, opened anew by each call, as by another process."""

    def __init__(self, folder: Path, data: Path) -> None:
        self.folder, self.data = folder, data

    @property
    def hashes(self) -> HashStore:
        return HashStore(RecordStore(self.data))

    @property
    def index(self) -> Index:
        return Index(RecordStore(self.data), self.hashes)

    @property
    def words(self) -> FamilyOverrides:
        return FamilyOverrides(self.data / "families.json")

    def look(self) -> dict[str, FileRecord]:
        return {record.path.stem: record for record in self.index.inspect_all(scan([Folder(self.folder)]))}

    def told(self) -> dict[str, str | None]:
        return {name: self.words.get(file) for name, file in self.look().items()}


@pytest.fixture
def library(folder: Path, tmp_path: Path) -> Library:
    """A library with corrections of `hashed` by SHA-256, of `printed` by weights, of `plain` by identity."""
    library = Library(folder, tmp_path / "data")
    for number, name in enumerate(("hashed", "printed", "plain")):
        vae(folder / f"{name}.safetensors", number)
    library.hashes.compute(folder / "hashed.safetensors")
    library.index.fingerprints_of(folder / "printed.safetensors")
    for name, file in library.look().items():
        library.words.put(file, {"hashed": "sdxl", "printed": "sd1", "plain": "flux1"}[name])
    return library


WORDS = {"hashed": "sdxl", "printed": "sd1", "plain": "flux1"}


def of_before(library: Library) -> None:
    """The files as the first versions wrote them."""
    write_earlier(library.data, is_timed=False, reader=1)
    words = library.data / "families.json"
    entries = json.loads(words.read_bytes())
    for entry in entries:
        entry.pop("ctime_ns", None)
    words.write_text(json.dumps(entries))


def touched(library: Library) -> None:
    for file in library.folder.iterdir():
        file.chmod(0o640)


CHANGES = [of_before, pytest.param(touched, marks=POSIX)]


@pytest.mark.parametrize("change", CHANGES)
def test_a_persons_word_holds(library: Library, tmp_path: Path, change: Callable[[Library], None]) -> None:
    change(library)
    assert [library.told() for _ in range(3)] == [WORDS] * 3, "each look may write what it has seen"
    assert damage_notices(library.data) == ()
    assert library.look()["hashed"].sha256 is None, "it is no proof"
    assert library.look()["printed"].fingerprints is None
    library.hashes.compute(vae(library.folder / "another.safetensors", 9))
    library.index.fingerprints_of(library.folder / "another.safetensors")
    assert library.told() == {**WORDS, "another": None}


@pytest.mark.parametrize("change", CHANGES)
def test_a_new_word_holds_when_the_bytes_are_known_again(library: Library, change: Callable[[Library], None]) -> None:
    change(library)
    for file in library.look().values():
        library.words.put(file, "sd3")
    for name in WORDS:
        path = library.folder / f"{name}.safetensors"
        library.hashes.compute(path)
        library.index.fingerprints_of(path)
    assert set(library.told().values()) == {"sd3"}


@pytest.mark.parametrize("change", CHANGES)
def test_a_word_goes_along_with_a_file_that_is_renamed(library: Library, change: Callable[[Library], None]) -> None:
    change(library)
    library.look()
    for name in WORDS:
        path = library.folder / f"{name}.safetensors"
        before = identity_of(path)
        assert before is not None
        path.rename(path.with_stem(f"{name}2"))
        for memory in (library.hashes, library.index, library.words):
            memory.carry(before, path.with_stem(f"{name}2"))
    assert library.told() == {f"{name}2": word for name, word in WORDS.items()}


def test_a_word_is_not_that_of_another_file_of_the_same_name(library: Library) -> None:
    for name in WORDS:
        path = library.folder / f"{name}.safetensors"
        status = path.stat()
        path.unlink()
        vae(path, 9, longer="than before")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert set(library.told().values()) == {None}


@pytest.mark.parametrize("reads_again", [True, False])
def test_bytes_that_were_found_to_be_others_stay_so(library: Library, reads_again: bool) -> None:
    """The first hash of a file that had changed by itself was kept beside the new one."""
    path = library.folder / "hashed.safetensors"
    identity = identity_of(path)
    assert identity is not None
    sql(library.data, "UPDATE hashes SET first = ? WHERE path = ?", "0" * 64, os.fsencode(path))
    of_before(library)
    if not reads_again:
        library.hashes.compute(path)
    assert not library.hashes.read_again(identity, sha256(path))
    assert library.hashes.known(path) == sha256(path)
