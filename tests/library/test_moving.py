"""To another folder, of this file system or another one: proven, stoppable, and as before when it fails."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from tests.failing import fails_with
from vae_manager.errors import (
    Cancelled,
    DiskError,
    FileChangedError,
    IntegrityError,
    NameTakenError,
    NotFoundError,
)
from vae_manager.files import sha256_of
from vae_manager.library import operations
from vae_manager.library.moving import adopt, move, rename

from .vaes import POSIX, put, sha256, tree, vae


# -- another folder ----------------------------------------------------------------------------------------------------
def test_to_another_folder_that_is_made(folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    target = move(path, folder / "deep" / "er")
    assert (target, tree(folder)) == (folder / "deep/er/a.safetensors", ["deep", "deep/er", "deep/er/a.safetensors"])
    assert move(target, folder / "deep" / "er") == target


def test_to_a_folder_that_is_a_file(folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    put(folder, "file")
    for place in (folder / "file", folder / "file" / "deep"):
        with fails_with(DiskError, "not-a-folder"):
            move(path, place)
    assert tree(folder) == ["a.safetensors", "file"]


def test_what_is_not_there_or_is_no_file(folder: Path) -> None:
    with pytest.raises(NotFoundError):
        move(folder / "a.safetensors", folder / "more")
    with fails_with(DiskError, "not-a-file"):
        move(folder, folder / "more")
    assert tree(folder) == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_without_permission(folder: Path, tmp_path: Path) -> None:
    path = vae(folder / "a.safetensors")
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o500)
    with pytest.raises(DiskError, match="no permission"):
        move(path, shut)
    folder.chmod(0o500)
    with pytest.raises(DiskError, match="no permission"):
        move(path, tmp_path)
    folder.chmod(0o700)
    assert tree(folder) == ["a.safetensors"]


def test_to_another_file_system(folder: Path, far: Path) -> None:
    path = vae(folder / "a.safetensors", 5)
    put(folder, "a.png")
    before, time_of_it = sha256(path), path.stat().st_mtime_ns
    seen: list[tuple[int, int]] = []
    target = move(path, far, report=lambda done, total: seen.append((done, total)))
    assert tree(folder) == []
    assert tree(far) == ["a.png", "a.safetensors"]
    assert (sha256(target), target.stat().st_mtime_ns) == (before, time_of_it)
    assert (target.stat().st_size,) * 2 in seen


def test_there_nothing_is_overwritten_either(folder: Path, far: Path) -> None:
    path, other = vae(folder / "a.safetensors", 1), vae(far / "a.safetensors", 2)
    before = other.read_bytes()
    with pytest.raises(NameTakenError):
        move(path, far)
    assert other.read_bytes() == before
    assert (tree(folder), tree(far)) == (["a.safetensors"], ["a.safetensors"])


def test_stopped_on_the_way(folder: Path, far: Path) -> None:
    path = vae(folder / "a.safetensors")
    stop = threading.Event()
    stop.set()
    with fails_with(Cancelled, "copy-stopped"):
        move(path, far, stop=stop)
    assert (tree(folder), tree(far)) == (["a.safetensors"], [])


def test_a_disk_that_is_full_on_the_way(folder: Path, far: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = vae(folder / "a.safetensors")

    def fsync(_: int) -> None:  # where a full disk often says so
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with fails_with(DiskError, "disk-full"):
        move(path, far)
    assert (tree(folder), tree(far)) == (["a.safetensors"], [])


def test_a_disk_that_gives_back_other_bytes(folder: Path, far: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = vae(folder / "a.safetensors")

    def flipping(copy: Path, **options: object) -> str:
        copy.write_bytes(copy.read_bytes()[:-1] + b"x")
        return sha256_of(copy)

    monkeypatch.setattr(operations, "sha256_of", flipping)
    with fails_with(IntegrityError, "disk-gave-other-bytes"):
        move(path, far)
    assert (tree(folder), tree(far)) == (["a.safetensors"], [])


def test_a_source_that_is_written_to_meanwhile(folder: Path, far: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = vae(folder / "a.safetensors")

    def writing(copy: Path, **options: object) -> str:
        path.write_bytes(b"new")
        return sha256_of(copy)

    monkeypatch.setattr(operations, "sha256_of", writing)
    with pytest.raises(FileChangedError, match="Try again"):
        move(path, far)
    assert (tree(folder), tree(far), path.read_bytes()) == (["a.safetensors"], [], b"new")


def test_half_copies_of_killed_processes_are_swept(folder: Path, tmp_path: Path) -> None:
    left, alive = folder / ".0123.vae-manager.writing", folder / ".4567.vae-manager.writing"
    put(folder, left.name, alive.name)
    with alive.open("rb") as held:
        fcntl = pytest.importorskip("fcntl")
        fcntl.flock(held, fcntl.LOCK_EX)
        adopt(vae(tmp_path / "a.safetensors"), folder)
        assert tree(folder) == [alive.name, "a.safetensors"]
    adopt(vae(tmp_path / "b.safetensors"), folder)
    assert tree(folder) == ["a.safetensors", "b.safetensors"]


# -- links -------------------------------------------------------------------------------------------------------------
@POSIX
def test_a_link_is_renamed_and_what_it_leads_to_stays(linked: Path, tmp_path: Path) -> None:
    target = rename(linked, "b")
    assert target.is_symlink()
    assert str(target.readlink()) == "../store/blob.safetensors"
    assert tree(tmp_path) == ["VAE", "VAE/b.safetensors", "store", "store/blob.safetensors"]


@POSIX
@pytest.mark.parametrize("how", ["move", "adopt"])
def test_a_link_that_moves_leads_to_the_same_file(linked: Path, tmp_path: Path, how: str) -> None:
    deep = tmp_path / "deep" / "er"
    target = move(linked, deep) if how == "move" else adopt(linked, deep, "move")
    assert target.is_symlink()
    assert target.samefile(tmp_path / "store" / "blob.safetensors")
    assert not linked.is_symlink()


@POSIX
def test_a_link_to_nothing_can_be_renamed(folder: Path) -> None:
    link = folder / "a.safetensors"
    link.symlink_to("nothing")
    assert rename(link, "b").is_symlink()


@POSIX
def test_a_link_to_another_file_system(linked: Path, far: Path) -> None:
    target = move(linked, far)
    assert target.is_symlink()
    assert target.read_bytes()
