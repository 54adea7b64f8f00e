"""Records change when more becomes known of a file, and with what lies beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.library.vaes import vae
from vae_manager.catalogue import Catalogue
from vae_manager.files import FileRecord, Problem, identity_of
from vae_manager.library import Folder, scan
from vae_manager.library.index import Index
from vae_manager.library.inspection_cache import InspectionCache, Stores
from vae_manager.messages import msg
from vae_manager.records import RecordStore, binding_key
from vae_manager.records.verdict import A1111, Refused, verdict

PROBLEM = Problem("nan", msg("{file}: bad.", file="a.safetensors"))


class Shelf:
    """A folder of VAE files, and what is known of them in one data folder."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "VAE"
        self.folder.mkdir()
        stores = Stores(root / "data", lambda: Catalogue(()))
        self.records, self.hashes, self.index = stores.records, stores.hashes, stores.index
        self.looks = InspectionCache(stores)

    def record(self, path: Path) -> FileRecord:
        files = scan([Folder(self.folder)])
        self.looks.take(files)
        return self.looks.records(files)[path]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def codes(record: FileRecord) -> list[str]:
    return [problem.code for problem in record.problems]


def test_record_keeps_the_failure_of_its_bytes(shelf: Shelf, tmp_path: Path) -> None:
    path = vae(shelf.folder / "a.safetensors", 1)
    assert codes(shelf.record(path)) == []
    identity = identity_of(path)
    assert identity is not None
    shelf.index.note_failure(identity, PROBLEM)
    assert codes(shelf.record(path)) == ["nan"]
    assert verdict(shelf.record(path), A1111) == Refused(PROBLEM)
    later = Index(RecordStore(tmp_path / "data"))
    [record] = later.inspect_all(scan([Folder(shelf.folder)]))
    assert record.problems == (PROBLEM,), "the next process knows it too"
    vae(path, 2)
    assert codes(shelf.record(path)) == [], "other bytes have no failure"


@pytest.mark.parametrize("is_hashed", [True, False])
def test_record_gets_fingerprints_that_were_taken_elsewhere(shelf: Shelf, tmp_path: Path, is_hashed: bool) -> None:
    """The command line takes them, or a job that knows nothing of this cache."""
    path = vae(shelf.folder / "a.safetensors", 1)
    twin = vae(shelf.folder / "b.safetensors", 1, note="other bytes, the same weights")
    if is_hashed:
        shelf.hashes.compute(path)
    assert shelf.record(path).fingerprints is None
    prints = shelf.index.fingerprints_of(path)
    assert Index(RecordStore(tmp_path / "data")).fingerprints_of(twin) == prints
    record = shelf.record(path)
    assert (record.fingerprints, shelf.record(twin).fingerprints) == (prints, prints)
    assert [file.path for file in shelf.looks.twins(scan([Folder(shelf.folder)]))[path]] == [twin]
    assert shelf.record(path).fingerprints is record.fingerprints, "no fact has changed"


@pytest.mark.parametrize("is_hashed", [True, False])
def test_failure_goes_along_under_a_new_name(shelf: Shelf, tmp_path: Path, is_hashed: bool) -> None:
    path = vae(shelf.folder / "a.safetensors", 1)
    if is_hashed:
        shelf.hashes.compute(path)
    before = identity_of(path)
    assert before is not None
    shelf.index.note_failure(before, PROBLEM)
    new = path.rename(shelf.folder / "b.safetensors")
    for memory in (shelf.hashes, shelf.index):
        memory.carry(before, new)
    for index in (shelf.index, Index(RecordStore(tmp_path / "data"))):
        [record] = index.inspect_all(scan([Folder(shelf.folder)]))
        assert codes(record) == ["nan"]
        assert dict(record.problems[0].message.fields) == {"file": "b.safetensors"}


def test_failure_holds_for_the_bytes_under_any_name(shelf: Shelf) -> None:
    path = vae(shelf.folder / "a.safetensors", 1)
    shelf.hashes.compute(path)
    identity = identity_of(path)
    assert identity is not None
    shelf.index.note_failure(identity, PROBLEM)
    path.chmod(0o600)
    assert codes(shelf.record(path)) == ["nan"], "its mode has changed alone"
    copy, other = shelf.folder / "copy.safetensors", vae(shelf.folder / "other.safetensors", 2)
    copy.write_bytes(path.read_bytes())
    for each in (copy, other):
        shelf.hashes.compute(each)
    assert codes(shelf.record(copy)) == ["nan"]
    assert dict(shelf.record(copy).problems[0].message.fields) == {"file": "copy.safetensors"}
    assert codes(shelf.record(other)) == []


def test_record_without_the_failure_if_it_cannot_be_read(shelf: Shelf) -> None:
    path = vae(shelf.folder / "a.safetensors", 1)
    identity = identity_of(path)
    assert identity is not None
    shelf.index.note_failure(identity, Problem("nan", msg("x")))
    failure = shelf.records.failures.get(binding_key(tuple(identity)))
    assert failure is not None
    for text in ("", "[]", '{"code": 1}', "{" * 1000):
        shelf.records.failures.put(failure._replace(message=text))
        assert codes(shelf.record(path)) in ([], ["nan"])


@pytest.mark.parametrize("ending", [".aria2", ".part", ".crdownload", ".download", ".opdownload", ".partial"])
def test_record_of_a_file_that_is_arriving(shelf: Shelf, ending: str) -> None:
    """The bytes do not change when the download program removes its own file."""
    path = vae(shelf.folder / "a.safetensors", 1)
    other = vae(shelf.folder / "b.safetensors", 1)
    companion = path.with_name(path.name + ending)
    companion.write_bytes(b"")
    assert (shelf.record(path).is_arriving, shelf.record(other).is_arriving) == (True, False)
    companion.unlink()
    assert not shelf.record(path).is_arriving
    companion.mkdir()
    assert not shelf.record(path).is_arriving, "no download program makes a folder"
    companion.rmdir()
    companion.write_bytes(b"")
    assert shelf.record(path).is_arriving


def test_record_of_a_partly_filled_file(shelf: Shelf) -> None:
    path = vae(shelf.folder / "a.safetensors", 1)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    assert codes(shelf.record(path)) == ["unfinished"]
    path.write_bytes(data)
    os.utime(path)
    assert codes(shelf.record(path)) == []
