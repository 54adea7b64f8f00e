"""Records reach all processes, survive kills, and never keep the program from working."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.records.killing import Writer, identity
from tests.records.reading import paths, sql
from tests.state.contents import ODD
from vae_manager.files import identity_of
from vae_manager.files.record import Fingerprints
from vae_manager.files.state_file import damage_notices
from vae_manager.records import DATABASE, HashRecord, HashStore, InspectionRecord, RecordStore, Verification
from vae_manager.records import database as databases
from vae_manager.records import store as stores
from vae_manager.records.database import APPLICATION_ID, SCHEMA_VERSION

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
ROOT = Path(__file__).parents[2]
A, B = "a" * 64, "b" * 64


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def filled(data: Path, count: int = 3) -> RecordStore:
    """A store with hashes of files that are not there."""
    store = RecordStore(data)
    store.hashes.put(*(HashRecord(identity(f"/{number}"), A) for number in range(count)))
    return store


def known(data: Path) -> int:
    """The hashes that a new process knows."""
    store = RecordStore(data)
    store.load()
    return len(store.hashes.all_keys())


def kept(data: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(data.glob(f"{DATABASE}.damaged-*")) if path.is_file()]


# -- any content ---------------------------------------------------------------------------------------------------
def test_empty_file_is_a_new_database(data: Path) -> None:
    """A process that was killed right after it had created the file leaves it so."""
    data.mkdir()
    (data / DATABASE).touch()
    assert filled(data).unwritten == 0
    assert (known(data), kept(data), damage_notices(data)) == (3, [], ())


@pytest.mark.parametrize("content", [content for content in ODD.values() if content] + [
    b"SQLite format 3\0", b"SQLite format 3\0" + b"\0" * 100, b"SQLite format 3\0" + b"\xff" * 9000,
])  # fmt: skip
def test_odd_content_is_set_aside(data: Path, content: bytes) -> None:
    data.mkdir()
    (data / DATABASE).write_bytes(content)
    assert filled(data).unwritten == 0
    assert known(data) == 3
    assert kept(data) == [content]
    assert len(damage_notices(data)) == 1


def _other_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE cookies (name TEXT)")


def _of_another_name(path: Path) -> None:
    filled(path.parent)
    sql(path.parent, "PRAGMA application_id = 7")


def _without_a_column(path: Path) -> None:
    filled(path.parent)
    sql(path.parent, "ALTER TABLE hashes RENAME COLUMN sha256 TO sha1")


def _without_a_table(path: Path) -> None:
    filled(path.parent)
    sql(path.parent, "DROP TABLE tensor_tables")


def _without_a_name(path: Path) -> None:
    filled(path.parent)
    sql(path.parent, "DELETE FROM meta")


def _cut_off(path: Path) -> None:
    filled(path.parent, 500)
    os.truncate(path, path.stat().st_size // 2)


def _overwritten(path: Path) -> None:
    filled(path.parent, 500)
    with path.open("rb+") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))


@pytest.mark.parametrize("make", [
    _other_program, _of_another_name, _without_a_column, _without_a_table, _without_a_name, _cut_off, _overwritten,
])  # fmt: skip
def test_another_or_damaged_database_is_set_aside(data: Path, make: Callable[[Path], None]) -> None:
    data.mkdir()
    make(data / DATABASE)
    before = (data / DATABASE).read_bytes()
    assert filled(data).unwritten == 0
    assert known(data) == 3
    assert kept(data) == [before]
    assert len(damage_notices(data)) == 1


def _folder(path: Path) -> None:
    path.mkdir()


def _link(path: Path) -> None:
    path.symlink_to("/mnt/not there/file")


def _circle(path: Path) -> None:
    path.symlink_to(path.name)


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _gigabytes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)


@POSIX
@pytest.mark.parametrize("make", [_folder, _link, _circle, _pipe, _gigabytes])
def test_something_else_in_its_place_is_set_aside(data: Path, make: Callable[[Path], None]) -> None:
    data.mkdir()
    make(data / DATABASE)
    before = (data / DATABASE).lstat().st_ino
    assert filled(data).unwritten == 0
    assert known(data) == 3
    [aside] = data.glob(f"{DATABASE}.damaged-*")
    assert aside.lstat().st_ino == before


def test_random_bytes_in_a_whole_database(data: Path) -> None:
    """Whichever page they hit, the program starts, and it can remember."""
    filled(data, 400)
    good, chance = (data / DATABASE).read_bytes(), random.Random(5)
    for _ in range(60):
        content = bytearray(good)
        for _ in range(chance.choice((1, 5, 300))):
            content[chance.randrange(len(content))] = chance.randrange(256)
        (data / DATABASE).write_bytes(content)
        store = RecordStore(data)
        store.hashes.put(HashRecord(identity("/new"), B))
        assert store.hashes.get("/new") is not None
        later = RecordStore(data)
        assert later.hashes.get("/new") == store.hashes.get("/new")
        for aside in data.glob("*.damaged-*"):
            aside.unlink()


def test_journal_goes_along_with_what_is_set_aside(data: Path) -> None:
    """It would be played back into the new database."""
    (data / DATABASE).mkdir(parents=True)
    (data / f"{DATABASE}-journal").write_bytes(b"the pages of before")
    assert filled(data).unwritten == 0
    assert (data / f"{DATABASE}.damaged-1-journal").read_bytes() == b"the pages of before"
    assert known(data) == 3


def test_newer_schema_is_left_alone(data: Path) -> None:
    filled(data)
    sql(data, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = (data / DATABASE).read_bytes()
    store = filled(data, 5)
    assert (len(store.hashes.all_keys()), store.unwritten) == (5, 5)
    filled(data, 5)
    assert (data / DATABASE).read_bytes() == before
    assert len(damage_notices(data)) == 1


def test_newer_schema_of_an_open_database_is_left_alone(data: Path) -> None:
    """A newer version of this program may start beside this one."""
    store = filled(data)
    sql(data, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = (data / DATABASE).read_bytes()
    store.hashes.put(HashRecord(identity("/new"), B))
    assert (store.unwritten, store.hashes.get("/new") is not None) == (1, True)
    assert (data / DATABASE).read_bytes() == before
    assert len(damage_notices(data)) == 1


def test_damage_that_comes_later_costs_no_record(data: Path) -> None:
    """The new database gets the records in memory."""
    store = filled(data)
    (data / DATABASE).write_bytes(b"somebody else's text" * 500)
    store.hashes.put(HashRecord(identity("/new"), B))
    assert (store.unwritten, known(data)) == (0, 4)
    assert kept(data) == [b"somebody else's text" * 500]


def test_database_that_was_removed_is_written_anew(data: Path) -> None:
    store = filled(data)
    (data / DATABASE).unlink()
    assert store.hashes.revision == store.hashes.revision
    store.hashes.put(HashRecord(identity("/new"), B))
    assert known(data) == 4


def test_database_that_was_exchanged_is_read_anew(data: Path, tmp_path: Path) -> None:
    store, other = filled(data), RecordStore(tmp_path / "other")
    before = store.hashes.revision
    other.hashes.put(HashRecord(identity("/other"), B))
    (tmp_path / "other" / DATABASE).replace(data / DATABASE)
    assert store.hashes.revision != before
    assert store.hashes.get("/other") is not None
    store.hashes.put(HashRecord(identity("/new"), B))
    assert known(data) == 5


@POSIX
def test_file_belongs_to_its_owner_alone(data: Path) -> None:
    filled(data)
    assert (data / DATABASE).stat().st_mode & 0o777 == 0o600


# -- several at once -----------------------------------------------------------------------------------------------
def test_change_reaches_another_process_at_its_next_look(data: Path) -> None:
    one, two = RecordStore(data), RecordStore(data)
    before = two.hashes.revision
    for number in range(3):
        one.hashes.put(HashRecord(identity("/a"), str(number) * 64))
        assert two.hashes.revision != before
        before = two.hashes.revision
        assert two.hashes.get("/a") == one.hashes.get("/a")
        assert two.hashes.revision == before, "nothing is new"
    one.inspections.put(InspectionRecord(identity("/a"), 1, "{}"))
    assert two.hashes.revision == before, "a change of another kind"


def test_change_of_an_old_database_is_seen(data: Path) -> None:
    """SQLite is not asked while the time of the file stays the same."""
    one, two = filled(data), RecordStore(data)
    os.utime(data / DATABASE, (time.time() - 3600,) * 2)
    before = two.hashes.revision
    assert two.hashes.revision == before
    assert two._database is not None
    assert two._database._unchanged is not None
    one.hashes.put(HashRecord(identity("/a"), B))
    assert two.hashes.revision != before


def test_two_writers_join_what_they_know_of_one_file(data: Path) -> None:
    one, two = RecordStore(data), RecordStore(data)
    one.load()
    two.load()
    one.inspections.put(InspectionRecord(identity("/a"), fingerprints=Fingerprints(A, None)))
    two.inspections.put(InspectionRecord(identity("/a"), 2, "{}"))
    record = RecordStore(data).inspections.get("/a")
    assert record == InspectionRecord(identity("/a"), 2, "{}", None, Fingerprints(A, None))


def test_record_of_a_file_that_has_changed_takes_nothing_over(data: Path) -> None:
    store = RecordStore(data)
    store.inspections.put(InspectionRecord(identity("/a"), 2, "{}", fingerprints=Fingerprints(A, None)))
    other = InspectionRecord(identity("/a")._replace(mtime_ns=9), 2, "{}")
    store.inspections.put(other)
    assert RecordStore(data).inspections.get("/a") == store.inspections.get("/a") == other


def test_two_processes_and_threads_lose_nothing(data: Path) -> None:
    writers = [Writer(data, name, count=60, threads=3) for name in ("x", "y")]
    for writer in writers:
        assert writer.wait() == 0
    found = paths(data, "hashes")
    assert len(found) == 2 * 3 * 60
    assert [path.name for path in data.iterdir()] == [DATABASE]


@POSIX
def test_kills_at_any_time_lose_nothing_that_was_committed(data: Path) -> None:
    chance, expected, journals = random.Random(3), 0, 0
    for number in range(40):
        writer = Writer(data, f"k{number}", count=100_000, threads=1, reports=True)
        expected += writer.kill_after(chance.uniform(0.0, 0.08))
        journals += any(data.glob("*-journal"))
        store = RecordStore(data)
        store.load()
        assert len(store.hashes.all_keys()) >= expected
        expected = len(store.hashes.all_keys())
        if (data / DATABASE).exists():  # on a busy machine the first ones are killed before they make it
            assert sql(data, "PRAGMA integrity_check") == [("ok",)]
        if number > 6 and journals:
            break
    assert journals, "no kill came in the middle of a transaction"
    assert (kept(data), damage_notices(data)) == ([], ())


@POSIX
def test_fork_uses_a_connection_of_its_own(data: Path) -> None:
    store = filled(data)
    child = os.fork()
    if not child:
        with suppress(BaseException):
            store.hashes.put(HashRecord(identity("/child"), B))
            assert store._database is not None
            os._exit(store.unwritten if store._database._process == os.getpid() else 98)
        os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.hashes.put(HashRecord(identity("/parent"), B))
    assert known(data) == 5


def test_locked_database_delays_no_one_and_is_written_later(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "BUSY_TIMEOUT_S", 0.05)
    monkeypatch.setattr(stores, "MIN_PAUSE_S", 30.0)
    store = filled(data)
    with closing(sqlite3.connect(data / DATABASE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        for number in range(200):
            store.hashes.put(HashRecord(identity(f"/new {number}"), B))
            assert store.hashes.revision
        assert time.monotonic() - began < 2
        assert store.unwritten == 200
        assert damage_notices(data) == (), "it is locked for a moment"
        for _ in range(stores.BUSY_IS_LONG):
            store._try_at = 0.0
            store.refresh()
        assert len(damage_notices(data)) == 1, "it is locked for long"
        other.execute("ROLLBACK")
    store._try_at = 0.0
    assert store.hashes.revision
    assert (store.unwritten, known(data)) == (0, 203)


def test_page_does_not_wait_for_a_thread_that_writes(data: Path) -> None:
    store = filled(data)
    holds, done = threading.Event(), threading.Event()
    in_time: list[bool] = []

    def hold() -> None:
        with store._lock:
            holds.set()
            in_time.append(done.wait(30))

    thread = threading.Thread(target=hold)
    thread.start()
    holds.wait()
    looked = [store.hashes.revision, store.hashes.get("/0")]
    done.set()
    thread.join()
    assert looked[1] is not None
    assert in_time == [True]


# -- where it cannot be --------------------------------------------------------------------------------------------
def test_folder_that_cannot_be_keeps_records_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    store = filled(tmp_path / "file" / "data")
    assert len(store.hashes.all_keys()) == 3
    store._try_at = 0.0
    store.hashes.put(HashRecord(identity("/new"), B))
    assert len(damage_notices(tmp_path)) == 1, "it is reported once"
    assert (tmp_path / "file").read_text() == "mine"


@POSIX
@pytest.mark.parametrize("exists", [True, False])
def test_file_system_without_locks_keeps_records_in_memory(data: Path, exists: bool) -> None:
    """The system calls for locks fail in that process, as on a mount without a lock service."""
    data.mkdir()
    if exists:
        filled(data)
    script = (
        "import sys; from pathlib import Path; from tests.records.no_locks import refuse_locks\n"
        "if not refuse_locks(): sys.exit(77)\n"
        "from tests.records.test_store import filled; from vae_manager.files.state_file import damage_notices\n"
        "data = Path(sys.argv[1]); store = filled(data, 5); store._try_at = 0.0\n"
        "filled(data, 5); store.hashes.revision\n"
        "print(len(store.hashes.all_keys()), store.unwritten, len(damage_notices(data)))"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script, data], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("system calls cannot be filtered here")
    assert done.stdout.split() == ["5", "5", "1"], done.stderr
    assert time.monotonic() - began < 20
    assert known(data) == (3 if exists else 0)
    assert kept(data) == []


@POSIX
def test_full_disk_keeps_records_in_memory_and_writes_them_later(data: Path) -> None:
    """The limit of a file's size stands for a full disk: SQLite gets the same error from a write."""
    script = (
        "import resource, signal, sys; from pathlib import Path; from tests.records.test_store import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "data = Path(sys.argv[1]); store = filled(data)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))\n"
        "store.hashes.put(*(HashRecord(identity(f'/new {number}'), B) for number in range(2000)))\n"
        "print(store.unwritten, len(damage_notices(data)), known(data))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "store._try_at = 0.0; store.hashes.revision\n"
        "print(store.unwritten, known(data))\n"
    )
    command = [sys.executable, "-c", script, str(data)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["2000", "1", "3", "0", "2003"], done.stderr


# -- what is forgotten ---------------------------------------------------------------------------------------------
def test_latest_of_the_files_that_are_gone_are_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "MAX_GONE", 5)
    here = identity_of(ROOT / "pyproject.toml")
    assert here is not None
    store = RecordStore(data)
    store.hashes.put(HashRecord(here, A), *(HashRecord(identity(f"/gone {number}"), A) for number in range(20)))
    store.hashes.put(HashRecord(identity("/new"), A))
    assert paths(data, "hashes") == sorted([here.path, "/new", *(f"/gone {number}" for number in range(15, 20))])


def test_unreferenced_tables_of_tensors_are_forgotten(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "SWEEP_EVERY_S", 0.0)
    store = RecordStore(data)
    for name, digest in (("a", A), ("b", B)):
        store.inspections.put(InspectionRecord(identity(f"/{name}"), 1, "{}", digest), tensors={digest: name.encode()})
    assert [RecordStore(data).tensor_table(digest) for digest in (A, B, "c")] == [b"a", b"b", None]
    store.inspections.forget("/a")
    store.inspections.put(InspectionRecord(identity("/c"), 1, "{}"))
    assert [store.tensor_table(digest) for digest in (A, B)] == [None, b"b"]


def test_tables_of_tensors_without_a_database() -> None:
    store = RecordStore()
    store.inspections.put(InspectionRecord(identity("/a"), 1, "{}", A), tensors={A: b"table"})
    assert store.tensor_table(A) == b"table"


# -- identities ----------------------------------------------------------------------------------------------------
@POSIX
def test_names_need_not_be_utf_8(data: Path, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.safetensors"))
    path.write_bytes(b"x")
    HashStore(RecordStore(data)).remember(path, A)
    assert HashStore(RecordStore(data)).known(path) == A
    assert sql(data, "SELECT path FROM hashes") == [(os.fsencode(path),)]


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**63 - 1, 0])
def test_inodes_have_64_bits_without_a_sign(data: Path, number: int) -> None:
    record = HashRecord(identity("/a")._replace(inode=number, mtime_ns=-5), A)
    RecordStore(data).hashes.put(record)
    assert RecordStore(data).hashes.get("/a") == record


def test_verification_goes_along_with_a_file(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    before = identity_of(path)
    assert before is not None
    store = RecordStore(data)
    store.verifications.put(Verification(before, 5.0, None))
    moved = path.rename(tmp_path / "b")
    store.carry(before, moved)
    found = RecordStore(data).verifications.get(str(moved))
    assert found == Verification(identity_of(moved), 5.0, None)  # type: ignore[arg-type]


def test_application_is_named_in_the_file(data: Path) -> None:
    filled(data)
    assert sql(data, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert sql(data, "PRAGMA journal_mode") == [("delete",)]
