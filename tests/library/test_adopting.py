"""Adopting a file from anywhere: looked at first, proven, under a name that the WebUI lists."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.failing import fails_with
from tests.files.samples import diffusers, ldm, safetensors
from tests.files.torch_files import write_zip
from vae_manager.errors import (
    FileChangedError,
    NameTakenError,
    RefusedError,
    UsageError,
)
from vae_manager.files.disk import rename_new
from vae_manager.library import operations
from vae_manager.library.moving import How, adopt, rename

from .vaes import POSIX, put, tree, vae


def test_a_copy(folder: Path, tmp_path: Path) -> None:
    source = vae(tmp_path / "downloads" / "diffusion_pytorch_model.safetensors", 3)
    put(source.parent, "diffusion_pytorch_model.json")
    target = adopt(source, folder / "new", name="mine")
    assert target == folder / "new" / "mine.safetensors"
    assert target.read_bytes() == source.read_bytes()
    assert not target.samefile(source)
    assert tree(folder) == ["new", "new/mine.safetensors"]


def test_moved_in(folder: Path, tmp_path: Path) -> None:
    source = vae(tmp_path / "downloads" / "a.safetensors")
    put(source.parent, "a.png")
    adopt(source, folder, "move", "b")
    assert (tree(folder), tree(source.parent)) == (["b.png", "b.safetensors"], [])


@POSIX
def test_a_second_name_for_the_same_bytes(linked: Path, folder: Path, tmp_path: Path) -> None:
    target = adopt(linked, folder / "more", "link", "b")
    assert not target.is_symlink()
    assert target.samefile(tmp_path / "store" / "blob.safetensors")


def test_no_second_name_on_another_file_system(folder: Path, far: Path) -> None:
    with fails_with(RefusedError, "no-links"):
        adopt(vae(far / "a.safetensors"), folder, "link")
    assert tree(folder) == []


@pytest.mark.parametrize("how", ["copy", "move", "link"])
def test_adopting_overwrites_nothing(folder: Path, tmp_path: Path, how: str) -> None:
    source, there = vae(tmp_path / "a.safetensors", 1), vae(folder / "a.safetensors", 2)
    before = there.read_bytes()
    with pytest.raises(NameTakenError):
        adopt(source, folder, how)  # type: ignore[arg-type]
    assert there.read_bytes() == before
    assert (source.exists(), tree(folder)) == (True, ["a.safetensors"])


def test_a_copy_whose_name_is_taken_at_the_last_moment(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(source: Path, target: Path) -> None:
        target.write_bytes(b"theirs")
        rename_new(source, target)

    monkeypatch.setattr(operations, "rename_new", late)
    with pytest.raises(NameTakenError):
        adopt(vae(tmp_path / "a.safetensors"), folder)
    assert tree(folder) == ["a.safetensors"]
    assert (folder / "a.safetensors").read_bytes() == b"theirs"


def test_a_source_that_is_written_to_meanwhile(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = vae(tmp_path / "a.safetensors")
    monkeypatch.setattr(shutil, "copystat", lambda *_: source.write_bytes(b"new"))
    with pytest.raises(FileChangedError, match="Try again"):
        adopt(source, folder)
    assert tree(folder) == []


def test_a_file_with_a_problem_stays_where_it_is(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "page.safetensors").write_text("<html>sign in</html>")
    with fails_with(RefusedError, "web-page"):
        adopt(tmp_path / "page.safetensors", folder, "move")
    assert (tmp_path / "page.safetensors").exists()


def test_one_that_can_be_converted(folder: Path, tmp_path: Path) -> None:
    source = safetensors(tmp_path / "a.safetensors", diffusers())
    with pytest.raises(RefusedError, match=r"is a diffusers file\..*Convert it"):
        adopt(source, folder)
    prefixed = safetensors(tmp_path / "b.safetensors", ldm(prefix="first_stage_model."))
    with pytest.raises(RefusedError, match="Convert it"):
        adopt(prefixed, folder)
    assert tree(folder) == []


def test_a_name_that_the_webui_would_not_list(folder: Path, tmp_path: Path) -> None:
    with fails_with(UsageError, "unlisted-extension"):
        adopt(vae(tmp_path / "model.zip"), folder)
    source = vae(tmp_path / "model.bin")
    with fails_with(RefusedError, "wrong-extension"):
        adopt(source, folder)
    with fails_with(RefusedError, "wrong-extension"):
        adopt(source, folder, name="model.pt")
    assert adopt(source, folder, name="model.safetensors").name == "model.safetensors"


@pytest.mark.parametrize("name", ["ae.sft", "ae.SFT", "ae.SAFETENSORS"])
@pytest.mark.parametrize("how", ["copy", "move", "link"])
def test_a_suffix_of_another_program_becomes_one_that_is_listed(
    folder: Path, tmp_path: Path, name: str, how: How
) -> None:
    adopt(vae(tmp_path / name), folder, how)
    assert tree(folder) == ["ae.safetensors"]


def test_pickles_of_another_program_become_listed(folder: Path, tmp_path: Path) -> None:
    assert adopt(write_zip(tmp_path / "a.pth", ldm()), folder).name == "a.pt"
    assert adopt(write_zip(tmp_path / "b.bin", ldm()), folder).name == "b.pt"


@pytest.mark.parametrize(
    "name", ["../out.safetensors", "nul.safetensors", ".hidden.safetensors", "a\u202eb.safetensors"]
)
def test_hostile_names_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    source = vae(tmp_path / "a.safetensors")
    with fails_with(RefusedError, "bad-file-name"):
        adopt(source, folder, name=name)
    assert tree(tmp_path) == ["VAE", "a.safetensors"]


@POSIX
def test_a_hostile_name_on_disk_can_be_mended(folder: Path) -> None:
    path = vae(folder / "-rf <b>\n.safetensors")
    assert rename(path, "good").name == "good.safetensors"
    undecodable = vae(folder / os.fsdecode(b"\xff\xfe.safetensors"))
    assert rename(undecodable, "better").exists()


def test_a_wrong_ending_is_mended_by_another_name(folder: Path, tmp_path: Path) -> None:
    source = write_zip(tmp_path / "a.safetensors", ldm())
    with pytest.raises(RefusedError, match=r"has to end with \.ckpt"):
        adopt(source, folder)
    assert adopt(source, folder, name="a.ckpt").name == "a.ckpt"
