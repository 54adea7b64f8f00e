"""The same VAE twice is seen, whatever its files are called."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.files.samples import ldm, safetensors
from vae_manager.files import FileRecord
from vae_manager.library import Folder, scan
from vae_manager.library.family_evidence import group_by_hash, group_by_weights
from vae_manager.library.index import Index
from vae_manager.records import HashStore

from .vaes import POSIX, look, vae


def learnt(folder: Path) -> dict[str, FileRecord]:
    """The files of a folder, with all that can be known of them."""
    hashes = HashStore()
    index = Index(None, hashes)
    for file in scan([Folder(folder)]):
        hashes.compute(file.path)
        index.fingerprints_of(file.path)
    return look(folder, index)


def names(groups: tuple[tuple[FileRecord, ...], ...]) -> list[list[str]]:
    return [[record.path.as_posix().rpartition("/VAE/")[2] for record in group] for group in groups]


def test_by_weights_and_by_hash(folder: Path) -> None:
    vae(folder / "a.safetensors", 1)
    vae(folder / "b.safetensors", 1, note="other bytes, the same weights")
    vae(folder / "sub" / "c.safetensors", 1)
    vae(folder / "d.safetensors", 2)
    files = learnt(folder)
    assert names(group_by_weights(files.values())) == [["a.safetensors", "b.safetensors", "sub/c.safetensors"]]
    assert names(group_by_hash(files.values())) == [["a.safetensors", "sub/c.safetensors"]]


def test_in_another_layout_under_other_names(folder: Path) -> None:
    safetensors(folder / "a.safetensors", ldm())
    safetensors(folder / "b.safetensors", ldm(prefix="first_stage_model."))
    assert names(group_by_weights(learnt(folder).values())) == [["a.safetensors", "b.safetensors"]]


def test_what_is_not_known_is_no_duplicate(folder: Path) -> None:
    vae(folder / "a.safetensors")
    vae(folder / "b.safetensors")
    files = look(folder).values()
    assert (group_by_weights(files), group_by_hash(files)) == ((), ())


@POSIX
def test_two_names_of_one_file_are_no_duplicates(folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    os.link(path, folder / "b.safetensors")
    (folder / "c.safetensors").symlink_to(path)
    assert group_by_weights(learnt(folder).values()) == ()
    shutil.copy(path, folder / "d.safetensors")
    assert len(group_by_weights(learnt(folder).values())[0]) == 4
