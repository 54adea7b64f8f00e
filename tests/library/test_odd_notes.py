"""Notes in the wrong place, from elsewhere, or about files that have changed since."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vae_manager.library.moving import ALONE, what_is_known
from vae_manager.library.operations import Intent, Journal
from vae_manager.library.trash import recover
from vae_manager.messages import Message
from vae_manager.records import HashStore, RecordStore

from .vaes import POSIX, note_of, put, tree, vae


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "data")


def settled(journal: Journal) -> list[Message]:
    told: list[Message] = []
    recover(journal, tuple, told.append)
    return told


def moving(file: Path, target: Path, *endings: str, kind: str = "move", place: Path | None = None) -> Intent:
    """The note of an operation, while the VAE is still in its old place."""
    pairs = [(file, target), *((file.with_suffix(ending), target.with_suffix(ending)) for ending in endings)]
    return Intent(kind, tuple(pairs), place, what_is_known(file, target, ALONE))  # type: ignore[arg-type]


def follow_up(folder: Path, journal: Journal) -> None:
    """A plain half-done renaming beside the odd note: it has to be ended all the same."""
    path = vae(folder / "one.safetensors")
    put(folder, "one.png")
    note_of(journal, moving(path, folder / "two.safetensors", ".png"), "ffff.json")
    path.rename(folder / "two.safetensors")


# -- no plain files ----------------------------------------------------------------------------------------------------
@POSIX
@pytest.mark.parametrize("put_there", [
    lambda path: path.mkdir(), lambda path: os.mkfifo(path), lambda path: path.symlink_to(path.name),
    lambda path: path.symlink_to("nowhere"),
])  # fmt: skip
def test_what_is_no_plain_file_is_set_aside(
    folder: Path, journal: Journal, put_there: Callable[[Path], object]
) -> None:
    journal.folder.mkdir(parents=True)
    put_there(journal.folder / "0000.json")
    follow_up(folder, journal)
    script = (  # a process of its own: one that waits for a pipe cannot be stopped otherwise
        "import sys; from pathlib import Path; from vae_manager.library.operations import Journal\n"
        "from vae_manager.library.trash import recover\n"
        "recover(Journal(Path(sys.argv[1])), tuple, lambda told: print('told'))"
    )
    command = [sys.executable, "-c", script, str(journal.data)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert done.stdout.split() == [b"told", b"told"]
    assert tree(folder) == ["two.png", "two.safetensors"]
    assert tree(journal.folder) == ["0000.json.set-aside"]


@POSIX
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_one_that_cannot_be_opened_stays_and_hinders_no_other(
    folder: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A note of another user, such as root's command line beside a user's WebUI."""
    note = note_of(journal, moving(vae(folder / "a.safetensors"), folder / "b.safetensors"), "0000.json")
    follow_up(folder, journal)
    real = os.open

    def refusing(path: str, *more: object, **others: object) -> int:
        if os.fspath(path) == str(note):
            raise OSError(number, os.strerror(number), path)
        return real(path, *more, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refusing)
    assert len(settled(journal)) == 2
    assert tree(folder) == ["a.safetensors", "two.png", "two.safetensors"]
    assert tree(journal.folder) == ["0000.json"]


@POSIX
def test_where_there_are_no_locks_a_note_stays_and_says_so(
    folder: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    follow_up(folder, journal)
    monkeypatch.setattr(fcntl, "flock", flock)
    assert len(settled(journal)) == 1
    assert tree(folder) == ["one.png", "two.safetensors"]
    with journal.noted(moving(vae(folder / "a.safetensors"), folder / "b.safetensors")):
        assert len(settled(journal)) == 1, "this process knows its own"


# -- paths to the data folder ------------------------------------------------------------------------------------------
def removal(folder: Path, journal: Journal) -> None:
    """Cut a removal off after the VAE, under any path of the data folder."""
    path = vae(folder / "a.safetensors")
    put(folder, "a.png")
    place = journal.data.absolute() / "trash" / "p"
    (place / "files").mkdir(parents=True)
    put(place, "removed.json")
    target = place / "files" / "a.safetensors"
    note_of(journal, moving(path, target, ".png", kind="remove", place=place))
    path.rename(target)


def test_the_data_folder_by_a_path_that_goes_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    journal = Journal(Path("..", "VAE", "..", "data"))
    removal(folder, journal)
    assert len(settled(journal)) == 1
    assert tree(folder) == []
    assert (journal.data / "trash" / "p" / "files" / "a.png").exists()


@POSIX
@pytest.mark.parametrize("link", ["data", "data/trash"])
def test_the_data_folder_or_the_trash_through_a_link(folder: Path, tmp_path: Path, link: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "elsewhere")
    removal(folder, Journal(tmp_path / "data"))
    real = Path(os.path.realpath(tmp_path / "data"))
    assert len(settled(Journal(real))) == 1
    assert tree(folder) == []
    assert (real / "trash" / "p" / "files" / "a.png").exists()


# -- files that are away, or others ------------------------------------------------------------------------------------
def test_a_disk_that_is_away_is_waited_for(folder: Path, journal: Journal, tmp_path: Path) -> None:
    path = vae(folder / "a.safetensors")
    put(folder, "a.png")
    away, disk = tmp_path / "away", tmp_path / "disk" / "VAE"
    disk.mkdir(parents=True)
    note_of(journal, moving(path, disk / "a.safetensors", ".png"))
    path.rename(disk / "a.safetensors")
    disk.parent.rename(away)
    assert len(settled(journal)) == 1
    assert tree(folder) == ["a.png"]
    away.rename(disk.parent)
    assert len(settled(journal)) == 1
    assert (tree(folder), tree(disk)) == ([], ["a.png", "a.safetensors"])
    assert not journal.folder.exists()


def test_a_file_that_is_gone_for_good_is_not_waited_for(folder: Path, journal: Journal) -> None:
    path = vae(folder / "a.safetensors")
    put(folder, "a.png")
    note_of(journal, moving(path, folder / "b.safetensors", ".png"))
    path.unlink()
    settled(journal)
    assert (tree(folder), journal.folder.exists()) == (["a.png"], False)


def test_another_file_under_the_old_name_keeps_what_is_beside_it(
    folder: Path, journal: Journal, tmp_path: Path
) -> None:
    """One that was fetched between the kill and the next look."""
    path, there = vae(folder / "a.safetensors"), tmp_path / "there"
    there.mkdir()
    put(folder, "a.json")
    put(there, "a.png")  # has followed already
    note_of(journal, moving(path, there / "a.safetensors", ".png", ".json"))
    path.rename(there / "a.safetensors")
    vae(path, 1, longer="than the first")
    settled(journal)
    assert (tree(folder), tree(there)) == (["a.json", "a.safetensors"], ["a.png", "a.safetensors"])
    assert not journal.folder.exists()


def test_another_file_under_the_new_name_keeps_what_is_beside_it(folder: Path, journal: Journal) -> None:
    path = vae(folder / "a.safetensors")
    put(folder, "a.png")
    note_of(journal, moving(path, folder / "b.safetensors", ".png"))
    (folder / "a.png").unlink()
    vae(folder / "b.safetensors", 1, longer="than the first")
    put(folder, "b.png")
    settled(journal)
    assert tree(folder) == ["a.safetensors", "b.png", "b.safetensors"]


def test_a_copy_that_somebody_has_put_back_stays(folder: Path, journal: Journal) -> None:
    """Find a note that was left after its operation was completed."""
    path = vae(folder / "a.safetensors")
    os.utime(path, (1_000_000_000, 1_000_000_000))
    note_of(journal, moving(path, folder / "b.safetensors"))
    path.rename(folder / "b.safetensors")
    shutil.copyfile(folder / "b.safetensors", path)
    settled(journal)
    assert (tree(folder), journal.folder.exists()) == (["a.safetensors", "b.safetensors"], False)


def test_another_file_of_the_same_size_and_about_the_same_time_is_another(
    folder: Path, journal: Journal, tmp_path: Path
) -> None:
    """Most VAEs have one and the same size, and downloads end side by side."""
    path, hashes = vae(folder / "a.safetensors"), HashStore(RecordStore(tmp_path))
    hashes.compute(path)
    note_of(journal, moving(path, folder / "b.safetensors", ".png"))
    path.rename(tmp_path / "taken away")
    other = vae(folder / "b.safetensors", 1)
    recover(journal, lambda: [hashes], lambda told: None)
    assert hashes.known(other) is None
    note_of(journal, moving((tmp_path / "taken away").rename(path), folder / "b.safetensors", ".png"))
    recover(journal, lambda: [hashes], lambda told: None)
    assert tree(folder) == ["a.safetensors", "b.safetensors"]


def test_other_files_under_both_names_are_left_alone(folder: Path, journal: Journal) -> None:
    path = vae(folder / "a.safetensors")
    note_of(journal, moving(path, folder / "b.safetensors", ".png"))
    path.unlink()
    put(folder, "a.png")
    vae(folder / "b.safetensors", 1, longer="than the first")
    settled(journal)
    assert tree(folder) == ["a.png", "b.safetensors"]


# -- notes from elsewhere ----------------------------------------------------------------------------------------------
def test_a_note_that_was_copied_here_is_set_aside(folder: Path, journal: Journal, tmp_path: Path) -> None:
    """With a data folder from another machine, or with a folder of models from anywhere: it moves no file."""
    away = Journal(tmp_path / "away")
    vae(folder / "x.safetensors")
    put(tmp_path, "config.json")
    pairs = ((folder / "x.safetensors", tmp_path / "config.safetensors"),
             (folder / "x.json", tmp_path / "config.json"))  # fmt: skip
    note_of(away, Intent("move", pairs))
    shutil.copytree(away.data, journal.data)
    assert len(settled(journal)) == 1
    assert (tree(folder), (tmp_path / "config.json").exists()) == (["x.safetensors"], True)
    assert [name for name in tree(journal.folder) if name.endswith(".set-aside")]
    assert settled(journal) == []


def test_a_note_of_a_newer_version_waits_for_it(folder: Path, journal: Journal) -> None:
    note = note_of(journal, moving(vae(folder / "a.safetensors"), folder / "b.safetensors"))
    note.write_text(note.read_text().replace('"version": 1', '"version": 2'))
    assert len(settled(journal)) == 1
    assert (tree(folder), tree(journal.folder)) == (["a.safetensors"], [note.name])
