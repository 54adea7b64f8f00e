"""The list of the trash is right at each moment of a removal, also one of another process."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.library.vaes import vae
from vae_manager.library import trash
from vae_manager.library.folders import YOUNG_NS
from vae_manager.library.moving import ALONE
from vae_manager.maintenance import RemovedFiles


@pytest.fixture
def removed(tmp_path: Path) -> RemovedFiles:
    return RemovedFiles(tmp_path / "trash")


def age(folder: Path) -> None:
    """Set all folders' times back beyond the age at which they count as settled."""
    long_ago = time.time_ns() - 10 * YOUNG_NS
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, ns=(long_ago, long_ago))


@pytest.mark.parametrize("step", ["files", "note"])
def test_look_in_the_middle_of_a_removal(
    removed: RemovedFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A look sees the new folder without its note, or without its file, and the trash itself changes no more."""
    file = vae(tmp_path / "a.safetensors")
    looks: list[int] = []

    def looking(work: str) -> None:
        before = getattr(trash, work)

        def look_first(*arguments: object) -> None:
            age(tmp_path / "trash")
            looks.append(len(removed.all()))
            before(*arguments)

        monkeypatch.setattr(trash, work, look_first)

    looking({"files": "move_all", "note": "replace_file"}[step])
    gone = removed.remove(file, ALONE)
    assert looks == [0]
    assert [one.names for one, _ in removed.all()] == [gone.names]
    assert gone.place is not None
    assert removed.restore(gone.place.name, ALONE) == file


def test_removal_by_another_process(removed: RemovedFiles, tmp_path: Path) -> None:
    trash.remove(vae(tmp_path / "a.safetensors"), tmp_path / "trash")
    age(tmp_path / "trash")
    assert len(removed.all()) == 1
    gone = trash.remove(vae(tmp_path / "b.safetensors"), tmp_path / "trash")
    assert {one.file.name for one, _ in removed.all()} == {"a.safetensors", "b.safetensors"}
    assert gone.place is not None
    trash.empty(tmp_path / "trash")
    assert removed.all() == ()


def test_settled_trash_is_read_once(removed: RemovedFiles, tmp_path: Path) -> None:
    trash.remove(vae(tmp_path / "a.safetensors"), tmp_path / "trash")
    young = removed.all()
    assert removed.all() is young
    age(tmp_path / "trash")
    known = removed.all()
    assert removed.all() is known is young
