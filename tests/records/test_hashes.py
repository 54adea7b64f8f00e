"""Hashes are remembered as long as they are true, by all processes."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.records.reading import paths, sql
from vae_manager.files import identity_of
from vae_manager.records import DATABASE, HashStore, RecordStore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    path.write_bytes(os.urandom(10_000))
    return path


@pytest.fixture
def store(tmp_path: Path) -> HashStore:
    return HashStore(RecordStore(tmp_path / "state"))


def expected(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_hash_is_computed_once(file: Path, store: HashStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.known(file) is None
    assert store.compute(file) == expected(file)
    monkeypatch.setattr("vae_manager.records.store.sha256_of", lambda *args, **kwargs: pytest.fail("hashed again"))
    assert store.compute(file) == store.known(file) == expected(file)


def test_it_survives_a_restart(file: Path, tmp_path: Path, store: HashStore) -> None:
    store.remember(file, expected(file))
    assert HashStore(RecordStore(tmp_path / "state")).known(file) == expected(file)


def test_any_change_of_the_file_makes_it_unknown(file: Path, store: HashStore) -> None:
    status = file.stat()
    store.compute(file)
    file.write_bytes(file.read_bytes()[:-1])  # another size
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert store.known(file) is None
    store.compute(file)
    os.utime(file, ns=(1, 1))  # another time
    assert store.known(file) is None
    store.compute(file)
    twin = file.with_name("twin")
    twin.write_bytes(os.urandom(file.stat().st_size))
    os.utime(twin, ns=(1, 1))
    twin.replace(file)  # another inode, all else equal
    assert store.known(file) is None
    file.unlink()
    assert store.known(file) is None


def test_a_file_that_changes_while_it_is_hashed_is_not_remembered(file: Path, store: HashStore) -> None:
    store.compute(file, report=lambda done: os.utime(file, ns=(5, 5)))
    assert store.known(file) is None


def test_bytes_that_changed_by_themselves_stay_other_ones(file: Path, tmp_path: Path, store: HashStore) -> None:
    """However often they are read, by whichever process, under whichever name."""
    right, now = store.compute(file), identity_of(file)
    wrong = "0" * 64
    assert now is not None
    assert store.read_again(now, right)
    for _ in range(2):
        assert not store.read_again(now, wrong)
        store = HashStore(RecordStore(tmp_path / "state"))
        assert store.known(file) == wrong, "what is known are the bytes that are there"
    moved = file.rename(tmp_path / "b.safetensors")
    store.carry(now, moved)
    now = identity_of(moved)
    assert now is not None
    assert not store.read_again(now, wrong)
    assert store.read_again(now, right), "it was the reading that was wrong"
    assert not store.read_again(now, wrong)
    store.remember(moved, wrong)  # the caller says that this is right
    assert store.read_again(now, wrong)


def test_nothing_is_made_before_something_is_known(file: Path, tmp_path: Path, store: HashStore) -> None:
    store.known(file)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("damage", ["size = 'x'", "sha256 = 'abc'", "sha256 = NULL", "first = 7", "path = 'text'"])
def test_a_damaged_record_is_forgotten(file: Path, tmp_path: Path, store: HashStore, damage: str) -> None:
    store.compute(file)
    sql(tmp_path / "state", f"UPDATE hashes SET {damage}")
    store = HashStore(RecordStore(tmp_path / "state"))
    assert store.known(file) is None
    assert store.compute(file) == expected(file)
    assert HashStore(RecordStore(tmp_path / "state")).known(file) == expected(file)


def test_a_memory_that_cannot_be_written_harms_nothing(file: Path, tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a folder should be")
    store = HashStore(RecordStore(tmp_path / "blocked"))
    assert store.compute(file) == store.known(file) == expected(file)


def test_two_stores_do_not_wipe_each_other(tmp_path: Path) -> None:
    one, two = HashStore(RecordStore(tmp_path)), HashStore(RecordStore(tmp_path))
    files = [tmp_path / name for name in "abc"]
    for path in files:
        path.write_text(path.name)
    assert one.known(files[0]) is None and two.known(files[0]) is None  # both have read the empty memory
    for store, path in ((one, files[0]), (two, files[1]), (one, files[2])):
        store.compute(path)
    assert len(paths(tmp_path, "hashes")) == 3


def test_many_threads(tmp_path: Path, store: HashStore) -> None:
    files = [tmp_path / str(number) for number in range(40)]
    for path in files:
        path.write_text(path.name)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.compute, files * 2))
    again = HashStore(RecordStore(tmp_path / "state"))
    assert [again.known(path) for path in files] == [expected(path) for path in files]
    assert [path.name for path in (tmp_path / "state").iterdir()] == [DATABASE]


def test_a_relative_path_is_the_same_file(file: Path, store: HashStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.compute(file)
    monkeypatch.chdir(file.parent)
    assert store.known(Path(file.name)) == expected(file)


def test_bytes_that_were_exchanged_under_the_old_time_are_unknown(file: Path, store: HashStore) -> None:
    status = file.stat()
    store.compute(file)
    file.write_bytes(os.urandom(status.st_size))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
    assert (store.known(file) is None) == (os.name != "nt"), "Windows has no time of change"


def test_an_entry_without_a_time_of_change_is_none(file: Path, tmp_path: Path, store: HashStore) -> None:
    """Without a ctime, the entry does not prove that the bytes are unchanged."""
    store.compute(file)
    [known] = sql(tmp_path / "state", "SELECT size, mtime_ns, inode, sha256 FROM hashes")
    (tmp_path / "state" / DATABASE).unlink()
    entry = dict(zip(("size", "mtime_ns", "inode", "sha256"), known, strict=True))
    (tmp_path / "state" / "hashes.json").write_text(json.dumps({str(file): entry}))
    store = HashStore(RecordStore(tmp_path / "state"))
    identity = identity_of(file)
    assert identity is not None
    assert (store.known(file), store.last_of(identity)) == (None, expected(file))
    assert store.compute(file) == expected(file)
