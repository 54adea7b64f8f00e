"""Recovery of operations that another process has left half done, and of files that are not notes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vae_manager.errors import DiskError, NameTakenError
from vae_manager.files import disk, identity_of
from vae_manager.library import operations as notes
from vae_manager.library.moving import LibraryContext, rename
from vae_manager.library.operations import Intent, Journal
from vae_manager.library.trash import recover, remove, removed, restore
from vae_manager.messages import Message
from vae_manager.records import HashStore, RecordStore

from .vaes import POSIX, note_of, put, sha256, tree, vae


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "data")


def settled(journal: Journal, *memories: HashStore) -> list[Message]:
    told: list[Message] = []
    recover(journal, lambda: memories, told.append)
    return told


def renaming(folder: Path, *endings: str) -> Intent:
    names = [(f"a{ending}", f"b{ending}") for ending in (".safetensors", *endings)]
    return Intent("move", tuple((folder / old, folder / new) for old, new in names))


# -- while it goes on --------------------------------------------------------------------------------------------------
def test_a_note_is_there_as_long_as_the_operation(folder: Path, journal: Journal) -> None:
    path = vae(folder / "a.safetensors")
    with journal.noted(renaming(folder)):
        assert [note.suffix for note in journal.folder.iterdir()] == [".json"]
        path.rename(folder / "b.safetensors")
    assert not journal.folder.exists()


@POSIX
def test_what_a_living_process_does_is_left_alone(folder: Path, journal: Journal) -> None:
    vae(folder / "a.safetensors")
    put(folder, "a.png")
    with journal.noted(renaming(folder, ".png")):
        (folder / "a.safetensors").rename(folder / "b.safetensors")
        script = (
            "import sys; from pathlib import Path; from vae_manager.library.operations import Journal\n"
            "from vae_manager.library.trash import recover\n"
            "recover(Journal(Path(sys.argv[1])), tuple, print)"
        )
        done = subprocess.run([sys.executable, "-c", script, str(journal.data)], capture_output=True, check=True)
        assert done.stdout == b""
        assert tree(folder) == ["a.png", "b.safetensors"]
        (folder / "a.png").rename(folder / "b.png")


def test_one_that_fails_and_is_taken_back_leaves_no_note(folder: Path, journal: Journal) -> None:
    path = vae(folder / "a.safetensors")
    vae(folder / "b.safetensors", 1)
    with pytest.raises(NameTakenError):
        rename(path, "b", LibraryContext(journal=journal))
    assert not journal.folder.exists()


def test_without_a_place_for_the_note_nothing_is_touched(folder: Path, tmp_path: Path) -> None:
    path = vae(folder / "a.safetensors")
    put(tmp_path, "file")
    with pytest.raises(DiskError):
        rename(path, "b", LibraryContext(journal=Journal(tmp_path / "file")))
    assert tree(folder) == ["a.safetensors"]


# -- half done ---------------------------------------------------------------------------------------------------------
def test_what_belongs_to_a_file_follows_it(folder: Path, journal: Journal) -> None:
    vae(folder / "b.safetensors")
    put(folder, "a.png", "a.json")
    note_of(journal, renaming(folder, ".png", ".json"))
    assert len(settled(journal)) == 1
    assert tree(folder) == ["b.json", "b.png", "b.safetensors"]
    assert not journal.folder.exists()
    assert settled(journal) == []


def test_what_went_ahead_of_its_file_comes_back(folder: Path, journal: Journal) -> None:
    vae(folder / "a.safetensors")
    put(folder, "b.png")
    note_of(journal, renaming(folder, ".png"))
    assert len(settled(journal)) == 1
    assert tree(folder) == ["a.png", "a.safetensors"]


def test_nothing_had_begun(folder: Path, journal: Journal) -> None:
    vae(folder / "a.safetensors")
    note_of(journal, renaming(folder))
    assert settled(journal) == []
    assert tree(folder) == ["a.safetensors"]


@POSIX
@pytest.mark.parametrize("twin", [os.link, lambda old, new: new.write_bytes(old.read_bytes())])
def test_two_names_become_one(folder: Path, journal: Journal, twin: Callable[[Path, Path], object]) -> None:
    path = vae(folder / "a.safetensors")
    twin(path, folder / "b.safetensors")
    put(folder, "a.png")
    note_of(journal, renaming(folder, ".png"))
    settled(journal)
    assert tree(folder) == ["b.png", "b.safetensors"]


def test_somebody_elses_file_under_the_new_name_stays_and_so_does_ours(folder: Path, journal: Journal) -> None:
    before = [vae(folder / "a.safetensors", 1).read_bytes(), vae(folder / "b.safetensors", 2).read_bytes()]
    note_of(journal, renaming(folder))
    settled(journal)
    assert [(folder / name).read_bytes() for name in tree(folder)] == before


def test_what_is_known_of_the_file_goes_along(folder: Path, journal: Journal, tmp_path: Path) -> None:
    path, hashes = vae(folder / "a.safetensors"), HashStore(RecordStore(tmp_path))
    hashes.compute(path)
    before = identity_of(path)
    assert before is not None
    path.rename(folder / "b.safetensors")
    pairs = renaming(folder).pairs
    note_of(journal, Intent("move", pairs, known=((before, folder / "b.safetensors"),)))
    settled(journal, hashes)
    assert hashes.known(folder / "b.safetensors") == sha256(folder / "b.safetensors")


@POSIX
def test_a_file_that_is_back_but_has_kept_its_place_in_the_trash(folder: Path, tmp_path: Path) -> None:
    """Recreate a state that versions without notes could leave."""
    path = vae(folder / "a.safetensors")
    put(folder, "a.png")
    gone = remove(path, tmp_path / "trash")
    assert gone.place is not None
    os.link(gone.place / "files" / "a.safetensors", path)
    assert restore(removed(tmp_path / "trash")[0]) == path
    assert (tree(folder), tree(tmp_path / "trash")) == (["a.png", "a.safetensors"], [])


# -- files that are not notes ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("content", [
    b"", b"[]", b"{" * 100_000, b"[" * 100_000, b'{"version": 1}', b"\xff\xfe", b" " * (notes.MAX_NOTE_BYTES + 1),
])  # fmt: skip
def test_one_that_makes_no_sense_is_kept_aside(journal: Journal, content: bytes) -> None:
    journal.folder.mkdir(parents=True)
    (journal.folder / "x.json").write_bytes(content)
    assert len(settled(journal)) == 1
    assert (journal.folder / "x.json.set-aside").read_bytes() == content
    assert settled(journal) == []


@POSIX
@pytest.mark.parametrize("make", [
    os.mkfifo,
    Path.mkdir,
    lambda path: path.symlink_to(path.name),
    lambda path: path.symlink_to("/mnt/not there"),
    lambda path: path.symlink_to("/dev/zero"),
], ids=["pipe", "folder", "circle", "link to nowhere", "device"])  # fmt: skip
def test_one_that_is_no_file_is_kept_aside(journal: Journal, make: Callable[[Path], object]) -> None:
    """Opening a pipe would block forever, with a lock for which each page waits."""
    journal.folder.mkdir(parents=True)
    (journal.folder / "x.json.set-aside").write_bytes(b"an earlier one")
    make(journal.folder / "x.json")
    assert len(settled(journal)) == 1
    assert not os.path.lexists(journal.folder / "x.json")
    assert os.path.lexists(journal.folder / "x.json.set-aside1")
    assert (journal.folder / "x.json.set-aside").read_bytes() == b"an earlier one"
    assert settled(journal) == []


@pytest.mark.parametrize("path", ["/a\0/x.safetensors", "/\ud800/x.safetensors", f"/{'a' * 300}/x.safetensors", ""])
def test_one_with_a_path_that_no_system_has_is_kept_aside(journal: Journal, path: str) -> None:
    journal.folder.mkdir(parents=True)
    for number, pairs in enumerate(([[path, "/b/x.safetensors"]], [["/b/x.safetensors", path]])):
        note = journal.folder / f"{number}.json"
        note.write_text(json.dumps({"version": 1, "kind": "move", "pairs": pairs, "place": None, "known": []}))
        assert len(settled(journal)) == 1
        assert note.with_name(note.name + ".set-aside").exists()


def test_one_that_names_other_files_than_those_of_a_vae_moves_none(
    folder: Path, journal: Journal, tmp_path: Path
) -> None:
    """Ignore a note that may have come with a folder of models."""
    vae(folder / "b.safetensors")
    put(tmp_path, "secret", "removed.json")
    vaes = [str(folder / "a.safetensors"), str(folder / "b.safetensors")]
    more: dict[str, Any]
    for more in (
        {"pairs": [vaes, [str(tmp_path / "secret"), str(folder / "b.png")]]},
        {"pairs": [vaes, [str(folder / "secret"), str(folder / "b.png")]]},
        {"place": str(tmp_path)},
        {"place": str(journal.data / ".." / "VAE")},
        {"pairs": []},
        {"kind": "erase"},
        {"known": [["/x", 1, 2, 3, "4", "/y"]]},
    ):  # fmt: skip
        note = note_of(journal, renaming(folder))
        note.write_text(json.dumps({**json.loads(note.read_text()), **more}))
        settled(journal)
        assert note.with_name(note.name + ".set-aside").exists(), more
    assert (tmp_path / "secret").read_text() == "secret"
    assert (tmp_path / "removed.json").exists()


# -- two names of one file ---------------------------------------------------------------------------------------------
@POSIX
def test_two_names_of_one_file_are_told_from_one_name(folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    os.link(path, folder / "b.safetensors")
    vae(folder / "c.safetensors")
    (folder.parent / "same").symlink_to(folder)
    assert disk.are_hard_links(path, folder / "b.safetensors")
    assert not disk.are_hard_links(path, path)
    assert not disk.are_hard_links(path, folder.parent / "same" / "a.safetensors")
    assert not disk.are_hard_links(path, folder / "c.safetensors")
    assert not disk.are_hard_links(path, folder / "d.safetensors")


def test_a_data_folder_that_was_made_for_the_note_alone_goes_with_it(folder: Path, journal: Journal) -> None:
    rename(vae(folder / "a.safetensors"), "b", LibraryContext(journal=journal))
    assert not journal.data.exists()
    journal.data.mkdir()
    rename(folder / "b.safetensors", "a", LibraryContext(journal=journal))
    assert journal.data.is_dir()


@POSIX
def test_one_that_cannot_be_ended_now_stays_and_says_so(
    folder: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    vae(folder / "b.safetensors")
    put(folder, "a.png")
    note = note_of(journal, renaming(folder, ".png"))

    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("vae_manager.library.operations.rename_new", full)
        assert len(settled(journal)) == 1
        assert (tree(folder), note.exists()) == (["a.png", "b.safetensors"], True)
    settled(journal)
    assert (tree(folder), note.exists()) == (["b.png", "b.safetensors"], False)
