"""What is known of a library is remembered as long as it is true, and costs next to nothing to ask for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.counting import calls
from tests.failing import has
from tests.files.samples import diffusers, safetensors
from tests.records.reading import paths, sql
from vae_manager.errors import DiskError, NotFoundError
from vae_manager.files import FileRecord, identity_of, inspect
from vae_manager.files.record import Fingerprints
from vae_manager.library import Folder, index, scan
from vae_manager.library.index import READER, Index
from vae_manager.records import DATABASE, HashStore, RecordStore

from .vaes import POSIX, look, sha256, vae

PRINTS = Fingerprints("a" * 64, "b" * 64)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are inspected."""
    names: list[str] = []

    def noted(path: Path) -> FileRecord:
        names.append(path.name)
        return inspect(path)

    monkeypatch.setattr(index, "inspect", noted)
    return names


# -- looking -------------------------------------------------------------------------------------------------------
def test_it_says_what_files_are(folder: Path, data: Path) -> None:
    vae(folder / "good.safetensors", made_by="me")
    safetensors(folder / "twin.safetensors", diffusers())
    (folder / "page.safetensors").write_text("<html>sign in</html>")
    found = look(folder, Index(RecordStore(data)))
    good = found["good.safetensors"]
    assert (good.container, good.layout, good.latent_channels, good.dtype) == ("safetensors", "ldm", 4, "fp32")
    assert (good.problems, dict(good.metadata)) == ((), {"made_by": "me"})
    twin = found["twin.safetensors"]
    assert (twin.layout, twin.problems) == ("diffusers", ())
    assert found["page.safetensors"].problems[0].code == "web-page"


def test_the_next_process_opens_nothing_and_says_the_same(folder: Path, data: Path, opened: list[str]) -> None:
    vae(folder / "good.safetensors", made_by="me")
    safetensors(folder / "twin.safetensors", diffusers())
    (folder / "名 {x}.pt").write_text("<html>")
    first = look(folder, Index(RecordStore(data)))
    assert len(opened) == 3
    assert look(folder, Index(RecordStore(data))) == first
    assert len(opened) == 3


def test_what_has_changed_is_looked_at_anew(folder: Path, data: Path, opened: list[str]) -> None:
    path = vae(folder / "a.safetensors")
    vae(folder / "b.safetensors")
    one = Index(RecordStore(data))
    look(folder, one)
    opened.clear()
    path.write_text("<html>")
    assert look(folder, one)["a.safetensors"].container == "web page"
    assert opened == ["a.safetensors"]
    before = path.stat()
    path.unlink()
    path.write_text("  html")  # as long, and as old
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    if path.stat().st_ino != before.st_ino:
        assert look(folder, Index(RecordStore(data)))["a.safetensors"].container == "unknown"


def test_a_file_that_is_gone_is_left_out_and_forgotten(folder: Path, data: Path) -> None:
    for name in ("a", "b"):
        vae(folder / f"{name}.safetensors")
    files = scan([Folder(folder)])
    one = Index(RecordStore(data))
    one.inspect_all(files)
    (folder / "a.safetensors").unlink()
    assert [record.path.name for record in one.inspect_all(files)] == ["b.safetensors"]
    vae(folder / "c.safetensors")
    one.inspect_all(scan([Folder(folder)]))
    assert [Path(path).name for path in remembered(data)] == ["b.safetensors", "c.safetensors"]


def remembered(data: Path) -> list[str]:
    return paths(data, "inspections")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_what_cannot_be_read_is_said_and_not_remembered(folder: Path, data: Path) -> None:
    os.mkfifo(folder / "pipe.pt")
    [file] = look(folder, Index(RecordStore(data))).values()
    assert (file.problems[0].code, file.table) == ("unreadable", None)
    assert has(file.problems[0].message, path=folder / "pipe.pt")
    assert not data.exists()


def test_nothing_is_made_before_there_is_something_to_remember(folder: Path, data: Path) -> None:
    assert look(folder, Index(RecordStore(data))) == {}
    assert not data.exists()


def test_without_a_folder_it_remembers_for_itself(folder: Path, opened: list[str]) -> None:
    vae(folder / "a.safetensors")
    one = Index()
    look(folder, one)
    look(folder, one)
    assert opened == ["a.safetensors"]


def test_metadata_without_end_is_cut(folder: Path, data: Path) -> None:
    vae(folder / "a.safetensors", 0, long="x" * 100_000, **{f"k{number}": "" for number in range(1000)})
    [file] = look(folder, Index(RecordStore(data))).values()
    assert len(file.metadata) == 40
    assert sql(data, "SELECT length(summary) < 5000 FROM inspections") == [(1,)]


# -- damage --------------------------------------------------------------------------------------------------------
def replaced(old: str, new: str) -> Callable[[Path], object]:
    return lambda data: sql(data, "UPDATE inspections SET summary = replace(summary, ?, ?)", old, new)


def changed(column: str, value: object) -> Callable[[Path], object]:
    return lambda data: sql(data, f"UPDATE inspections SET {column} = ?", value)


@pytest.mark.parametrize("damage", [
    lambda data: (data / DATABASE).write_bytes(b""),
    lambda data: (data / DATABASE).write_bytes((data / DATABASE).read_bytes()[: 3 * 4096]),
    lambda data: (data / DATABASE).write_bytes((data / DATABASE).read_bytes()[:100]),
    lambda data: (data / DATABASE).write_bytes(b"x" * 5000),
    lambda data: sql(data, "DROP TABLE inspections"),
    changed("summary", "[]"), changed("summary", "[" * 100_000), changed("summary", b"\0"), changed("summary", "{"),
    replaced('"layout"', '"lay"'), replaced('"ldm"', "7"), replaced('"template": "', '"template": "{'),
    replaced('"a"', '"\\ud800"'),
    changed("mtime_ns", "yesterday"), changed("inode", None), changed("reader", "new"), changed("weights", "abc"),
    changed("reader", 0), changed("path", "a text"), changed("path", b"\0\xff"),
])  # fmt: skip
def test_a_damaged_file_costs_only_work(folder: Path, data: Path, damage: Callable[[Path], object]) -> None:
    vae(folder / "a.safetensors")
    good = look(folder, Index(RecordStore(data)))
    damage(data)
    assert look(folder, Index(RecordStore(data))) == good
    assert look(folder, Index(RecordStore(data))) == good


def test_a_data_folder_that_cannot_be(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    vae(folder / "a.safetensors")
    one = Index(RecordStore(tmp_path / "file" / "data"))
    assert look(folder, one) == look(folder, one)


def test_what_an_earlier_reader_said_is_found_anew_but_no_file_is_read_again(folder: Path, data: Path) -> None:
    path = vae(folder / "a.safetensors")
    one = Index(RecordStore(data))
    prints = one.fingerprints_of(path)
    good = look(folder, one)
    replaced('"container": "safetensors"', '"container": "pickle"')(data)
    assert look(folder, Index(RecordStore(data))) != good
    changed("reader", READER - 1)(data)
    later = Index(RecordStore(data))
    assert later.known_fingerprints(path) == prints
    assert look(folder, later) == good


# -- hashes and fingerprints ---------------------------------------------------------------------------------------
def test_the_hash_is_that_of_the_hash_store(folder: Path, data: Path) -> None:
    path = vae(folder / "a.safetensors")
    hashes = HashStore(RecordStore(data))
    one = Index(RecordStore(data), hashes)
    assert look(folder, one)["a.safetensors"].sha256 is None
    hashes.compute(path)
    assert look(folder, one)["a.safetensors"].sha256 == sha256(path)
    assert look(folder, Index(RecordStore(data)))["a.safetensors"].sha256 == sha256(path)


def test_fingerprints_are_taken_once(folder: Path, data: Path) -> None:
    path = vae(folder / "a.safetensors")
    taken: list[Path] = []

    def taking(path: Path, **_: object) -> Fingerprints:
        taken.append(path)
        return PRINTS

    one = Index(RecordStore(data), taking=taking)
    assert one.known_fingerprints(path) is None
    assert one.fingerprints_of(path) == one.fingerprints_of(path) == PRINTS
    assert look(folder, one)["a.safetensors"].fingerprints == PRINTS
    later = Index(RecordStore(data), taking=taking)
    assert look(folder, later)["a.safetensors"].fingerprints == later.fingerprints_of(path) == PRINTS
    assert taken == [path]
    path.write_bytes(b"other")
    assert later.known_fingerprints(path) is None
    assert look(folder, later)["a.safetensors"].fingerprints is None


def test_the_real_ones(folder: Path) -> None:
    one = Index()
    same = [one.fingerprints_of(vae(folder / name, 3)) for name in ("a.safetensors", "b.safetensors")]
    other = one.fingerprints_of(vae(folder / "c.safetensors", 4))
    assert same[0] == same[1] != other
    seen: list[tuple[int, int]] = []
    one.fingerprints_of(vae(folder / "d.safetensors"), report=lambda done, total: seen.append((done, total)))
    assert seen
    assert seen[-1][0] == seen[-1][1]


def test_of_what_is_no_vae_there_is_none(folder: Path) -> None:
    path = safetensors(folder / "a.safetensors", {"x": (1,)})
    with pytest.raises(NotFoundError):
        Index().fingerprints_of(path)


def test_a_file_that_is_written_to_meanwhile_stays_unknown(folder: Path, data: Path) -> None:
    path = vae(folder / "a.safetensors")

    def taking(path: Path, **_: object) -> Fingerprints:
        path.write_bytes(b"other")
        return PRINTS

    one = Index(RecordStore(data), taking=taking)
    one.fingerprints_of(path)
    assert one.known_fingerprints(path) is None


def test_what_is_known_goes_along(folder: Path, data: Path, opened: list[str]) -> None:
    path = vae(folder / "a.safetensors")
    hashes = HashStore(RecordStore(data))
    one = Index(RecordStore(data), hashes, taking=lambda path, **_: PRINTS)
    look(folder, one)
    hashes.compute(path)
    one.fingerprints_of(path)
    before = identity_of(path)
    assert before is not None
    opened.clear()
    target = path.rename(folder / "b.safetensors")
    one.carry(before, target)
    hashes.carry(before, target)
    [file] = look(folder, Index(RecordStore(data))).values()
    assert (file.sha256, file.fingerprints, opened) == (sha256(target), PRINTS, [])


def test_nothing_goes_along_to_a_file_of_another_size(folder: Path, data: Path) -> None:
    path, other = vae(folder / "a.safetensors"), folder / "b.safetensors"
    other.write_bytes(b"other")
    hashes = HashStore(RecordStore(data))
    one = Index(RecordStore(data), hashes, taking=lambda path, **_: PRINTS)
    hashes.compute(path)
    one.fingerprints_of(path)
    before = identity_of(path)
    assert before is not None
    one.carry(before, other)
    hashes.carry(before, other)
    assert (one.known_fingerprints(other), hashes.known(other)) == (None, None)


def test_a_problems_sentence_names_the_file_as_it_is_called_now(folder: Path, data: Path) -> None:
    path = folder / "a.safetensors"
    path.write_text("<html>sign in</html>")
    one = Index(RecordStore(data))
    look(folder, one)
    before = identity_of(path)
    assert before is not None
    one.carry(before, path.rename(folder / "b.safetensors"))
    assert str(look(folder, one)["b.safetensors"].problem).startswith("b.safetensors is")


# -- several at once -----------------------------------------------------------------------------------------------
def test_threads_lose_nothing(folder: Path, data: Path) -> None:
    paths = [vae(folder / f"{number}.safetensors", number) for number in range(12)]
    one = Index(RecordStore(data))
    threads = [threading.Thread(target=one.fingerprints_of, args=(path,)) for path in paths]
    threads += [threading.Thread(target=look, args=(folder, one)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    later = look(folder, Index(RecordStore(data)))
    assert len(later) == 12
    assert all(file.fingerprints is not None for file in later.values())


def test_what_two_find_out_comes_together(folder: Path, data: Path) -> None:
    """As two processes do: each has read the file before the other wrote."""
    paths = [vae(folder / f"{name}.safetensors") for name in "ab"]
    one, two = (Index(RecordStore(data), taking=lambda path, **_: PRINTS) for _ in range(2))
    for path in paths:
        assert one.known_fingerprints(path) is two.known_fingerprints(path) is None
    for path in paths:
        one.fingerprints_of(path)
    two.inspect_all(scan([Folder(folder)])[:1])
    assert [Index(RecordStore(data)).known_fingerprints(path) for path in paths] == [PRINTS, PRINTS]
    assert remembered(data) == [str(path) for path in paths]


def test_two_processes_never_tear_the_file(folder: Path, data: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.library.vaes import vae, look;"
        "from vae_manager.library.index import Index; from vae_manager.records import RecordStore\n"
        "folder, data, own = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]\n"
        "for number in range(30):\n"
        "    vae(folder / own / f'{number}.safetensors'); look(folder / own, Index(RecordStore(data)))\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", script, str(folder), str(data)]
    running = [subprocess.Popen([*command, own], cwd=root) for own in ("a", "b")]
    while any(process.poll() is None for process in running):
        if (data / DATABASE).exists():
            assert sql(data, "PRAGMA quick_check") == [("ok",)]
        time.sleep(0.01)
    assert [process.returncode for process in running] == [0, 0]
    assert len(look(folder, Index(RecordStore(data)))) == 60
    assert [path.name for path in data.iterdir()] == [DATABASE]


# -- time ----------------------------------------------------------------------------------------------------------
def test_a_thousand_known_files_are_little_work(folder: Path, data: Path) -> None:
    """bench/library.py measures the time."""
    first = vae(folder / "0.safetensors").read_bytes()
    for number in range(1, 1000):
        (folder / f"{number}.safetensors").write_bytes(first)
    files = scan([Folder(folder)])
    assert len(Index(RecordStore(data)).inspect_all(files)) == 1000
    known: list[int] = []
    called = calls(lambda: known.append(len(Index(RecordStore(data)).inspect_all(files))))
    assert known == [1000]
    assert called < 250 * 1000


def test_an_error_of_the_disk_is_passed_on(folder: Path) -> None:
    (folder / "a.safetensors").mkdir()
    with pytest.raises(DiskError):
        Index().fingerprints_of(folder / "a.safetensors")


@POSIX
def test_bytes_that_were_exchanged_under_the_old_time_are_looked_at_anew(folder: Path, data: Path) -> None:
    path = vae(folder / "a.safetensors")
    look(folder, Index(RecordStore(data)))
    before = path.stat()
    path.write_bytes(b"x" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert look(folder, Index(RecordStore(data)))["a.safetensors"].container == "unknown"
