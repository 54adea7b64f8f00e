"""Operations on files that tests cut off: the files before, the operation itself, and the files expected after.

A scene is whole if its files are those of before or those of after, and no other file is left.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.files.whole_vaes import below, vae, write
from vae_manager.catalogue.entry import LocalSource
from vae_manager.errors import VaeManagerError
from vae_manager.files import sha256_of
from vae_manager.files.conversion import convert
from vae_manager.library import Folder, scan
from vae_manager.library.index import Index
from vae_manager.library.moving import How, LibraryContext, adopt, move, rename
from vae_manager.library.operations import Journal
from vae_manager.library.trash import remove, removed, restore
from vae_manager.maintenance import Recovery
from vae_manager.records import DATABASE, HashStore, RecordStore
from vae_manager.transfer import DownloadRequest, Network, download_file, unfinished

NAME = "a.safetensors"
TREE = Mapping[str, str]
"""SHA-256 by path, of all files except records of known files."""
MEMORIES = (DATABASE, f"{DATABASE}-journal")
_PLACE = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}-")


@dataclass(frozen=True)
class Stage:
    """Folders of one scene; `far` is on another file system if there is one."""

    root: Path
    far: Path
    data_is_far: bool = False

    @property
    def folder(self) -> Path:
        return self.root / "VAE"

    @property
    def data(self) -> Path:
        return (self.far if self.data_is_far else self.root) / "data"

    @property
    def hashes(self) -> HashStore:
        return HashStore(RecordStore(self.data))

    def around(self) -> LibraryContext:
        hashes = self.hashes
        folders = [Folder(self.folder), Folder(self.far / "VAE")]
        memories = (hashes, Index(hashes.records, hashes))
        return LibraryContext(scan(folders), folders, memories=memories, journal=Journal(self.data))

    def recover(self) -> None:
        """Recover as each listing does first."""
        told: list[object] = []
        hashes = self.hashes
        memories = (hashes, Index(hashes.records, hashes))
        Recovery(self.data, lambda: memories, told.append).run([self.folder, self.far / "VAE"])

    def tree(self) -> TREE:
        """Places in the trash have a name of the moment, which is left out."""
        found = {}
        for top, name in ((self.root, "root"), (self.far, "far")):
            for path in top.rglob("*"):
                if path.is_file() and path.name not in MEMORIES:
                    relative = _PLACE.sub("", path.relative_to(top).as_posix())
                    if path.name == "removed.json":
                        found[f"{name}/{relative}"] = "a note"
                    else:
                        assert f"{name}/{relative}" not in found, "two of one removal"
                        found[f"{name}/{relative}"] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found


@dataclass(frozen=True)
class Scene:
    """One operation."""

    name: str
    act: Callable[[Stage], object]
    prepare: Callable[[Stage], object] = lambda stage: None
    """Create further files and earlier changes before the operation."""
    data_is_far: bool = False
    carries: tuple[str, ...] = ()
    """Names of files whose records have to be carried along, for a kill at any time."""
    ways: tuple[str, ...] = ("renameat2", "links", "neither")
    """Methods of `killing.WAYS`."""
    resumes: bool = False
    """The listing leaves a download that can be resumed."""

    def stage(self, root: Path, far: Path) -> Stage:
        """Put everything there."""
        stage = Stage(root, far, self.data_is_far)
        for folder in (stage.folder, far / "VAE", root / "else", stage.data):
            folder.mkdir(parents=True, exist_ok=True)
        write(stage.folder / NAME, vae())
        for ending in (".preview.png", ".json", ".civitai.info"):
            (stage.folder / f"a{ending}").write_text(f"belongs to a{ending}")
        write(root / "else" / "c.safetensors", below("first_stage_model.", vae(seed=1)))
        (root / "else" / "c.png").write_text("belongs to c")
        stage.hashes.compute(stage.folder / NAME)
        self.prepare(stage)
        return stage

    def is_known(self, stage: Stage) -> bool:
        """Check that the SHA-256 of each file of these names is still remembered."""
        found = [path for top in (stage.root, stage.far) for path in top.rglob("*") if path.name in self.carries]
        return all(stage.hashes.known(path) is not None for path in found)


def _deliver(stage: Stage, *, known: bool) -> None:
    source = stage.root / "else" / "c.safetensors"
    order = DownloadRequest((LocalSource(source),), stage.folder, "d.safetensors", sha256_of(source) if known else None)
    download_file(order, network=Network(), report=lambda _: None, stop=threading.Event())


def _undo(stage: Stage) -> None:
    restore(removed(stage.data / "trash")[0], stage.around())


def _remove(stage: Stage) -> None:
    remove(stage.folder / NAME, stage.data / "trash", stage.around())


def _else(stage: Stage) -> Path:
    return stage.root / "else" / "c.safetensors"


def _plain(stage: Stage) -> None:
    """Write a file that can be adopted, which has to be loadable."""
    _else(stage).unlink()
    write(_else(stage), vae(seed=2))
    stage.hashes.compute(_else(stage))


def _rename(stage: Stage) -> None:
    rename(stage.folder / NAME, "b", stage.around())


def _moving(to: Callable[[Stage], Path]) -> Callable[[Stage], object]:
    return lambda stage: move(stage.folder / NAME, to(stage), stage.around())


def _adopting(how: How, to: Callable[[Stage], Path] = lambda stage: stage.folder) -> Callable[[Stage], object]:
    return lambda stage: adopt(_else(stage), to(stage), how, library=stage.around())


OURS = (NAME, "b.safetensors")
THEIRS = ("c.safetensors",)

SCENES = (
    Scene("trash", _remove, carries=OURS),
    Scene("trash to another disk", _remove, data_is_far=True, carries=OURS),
    Scene("undo", _undo, _remove, carries=OURS),
    Scene("undo from another disk", _undo, _remove, data_is_far=True, carries=OURS),
    Scene("rename", _rename, carries=OURS),
    Scene("move", _moving(lambda stage: stage.folder / "deep"), carries=OURS),
    Scene("move to another disk", _moving(lambda stage: stage.far / "VAE"), carries=OURS),
    Scene("adopt by copy", _adopting("copy"), _plain),
    Scene("adopt by move", _adopting("move"), _plain, carries=THEIRS),
    Scene("adopt by move to another disk", _adopting("move", lambda stage: stage.far / "VAE"), _plain, carries=THEIRS),
    Scene("adopt by link", _adopting("link"), _plain, ways=("links",)),
    Scene("convert", lambda stage: convert(_else(stage), stage.folder / "c.safetensors")),
    Scene("download, proven", lambda stage: _deliver(stage, known=True), resumes=True),
    Scene("download, no hash", lambda stage: _deliver(stage, known=False), resumes=True),
)


class Judge:
    """Judge of a scene that was cut off: lists its problems. Each method runs in a separate process."""

    def __init__(self, scene: Scene, before: TREE, after: TREE) -> None:
        self.scene, self.before, self.after = scene, before, after

    def at_once(self, stage: Stage) -> list[str]:
        """Before anybody has looked: every byte is there, and what has a final name is whole."""
        tree = stage.tree()
        there = {*tree.values(), "a note"}
        wrong = [f"lost: {path}" for path, sha256 in self.before.items() if sha256 not in there]
        right = {*self.before.values(), *self.after.values()}
        for path, sha256 in tree.items():
            if "/VAE/" in path and not path.rpartition("/")[2].startswith(".") and sha256 not in right:
                wrong.append(f"wrong under its name: {path}")
        return wrong

    def listed(self, stage: Stage) -> list[str]:
        """After a listing."""
        stage.recover()
        tree = dict(stage.tree())
        if self.scene.resumes:
            kept = [left.path.with_suffix("") for left in unfinished(stage.folder)]
            for path in [*tree]:
                if any(path.startswith(f"root/VAE/{stem.name}.") for stem in kept):
                    del tree[path]
        wrong = []
        if tree not in (self.before, self.after):
            wrong.append(f"half done: {_differences(tree, self.before, self.after)}")
        if self.scene.carries and not wrong and not self.scene.is_known(stage):
            wrong.append("its hash is no longer known")
        return wrong

    def again(self, stage: Stage) -> list[str]:
        """After the same command once more: done now, or refused because it had been done."""
        was_done = stage.tree() == self.after
        try:
            self.scene.act(stage)
        except (VaeManagerError, IndexError) as error:
            if not was_done:
                return [f"refused: {type(error).__name__}: {error}"]
        stage.recover()
        tree = stage.tree()
        return [] if tree == self.after else [f"not done: {_differences(tree, self.before, self.after)}"]


def _differences(tree: TREE, before: TREE, after: TREE) -> str:
    more = {"more than before": tree.keys() - before.keys(), "less than before": before.keys() - tree.keys(),
            "more than after": tree.keys() - after.keys(), "less than after": after.keys() - tree.keys()}  # fmt: skip
    return "; ".join(f"{what}: {sorted(paths)}" for what, paths in more.items() if paths)


def clear(stage: Stage) -> None:
    for top in (stage.root, stage.far):
        shutil.rmtree(top, ignore_errors=True)
    assert not os.path.lexists(stage.root)
