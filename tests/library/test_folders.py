"""The list must be the WebUI's own: too short hides a file, too long offers one that it cannot find."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import pytest

from tests.failing import has
from vae_manager.library import Folder, VaeFile, collisions, scan
from vae_manager.messages import Message


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def names(files: tuple[VaeFile, ...]) -> list[str]:
    return [file.relative for file in files]


def test_a_vae_folder_with_all_that_is_below_it(tmp_path: Path) -> None:
    put(tmp_path, "a.safetensors", "b.pt", "sub/deep/c.ckpt", "d.vae.pt", "e.txt", "f.pth", "g.safetensors.json")
    files = scan([Folder(tmp_path)])
    assert names(files) == ["a.safetensors", "b.pt", "sub/deep/c.ckpt", "d.vae.pt"]
    first = files[0]
    assert (first.name, first.path, first.folder) == ("a.safetensors", tmp_path / "a.safetensors", Folder(tmp_path))
    assert (first.size, first.mtime_ns) == (13, (tmp_path / "a.safetensors").stat().st_mtime_ns)


def test_only_vaes_beside_checkpoints(tmp_path: Path) -> None:
    put(tmp_path, "model.safetensors", "model.vae.safetensors", "sub/other.vae.pt", "old.vae.ckpt", "vae.pt", "x.ckpt")
    files = scan([Folder(tmp_path, "checkpoints")])
    assert names(files) == ["model.vae.safetensors", "old.vae.ckpt", "sub/other.vae.pt"]


def test_a_transfer_that_is_under_way_is_not_listed(tmp_path: Path) -> None:
    put(tmp_path, "a.safetensors.735e4c3a.part", ".735e.safetensors", "a.safetensors.journal")
    assert scan([Folder(tmp_path)]) == ()


def test_the_order_is_that_of_the_webui(tmp_path: Path) -> None:
    put(tmp_path, "v10.pt", "v2.pt", "B.pt", "a.pt", "sub/C.pt", "²v.pt")
    assert names(scan([Folder(tmp_path)])) == ["a.pt", "B.pt", "sub/C.pt", "v2.pt", "v10.pt", "²v.pt"]


def test_it_finds_what_the_webuis_own_glob_finds(tmp_path: Path) -> None:
    put(
        tmp_path, "a.safetensors", ".hidden/b.pt", ".c.pt", "x.pt/y.pt", "deep/er/z.ckpt", "Upper.PT", "un us ual 名.pt"
    )
    patterns = ("**/*.ckpt", "**/*.pt", "**/*.safetensors")
    theirs = {path for one in patterns for path in glob.iglob(str(tmp_path / one), recursive=True)}  # noqa: PTH207
    assert {str(file.path) for file in scan([Folder(tmp_path)])} == {one for one in theirs if Path(one).is_file()}


def test_several_folders_and_one_that_is_not_there(tmp_path: Path) -> None:
    put(tmp_path, "one/a.pt", "two/b.pt", "file")
    told: list[Message] = []
    folders = [Folder(tmp_path / name) for name in ("one", "none", "two", "file")]
    assert [file.name for file in scan(folders, told.append)] == ["a.pt", "b.pt"]
    assert told == []


def test_a_file_that_two_folders_lead_to_is_there_once(tmp_path: Path) -> None:
    put(tmp_path, "vae/a.vae.pt")
    folders = [Folder(tmp_path, "checkpoints"), Folder(tmp_path / "vae")]
    assert len(scan(folders)) == 1


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    put(tmp_path, "store/a.pt", "store/sub/b.pt", "vae/own.pt")
    (tmp_path / "vae" / "linked").symlink_to(tmp_path / "store", target_is_directory=True)
    (tmp_path / "vae" / "single.pt").symlink_to(tmp_path / "store" / "a.pt")
    (tmp_path / "vae" / "dangling.pt").symlink_to(tmp_path / "nothing.pt")
    assert names(scan([Folder(tmp_path / "vae")])) == ["linked/a.pt", "linked/sub/b.pt", "own.pt", "single.pt"]


def test_links_in_circles_come_to_an_end(tmp_path: Path) -> None:
    put(tmp_path, "a/x.pt", "b/y.pt")
    for here in ("a", "b"):
        for there in ("a", "b", "."):
            (tmp_path / here / f"to {there}").symlink_to(tmp_path / there, target_is_directory=True)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert names(scan([Folder(tmp_path)])) == ["a/x.pt", "b/y.pt"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_folder_that_cannot_be_read_is_told_and_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "open/a.pt", "shut/b.pt")
    real = os.scandir

    def scandir(path: Path) -> object:  # root may read everything, so the system's answer is given here
        if path.name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    told: list[Message] = []
    assert names(scan([Folder(tmp_path)], told.append)) == ["open/a.pt"]
    [message] = told
    assert message.code == "unreadable" and has(message, path=tmp_path / "shut", reason="Permission denied")


def test_collisions_are_of_base_names(tmp_path: Path) -> None:
    put(tmp_path, "one/a.pt", "two/a.pt", "two/b.pt")
    files = scan([Folder(tmp_path / "one"), Folder(tmp_path / "two")])
    clashing = collisions(files)
    assert list(clashing) == ["a.pt"]
    assert {file.path for file in clashing["a.pt"]} == {tmp_path / "one" / "a.pt", tmp_path / "two" / "a.pt"}


def test_links_to_one_file_do_not_collide(tmp_path: Path) -> None:
    put(tmp_path, "one/a.pt")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a.pt").symlink_to(tmp_path / "one" / "a.pt")
    assert collisions(scan([Folder(tmp_path / "one"), Folder(tmp_path / "two")])) == {}
