"""Renaming: nothing is overwritten, nothing is half done, and what belongs together stays so."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.failing import fails_with
from vae_manager.errors import (
    NameTakenError,
    RefusedError,
    VaeManagerError,
)
from vae_manager.files import Identity
from vae_manager.files.disk import rename_new
from vae_manager.library import Folder, operations, scan
from vae_manager.library.index import Index
from vae_manager.library.moving import LibraryContext, adopt, move, rename
from vae_manager.library.trash import remove
from vae_manager.records import HashStore, RecordStore

from .vaes import POSIX, WindowsLike, blind_to_capitals, look, put, sha256, tree, vae, with_links_alone, without_links


# -- another name ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("links", [True, False])
def test_a_file_gets_another_name(folder: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        without_links(monkeypatch)
    path = vae(folder / "a.safetensors", 7)
    before, status = path.read_bytes(), path.stat()
    target = rename(path, "b.safetensors")
    assert (target, tree(folder)) == (folder / "b.safetensors", ["b.safetensors"])
    assert target.read_bytes() == before
    assert (target.stat().st_ino, target.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)


@pytest.mark.parametrize(("old", "name", "new"), [
    ("a.safetensors", "b", "b.safetensors"),
    ("a.safetensors", "v1.5", "v1.5.safetensors"),
    ("a.vae.safetensors", "b", "b.vae.safetensors"),
    ("a.vae.safetensors", "b.safetensors", "b.safetensors"),
    ("a.ckpt", "肌 {0} ✨", "肌 {0} ✨.ckpt"),
    ("a.pt", "b.ckpt", "b.ckpt"),
])  # fmt: skip
def test_the_ending_stays(folder: Path, old: str, name: str, new: str) -> None:
    path = folder / old
    vae(path) if old.endswith(".safetensors") else path.write_bytes(b"\x80\x02}q\x00.")
    assert rename(path, name).name == new
    assert tree(folder) == [new]


def test_spaces_around_a_name_are_left_out(folder: Path) -> None:
    assert rename(vae(folder / "a.safetensors"), " b.safetensors ").name == "b.safetensors"


@pytest.mark.parametrize(
    "name", ["../b", "sub/b", "C:\\b", "nul", ".b", "-b", "b\n", "", " ", "x" * 250, "b\x00", ".."]
)
def test_names_that_lead_elsewhere_or_nowhere(folder: Path, name: str) -> None:
    path = vae(folder / "a.safetensors")
    with fails_with(RefusedError, "bad-file-name"):
        rename(path, f"{name}.safetensors" if name not in ("", "..") else f"{name}/.safetensors")
    assert tree(folder.parent) == ["VAE", "VAE/a.safetensors"]


def test_a_name_that_does_not_suit_what_is_inside(folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    with fails_with(RefusedError, "wrong-extension", ending=".safetensors"):
        rename(path, "b.ckpt")
    wrong = path.rename(folder / "a.ckpt")
    assert rename(wrong, "a.safetensors").name == "a.safetensors"


def test_its_own_name(folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    assert rename(path, "a") == path
    assert tree(folder) == ["a.safetensors"]


def test_other_capitals(folder: Path) -> None:
    assert rename(vae(folder / "a.safetensors"), "A").name == "A.safetensors"
    assert tree(folder) == ["A.safetensors"]


@POSIX
@pytest.mark.parametrize("kind", [Path, WindowsLike])
def test_other_capitals_where_the_disk_sees_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Path]
) -> None:
    """Its own name is not in its way, nor are those of its small files. macOS, and Windows with its paths."""
    blind_to_capitals(monkeypatch)
    path = kind(vae(folder / "a.safetensors"))
    put(folder, "a.png", "a.civitai.info", "b.png")
    assert str(rename(path, "A")) == str(folder / "A.safetensors")
    assert tree(folder) == ["A.civitai.info", "A.png", "A.safetensors", "b.png"]
    with pytest.raises(NameTakenError, match=r"B\.png"):
        rename(kind(folder / "A.safetensors"), "B")
    assert tree(folder) == ["A.civitai.info", "A.png", "A.safetensors", "b.png"]


@POSIX
def test_a_link_with_other_capitals_there(linked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blind_to_capitals(monkeypatch)
    target = rename(linked, "A")
    assert tree(linked.parent) == ["A.safetensors"]
    assert str(target.readlink()) == "../store/blob.safetensors"


@POSIX
def test_two_links_whose_names_differ_in_capitals_stay_two(folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    os.link(path, folder / "A.safetensors")
    if len(tree(folder)) == 1:
        pytest.skip("this disk sees no difference")
    with pytest.raises(NameTakenError):
        rename(path, "A")
    assert tree(folder) == ["A.safetensors", "a.safetensors"]


@pytest.mark.parametrize("links", [True, False])
def test_what_is_there_is_never_overwritten(folder: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    if not links:
        without_links(monkeypatch)
    one, two = vae(folder / "a.safetensors", 1), vae(folder / "b.safetensors", 2)
    before = one.read_bytes(), two.read_bytes()
    with fails_with(NameTakenError, "name-taken", file="b.safetensors"):
        rename(one, "b")
    assert (one.read_bytes(), two.read_bytes()) == before


def test_a_link_to_nothing_is_not_overwritten_either(folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    (folder / "b.safetensors").symlink_to("nothing")
    with pytest.raises(NameTakenError):
        rename(path, "b")
    assert (folder / "b.safetensors").is_symlink()


@pytest.mark.parametrize("links", [True, False])
def test_a_target_that_appears_at_the_last_moment(folder: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    """Between the check and the deed somebody else puts a file there."""
    if not links:
        without_links(monkeypatch)
    path = vae(folder / "a.safetensors")

    def late(source: Path, target: Path) -> None:
        target.write_bytes(b"theirs")
        rename_new(source, target)

    monkeypatch.setattr(operations, "rename_new", late)
    with pytest.raises(NameTakenError):
        rename(path, "b")
    assert (folder / "b.safetensors").read_bytes() == b"theirs"
    assert path.exists()


@POSIX
def test_of_many_that_want_one_name_one_gets_it(folder: Path) -> None:
    """Real processes, at the same moment; every file is still there afterwards."""
    script = (
        "import sys, time; from pathlib import Path; from vae_manager.library.moving import rename\n"
        "from vae_manager.errors import NameTakenError\n"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()))\n"
        "try: rename(Path(sys.argv[1]), 'z')\n"
        "except NameTakenError: sys.exit(7)\n"
    )
    paths = [vae(folder / f"{number}.safetensors", number) for number in range(6)]
    contents = sorted(path.read_bytes() for path in paths)
    start = str(time.time() + 1.5)
    command = [sys.executable, "-c", script]
    running = [subprocess.Popen([*command, str(path), start], cwd=Path(__file__).parents[2]) for path in paths]
    assert sorted(process.wait() for process in running) == [0, 7, 7, 7, 7, 7]
    assert len(tree(folder)) == 6
    assert "z.safetensors" in tree(folder)
    assert sorted(path.read_bytes() for path in folder.iterdir()) == contents


# -- the rest of the library -------------------------------------------------------------------------------------------
def around(*folders: Folder, in_use: Callable[[Path], bool] = lambda path: False) -> LibraryContext:
    return LibraryContext(scan(folders), folders, in_use)


def test_a_name_that_another_folder_has_already(folder: Path, tmp_path: Path) -> None:
    path, other = vae(folder / "a.safetensors"), vae(tmp_path / "more" / "b.safetensors")
    library = around(Folder(folder), Folder(other.parent))
    with fails_with(NameTakenError, "name-listed-elsewhere") as raised:
        rename(path, "b", library)
    assert str(other) in str(raised.value)
    with pytest.raises(NameTakenError):
        adopt(vae(tmp_path / "b.safetensors"), folder, "copy", None, library)
    with pytest.raises(NameTakenError):
        adopt(path, other.parent, "link", None, library)
    assert rename(path, "c", library) == folder / "c.safetensors"


def test_a_file_in_use(folder: Path, tmp_path: Path) -> None:
    path = vae(folder / "a.safetensors")
    library = around(Folder(folder), in_use=lambda other: other == path)
    acts: list[Callable[[], Path]] = [
        lambda: rename(path, "b", library),
        lambda: move(path, tmp_path / "more", library),
        lambda: adopt(path, tmp_path / "more", "move", None, library),
    ]
    for act in acts:
        with pytest.raises(RefusedError, match=r"a\.safetensors is in use\. Choose another VAE first"):
            act()
    assert tree(tmp_path) == ["VAE", "VAE/a.safetensors"]
    assert adopt(path, tmp_path / "more", "copy", "b", library).exists()


def test_among_checkpoints_the_ending_is_another(tmp_path: Path) -> None:
    checkpoints, vaes = Folder(tmp_path / "sd", "checkpoints"), Folder(tmp_path / "sd" / "vae")
    path = vae(checkpoints.path / "a.vae.safetensors")
    library = LibraryContext(folders=(checkpoints, vaes))
    with pytest.raises(RefusedError, match=r"has to end with \.vae\.safetensors"):
        rename(path, "b.safetensors", library)
    path = rename(path, "b", library)
    assert path.name == "b.vae.safetensors"
    path = rename(move(path, vaes.path, library), "c.safetensors", library)
    with pytest.raises(RefusedError, match="Among checkpoints"):
        move(path, checkpoints.path, library)
    assert tree(vaes.path) == ["c.safetensors"]


def test_what_is_known_goes_along(folder: Path, tmp_path: Path) -> None:
    hashes = HashStore(RecordStore(tmp_path))
    index = Index(RecordStore(tmp_path / "data"), hashes)
    path = vae(folder / "a.safetensors")
    hashes.compute(path)
    prints = index.fingerprints_of(path)
    library = LibraryContext(memories=(hashes, index))
    acts: list[Callable[[Path], Path]] = [
        lambda path: rename(path, "b", library),
        lambda path: move(path, tmp_path / "more", library),
        lambda path: adopt(path, tmp_path / "third", "copy", "c", library),
    ]
    for act in acts:
        path = act(path)
        [known] = look(path.parent, index).values()
        assert (known.sha256, known.fingerprints) == (sha256(path), prints)


@dataclass
class Recording:
    """A memory that only listens."""

    told: list[tuple[str, Path]] = field(default_factory=list)

    def carry(self, before: Identity, after: Path) -> None:
        self.told.append((before.path, after))


def test_memories_hear_of_what_has_happened_and_of_nothing_else(folder: Path, tmp_path: Path) -> None:
    path, recording = vae(folder / "a.safetensors"), Recording()
    vae(folder / "b.safetensors")
    library = LibraryContext(memories=(recording,))
    with pytest.raises(VaeManagerError):
        rename(path, "b", library)
    assert recording.told == []
    target = rename(path, "c", library)
    assert recording.told == [(str(path), target)]


# -- what belongs to it ------------------------------------------------------------------------------------------------
SMALL = ("a.png", "a.preview.png", "a.json", "a.txt", "a.civitai.info")


def test_its_small_files_go_along(folder: Path, tmp_path: Path) -> None:
    path = vae(folder / "a.safetensors")
    put(folder, *SMALL, "a.yaml", "ab.png", "a.safetensors.txt")
    path = rename(path, "b")
    left = ["a.safetensors.txt", "a.yaml", "ab.png"]
    assert tree(folder) == sorted([*left, "b.safetensors", *(name.replace("a", "b", 1) for name in SMALL)])
    assert (folder / "b.preview.png").read_text() == "a.preview.png"
    move(path, tmp_path / "more")
    assert tree(folder) == left
    assert len(tree(tmp_path / "more")) == 6


def test_what_two_share_stays_with_the_other(folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    put(folder, "a.ckpt", "a.png")
    rename(path, "b")
    assert tree(folder) == ["a.ckpt", "a.png", "b.safetensors"]
    put(folder, "a.preview.pt", "a.preview.png")
    rename(folder / "a.ckpt", "c")
    assert tree(folder) == ["a.preview.png", "a.preview.pt", "b.safetensors", "c.ckpt", "c.png"]


def test_a_small_file_in_the_way_stops_all(folder: Path) -> None:
    path = vae(folder / "a.safetensors")
    put(folder, "a.png", "a.txt", "b.txt")
    with pytest.raises(NameTakenError, match=r"b\.txt"):
        rename(path, "b")
    assert tree(folder) == ["a.png", "a.safetensors", "a.txt", "b.txt"]
    assert (folder / "b.txt").read_text() == "b.txt"


def test_one_that_appears_half_way_puts_all_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = vae(folder / "a.safetensors")
    put(folder, "a.png", "a.txt")

    def late(source: Path, target: Path) -> None:
        if target.name == "b.txt":
            put(folder, "b.txt")
        rename_new(source, target)

    monkeypatch.setattr(operations, "rename_new", late)
    with pytest.raises(NameTakenError):
        rename(path, "b")
    assert tree(folder) == ["a.png", "a.safetensors", "a.txt", "b.txt"]


@POSIX
@pytest.mark.parametrize("act", ["rename", "link", "remove"])
def test_what_is_known_holds_for_the_other_names_of_the_file_too(folder: Path, tmp_path: Path, act: str) -> None:
    """To give a file a name, or to take one away, changes it under each of its names."""
    hashes = HashStore(RecordStore(tmp_path))
    path, twin = vae(folder / "a.safetensors"), folder / "twin.safetensors"
    os.link(path, twin)
    for name in (path, twin):
        hashes.compute(name)
    around = LibraryContext(scan([Folder(folder)]), [Folder(folder)], memories=(hashes,))
    if act == "rename":
        rename(path, "b", around)
    elif act == "link":
        adopt(path, tmp_path / "more", "link", "c", around)
    else:
        remove(path, tmp_path / "trash", around)
    left = [file.path for file in scan([Folder(folder), Folder(tmp_path / "more"), Folder(tmp_path / "trash")])]
    assert len(left) == (3 if act == "link" else 2)
    assert {hashes.known(file) for file in left} == {sha256(twin)}


@POSIX
@pytest.mark.parametrize("act", ["rename", "move", "adopt"])
def test_with_links_alone(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    with_links_alone(monkeypatch)
    path, taken = vae(folder / "a.safetensors", 1), vae(folder / "more" / "a.safetensors", 2)
    before = taken.read_bytes()
    with pytest.raises(NameTakenError):
        move(path, taken.parent)
    assert taken.read_bytes() == before
    target = {
        "rename": lambda: rename(path, "b"),
        "move": lambda: move(path, tmp_path / "other"),
        "adopt": lambda: adopt(path, tmp_path / "other"),
    }[act]()
    assert (sha256(target), target.stat().st_nlink) == (sha256(vae(tmp_path / "same", 1)), 1)
