"""What is removed can come back, and never over something else."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.failing import fails_with
from vae_manager.errors import Cancelled, DiskError, NameTakenError, NotFoundError, RefusedError, UsageError
from vae_manager.library import trash
from vae_manager.library.moving import LibraryContext
from vae_manager.library.trash import empty, remove, removed, restore
from vae_manager.records import HashStore, RecordStore

from .vaes import POSIX, put, sha256, tree, vae


@pytest.fixture(autouse=True)
def own_trash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a test goes into the trash of who runs it, wherever Send2Trash is installed."""
    monkeypatch.setitem(sys.modules, "send2trash", None)


@pytest.fixture
def bin(tmp_path: Path) -> Path:
    """Our own trash, not there yet."""
    return tmp_path / "data" / "trash"


# -- there and back ------------------------------------------------------------------------------------------------
def test_there_and_back(folder: Path, bin: Path) -> None:
    path = vae(folder / "a.safetensors", 3)
    put(folder, "a.png", "a.civitai.info", "b.png")
    before, size = sha256(path), path.stat().st_size + len("a.pnga.civitai.info")
    gone = remove(path, bin)
    assert tree(folder) == ["b.png"]
    assert (gone.file, set(gone.names)) == (path, {"a.safetensors", "a.png", "a.civitai.info"})
    assert abs(gone.removed_at - time.time()) < 60
    assert gone.size == size
    assert restore(gone) == path
    assert tree(folder) == ["a.civitai.info", "a.png", "a.safetensors", "b.png"]
    assert (sha256(path), tree(bin)) == (before, [])


def test_another_process_finds_it(folder: Path, bin: Path) -> None:
    paths = [vae(folder / name) for name in ("a.safetensors", "肌 {0}.safetensors", "removed.safetensors")]
    put(folder, "removed.json")
    gone = [remove(path, bin) for path in paths]
    assert {one.file for one in removed(bin)} == set(paths)
    assert sorted(removed(bin), key=str) == sorted(gone, key=str)
    for one in removed(bin):
        restore(one)
    assert tree(folder) == sorted(["removed.json", *(path.name for path in paths)])
    assert (folder / "removed.json").read_text() == "removed.json"


def test_a_taken_name_is_not_overwritten_and_a_free_one_is_offered(folder: Path, bin: Path) -> None:
    path = vae(folder / "a.vae.safetensors", 3)
    put(folder, "a.vae.png")
    digest, gone = sha256(path), remove(path, bin)
    vae(path, 4)
    vae(folder / "a-2.vae.safetensors", 5)
    with pytest.raises(NameTakenError) as refused:
        restore(gone)
    assert refused.value.free_name == "a-3.vae.safetensors"
    assert [one.file for one in removed(bin)] == [path]
    new = restore(gone, name="a-3.vae.safetensors")
    assert sha256(new) == digest
    assert tree(folder) == ["a-2.vae.safetensors", "a-3.vae.png", "a-3.vae.safetensors", "a.vae.safetensors"]
    assert removed(bin) == []


def test_what_is_known_follows_to_another_name(folder: Path, bin: Path) -> None:
    path, hashes = vae(folder / "a.safetensors"), HashStore()
    digest = hashes.compute(path)
    around = LibraryContext(memories=[hashes])
    assert hashes.known(restore(remove(path, bin, around), around, name="b.safetensors")) == digest


@pytest.mark.parametrize("name", ["../b.safetensors", "nul.safetensors", "b.pt", ""])
def test_a_name_that_cannot_be_is_refused(folder: Path, bin: Path, name: str) -> None:
    gone = remove(vae(folder / "a.safetensors"), bin)
    with pytest.raises((RefusedError, UsageError)):
        restore(gone, name=name)
    assert [one.file for one in removed(bin)] == [gone.file]


def test_the_newest_comes_first(folder: Path, bin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, moment in enumerate((5.0, 9.0, 7.0)):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        remove(vae(folder / f"{number}.safetensors"), bin)
    assert [gone.file.stem for gone in removed(bin)] == ["1", "2", "0"]


def test_two_of_one_name_in_one_second(folder: Path, bin: Path) -> None:
    path = vae(folder / "a.safetensors", 1)
    content = path.read_bytes()
    first = remove(path, bin)
    second = remove(vae(folder / "a.safetensors", 2), bin)
    assert first.place != second.place
    assert len(removed(bin)) == 2
    restore(first)
    with pytest.raises(NameTakenError):
        restore(second)
    assert (folder / "a.safetensors").read_bytes() == content
    assert [gone.file.name for gone in removed(bin)] == ["a.safetensors"]


def test_coming_back_overwrites_nothing(folder: Path, bin: Path) -> None:
    path = vae(folder / "a.safetensors", 1)
    put(folder, "a.png")
    gone = remove(path, bin)
    (folder / "a.png").write_text("theirs")
    with pytest.raises(NameTakenError, match=r"a\.png"):
        restore(gone)
    assert tree(folder) == ["a.png"]
    assert (folder / "a.png").read_text() == "theirs"
    (folder / "a.png").unlink()
    assert restore(gone) == path
    assert tree(folder) == ["a.png", "a.safetensors"]


def test_its_folder_comes_back_too(folder: Path, bin: Path) -> None:
    path = vae(folder / "deep" / "a.safetensors")
    gone = remove(path, bin)
    (folder / "deep").rmdir()
    assert restore(gone).exists()


def test_once_only(folder: Path, bin: Path) -> None:
    gone = remove(vae(folder / "a.safetensors"), bin)
    restore(gone)
    with fails_with(NotFoundError, "not-in-trash"):
        restore(gone)


def test_across_file_systems(folder: Path, far: Path) -> None:
    path = vae(folder / "a.safetensors", 8)
    before = sha256(path)
    gone = remove(path, far / "trash")
    assert tree(folder) == []
    assert sha256(restore(gone)) == before


def test_what_is_known_of_it_comes_back_too(folder: Path, bin: Path, tmp_path: Path) -> None:
    hashes = HashStore(RecordStore(tmp_path))
    path = vae(folder / "a.safetensors")
    hashes.compute(path)
    library = LibraryContext(memories=(hashes,))
    gone = remove(path, bin, library)
    inside = [path for path in bin.rglob("a.safetensors") if path.is_file()]
    assert hashes.known(inside[0]) == sha256(inside[0])
    assert hashes.known(restore(gone, library)) == sha256(path)


# -- what cannot be ------------------------------------------------------------------------------------------------
def test_a_file_in_use_stays(folder: Path, bin: Path) -> None:
    path = vae(folder / "a.safetensors")
    with fails_with(RefusedError, "file-in-use"):
        remove(path, bin, LibraryContext(in_use=lambda other: other == path))
    assert (tree(folder), bin.exists()) == (["a.safetensors"], False)


def test_what_is_not_there_or_is_no_file(folder: Path, bin: Path) -> None:
    with pytest.raises(NotFoundError):
        remove(folder / "a.safetensors", bin)
    with fails_with(DiskError, "not-a-file"):
        remove(folder, bin)


def test_a_trash_that_cannot_be(folder: Path, tmp_path: Path) -> None:
    path = vae(folder / "a.safetensors")
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "trash"):
        with fails_with(DiskError, "not-a-folder"):
            remove(path, place)
    assert tree(folder) == ["a.safetensors"]


def test_a_failure_on_the_way_leaves_all_as_it_was(folder: Path, far: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = vae(folder / "a.safetensors")

    def fsync(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(DiskError, match="is full"):
        remove(path, far / "trash")
    assert (tree(folder), tree(far)) == (["a.safetensors"], ["trash"])


def test_stopped_on_the_way(folder: Path, far: Path) -> None:
    path = vae(folder / "a.safetensors")
    stop = threading.Event()
    seen: list[tuple[int, int]] = []
    gone = remove(path, far / "trash", report=lambda *count: seen.append(count), stop=stop)
    assert seen[-1] == (gone.size, gone.size)
    stop.set()
    with pytest.raises(Cancelled):
        restore(gone, stop=stop)
    restore(removed(far / "trash")[0])
    with pytest.raises(Cancelled):
        remove(path, far / "trash", stop=stop)
    assert (tree(folder), tree(far)) == (["a.safetensors"], ["trash"])


@POSIX
def test_a_link_goes_alone(linked: Path, bin: Path, tmp_path: Path) -> None:
    gone = remove(linked, bin)
    assert not linked.is_symlink()
    assert tree(tmp_path / "store") == ["blob.safetensors"]
    assert restore(gone).samefile(tmp_path / "store" / "blob.safetensors")


@POSIX
def test_a_link_to_nothing_goes_too(folder: Path, bin: Path) -> None:
    (folder / "a.safetensors").symlink_to("nothing")
    restore(remove(folder / "a.safetensors", bin))
    assert (folder / "a.safetensors").is_symlink()


@POSIX
@pytest.mark.parametrize("name", ["-rf <b>\n.pt", "肌" * 80 + ".pt", os.fsdecode(b"\xff\xfe.pt"), "{x}.pt"])
def test_hostile_names(folder: Path, bin: Path, name: str) -> None:
    (folder / name).write_bytes(b"mine")
    remove(folder / name, bin)
    [gone] = removed(bin)
    assert restore(gone).read_bytes() == b"mine"


# -- looking and emptying ------------------------------------------------------------------------------------------
def test_nothing_is_there_before_something_is_removed(bin: Path) -> None:
    assert (list(removed(bin)), empty(bin), bin.exists()) == ([], 0, False)


def test_it_is_emptied_only_when_asked_and_of_ours_alone(folder: Path, bin: Path) -> None:
    path = vae(folder / "a.safetensors")
    size = path.stat().st_size
    remove(path, bin)
    (bin / "theirs").mkdir()
    put(bin / "theirs", "note")
    assert empty(bin) == size
    assert tree(bin) == ["theirs", "theirs/note"]


def test_what_was_left_half_emptied_is_emptied(folder: Path, bin: Path) -> None:
    put(folder, "a.png", "b.png")
    vae(folder / "b.safetensors")
    for name in ("a", "b"):
        gone = remove(vae(folder / f"{name}.safetensors"), bin)
        assert gone.place is not None
        (gone.place / "files" / f"{name}.safetensors").unlink()
        if name == "b":
            (gone.place / "files" / "b.png").unlink()
            (gone.place / "files").rmdir()
    assert [gone.is_noted for gone in removed(bin)] == [False], "it can still be seen"
    empty(bin)
    assert tree(bin) == []


@pytest.mark.parametrize("damage", [
    lambda note: "",
    lambda note: "[]",
    lambda note: json.dumps({**json.loads(note), "names": ["../../a.safetensors"]}),
    lambda note: json.dumps({**json.loads(note), "names": []}),
    lambda note: json.dumps({**json.loads(note), "file": "a.safetensors"}),
    lambda note: json.dumps({**json.loads(note), "removed_at": 1e300}),
    lambda note: json.dumps({**json.loads(note), "removed_at": "x"}),
])  # fmt: skip
def test_a_note_that_is_damaged(folder: Path, bin: Path, damage: Callable[[str], str]) -> None:
    gone = remove(vae(folder / "a.safetensors"), bin)
    assert gone.place is not None
    note = gone.place / "removed.json"
    note.write_text(damage(note.read_text()))
    [found] = removed(bin)
    assert (found.is_noted, found.file) == (False, gone.place / "files" / "a.safetensors")
    with fails_with(RefusedError, "note-lost"):
        restore(found)
    assert empty(bin) == 0
    assert (gone.place / "files" / "a.safetensors").exists(), "what nobody understands is not deleted"


# -- the system's --------------------------------------------------------------------------------------------------
def stand_in(send: Callable[[str], object]) -> ModuleType:
    module = ModuleType("send2trash")
    module.send2trash = send  # type: ignore[attr-defined]
    return module


def test_the_systems_trash_is_preferred(
    folder: Path, bin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "system").mkdir()
    monkeypatch.setitem(
        sys.modules, "send2trash", stand_in(lambda path: Path(path).rename(tmp_path / "system" / Path(path).name))
    )
    path = vae(folder / "a.safetensors")
    put(folder, "a.png")
    gone = remove(path, bin)
    assert (tree(tmp_path / "system"), tree(folder), bin.exists()) == (["a.png", "a.safetensors"], [], False)
    assert (gone.file, gone.place, gone.size) == (path, None, 0)
    with fails_with(RefusedError, "in-system-trash"):
        restore(gone)


@POSIX
def test_a_link_goes_to_ours(linked: Path, bin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "send2trash", stand_in(lambda path: Path(path).unlink()))
    assert restore(remove(linked, bin)) == linked


def test_where_the_system_has_none_for_that_disk_ours_takes_it(
    folder: Path, bin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(_: str) -> None:
        raise PermissionError(13, "no trash here")

    monkeypatch.setitem(sys.modules, "send2trash", stand_in(send))
    path = vae(folder / "a.safetensors")
    assert restore(remove(path, bin)) == path


@pytest.mark.skipif(importlib.util.find_spec("send2trash") is None, reason="Send2Trash is not installed")
@POSIX
def test_the_real_one(folder: Path, bin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "send2trash")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    path = vae(folder / "a.safetensors")
    put(folder, "a.png")
    assert remove(path, bin).place is None
    assert (tree(folder), bin.exists()) == ([], False)
    assert trash.removed(bin) == ()
    assert sorted(path.name for path in (tmp_path / "xdg" / "Trash" / "files").iterdir()) == ["a.png", "a.safetensors"]
