"""Records of earlier versions move into the database once, and no file of theirs is lost."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.library.vaes import look, sha256, vae
from tests.records.earlier import NAMES, write_earlier
from tests.records.reading import paths, sql
from vae_manager.files import FileRecord
from vae_manager.files.state_file import damage_notices
from vae_manager.library import index as indexes
from vae_manager.library.family_evidence import FamilyGuesses, LatentTestGuess
from vae_manager.library.index import READER, Index
from vae_manager.records import DATABASE, HashStore, RecordStore, rows
from vae_manager.records import database as databases

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")


class Library:
    """One VAE of which everything is known, and a data folder."""

    def __init__(self, root: Path) -> None:
        self.path = vae(root / "VAE" / "a.safetensors")
        self.data = root / "data"
        records = RecordStore(self.data)
        HashStore(records).compute(self.path)
        self.prints = Index(records).fingerprints_of(self.path)
        FamilyGuesses(records).put(self.look(records), LatentTestGuess("sd1", 20.5))

    def look(self, records: RecordStore) -> FileRecord:
        [file] = look(self.path.parent, Index(records)).values()
        return file

    def assert_known(self, records: RecordStore) -> None:
        file = self.look(records)
        assert (file.sha256, file.fingerprints) == (sha256(self.path), self.prints)
        assert FamilyGuesses(records).guess(file) == LatentTestGuess("sd1", 20.5)

    def retired(self) -> list[str]:
        return sorted(path.name.removesuffix(".migrated") for path in self.data.glob("*.migrated"))


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path)


def test_everything_is_known_and_no_file_is_opened(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    write_earlier(library.data, is_timed=True, reader=READER)
    contents = [(library.data / name).read_bytes() for name in NAMES]
    monkeypatch.setattr(indexes, "inspect", lambda path: pytest.fail("inspected again"))
    for _ in range(2):
        library.assert_known(RecordStore(library.data))
        assert [(library.data / f"{name}.migrated").read_bytes() for name in NAMES] == contents
        assert sorted(path.name for path in library.data.iterdir()) == sorted(
            [DATABASE, *(f"{name}.migrated" for name in NAMES)]
        )
    assert damage_notices(library.data) == ()


def test_earlier_reader_counts_as_such(library: Library) -> None:
    write_earlier(library.data, is_timed=True, reader=READER - 1)
    library.assert_known(RecordStore(library.data))
    assert sql(library.data, "SELECT reader FROM inspections") == [(READER,)]


def test_migration_that_cannot_be_written_is_run_again(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    write_earlier(library.data, is_timed=True, reader=READER)
    monkeypatch.setattr(databases, "BUSY_TIMEOUT_S", 0.05)
    with closing(sqlite3.connect(library.data / DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        library.assert_known(RecordStore(library.data))
        assert library.retired() == []
        other.execute("ROLLBACK")
    library.assert_known(RecordStore(library.data))
    assert library.retired() == sorted(NAMES)


@POSIX
@pytest.mark.parametrize("call", ["rename", "commit"])
def test_migration_that_is_killed_is_run_again(library: Library, call: str) -> None:
    write_earlier(library.data, is_timed=True, reader=READER)
    child = os.fork()
    if not child:
        with suppress(BaseException):
            if call == "rename":
                rows.Earlier.retire = lambda self: os._exit(0)  # type: ignore[method-assign]
            else:
                databases.Database._open = _dying(databases.Database._open)  # type: ignore[method-assign]
            RecordStore(library.data).load()
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert library.retired() == []
    library.assert_known(RecordStore(library.data))
    assert library.retired() == sorted(NAMES)
    assert paths(library.data, "hashes") == [str(library.path)]


def _dying(opened: Any) -> Any:
    """The connection ends its process when the migration is about to be committed."""

    def dying(self: object) -> object:
        connection = opened(self)
        connection.set_trace_callback(lambda text: os._exit(0) if text == "COMMIT" else None)
        return connection

    return dying


def test_what_the_database_knows_wins(library: Library) -> None:
    """A person went back to an earlier version, which wrote its files again."""
    database = (library.data / DATABASE).read_bytes()
    write_earlier(library.data, is_timed=True, reader=READER)
    (library.data / DATABASE).write_bytes(database)
    hashes = json.loads((library.data / "hashes.json").read_bytes())
    hashes[str(library.path)]["sha256"] = "0" * 64
    hashes["/new"] = {**hashes[str(library.path)], "sha256": "1" * 64}
    (library.data / "hashes.json").write_text(json.dumps(hashes))
    (library.data / "hashes.json.migrated").write_text("of the first time")
    library.assert_known(RecordStore(library.data))
    assert paths(library.data, "hashes") == sorted(["/new", str(library.path)])
    assert json.loads((library.data / "hashes.json.migrated").read_bytes()) == hashes


@POSIX
def test_two_processes_at_once(library: Library) -> None:
    write_earlier(library.data, is_timed=True, reader=READER)
    children = []
    for _ in range(3):
        children.append(os.fork())
        if not children[-1]:
            with suppress(BaseException):
                library.assert_known(RecordStore(library.data))
                os._exit(0)
            os._exit(1)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    library.assert_known(RecordStore(library.data))
    assert library.retired() == sorted(NAMES)
    assert damage_notices(library.data) == ()


def test_names_that_no_file_can_have_are_left_out(tmp_path: Path) -> None:
    entry = {"size": 1, "mtime_ns": 2, "inode": 10**400, "ctime_ns": 4, "sha256": "0" * 64}
    (tmp_path / "hashes.json").write_text(json.dumps({"/\ud800": entry, "/a\0b": entry, "/a": entry}))
    store = RecordStore(tmp_path)
    store.load()
    assert "/a" in store.hashes.all_keys()
    assert store.unwritten == 0
    store.refresh()


def test_in_a_folder_that_cannot_be_written_records_are_used(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    write_earlier(library.data, is_timed=True, reader=READER)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(databases, "_create_file", refuse)
    library.assert_known(RecordStore(library.data))
    assert library.retired() == []
    assert len(damage_notices(library.data)) == 1
