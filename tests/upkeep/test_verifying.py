"""What a verification says of a file, and what is remembered after it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.library.vaes import rot, sha256, vae
from vae_manager.jobs import Handle
from vae_manager.library import Folder, scan
from vae_manager.library.index import Index
from vae_manager.records import HashStore, RecordStore
from vae_manager.sentences import Sentence
from vae_manager.upkeep import Stores
from vae_manager.upkeep.looks import Looks
from vae_manager.upkeep.work import verify_all


class Meanwhile(Handle):
    """Does something once, as soon as bytes of the file have been read."""

    def __init__(self, deed: Callable[[], object]) -> None:
        super().__init__(time.monotonic)
        self._deed: Callable[[], object] | None = deed

    def report(self, phase: str, done: int, total: int | None, kept: int = 0) -> None:
        super().report(phase, done, total, kept)
        if done and self._deed is not None:
            deed, self._deed = self._deed, None
            deed()


class Shelf:
    """One VAE, and what is known of it."""

    def __init__(self, root: Path) -> None:
        self.path = vae(root / "VAE" / "a.safetensors", 1)
        self.hashes = HashStore(RecordStore(root))
        index = Index(None, self.hashes)

        def unused() -> None:
            raise AssertionError("a verification needs nothing of this")

        self._stores = Stores(lambda: self.hashes, unused, lambda: index, unused, unused, unused, root / "trash")  # type: ignore[arg-type]

    def verify(self, meanwhile: Callable[[], object] = lambda: None) -> Sentence | None:
        """What is wrong with it."""
        found: list[Sentence | None] = []
        files = scan([Folder(self.path.parent)])
        handle = Meanwhile(meanwhile)
        bad = verify_all(
            files, self._stores, Looks(self._stores), lambda _, verdict: found.append(verdict.problem), handle
        )
        [problem] = found
        assert bad == (problem is not None)
        return problem

    def rot(self) -> None:
        rot(self.path, self.hashes)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.mark.parametrize("known", [True, False])
def test_a_good_file(shelf: Shelf, known: bool) -> None:
    if known:
        shelf.hashes.compute(shelf.path)
    assert shelf.verify() is None
    assert shelf.hashes.known(shelf.path) == sha256(shelf.path)


@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_is_replaced_while_it_is_read(shelf: Shelf, tmp_path: Path, known: bool) -> None:
    """The hash of the old bytes is none of the new file."""
    if known:
        shelf.hashes.compute(shelf.path)
    new = vae(tmp_path / "new.safetensors", 2)
    assert "was changed while it was being read. Try again." in str(shelf.verify(lambda: new.replace(shelf.path)))
    assert shelf.hashes.known(shelf.path) is None
    assert shelf.verify() is None
    assert shelf.hashes.known(shelf.path) == sha256(shelf.path)


def test_a_file_that_rots_is_told_of_each_time(shelf: Shelf) -> None:
    shelf.verify()
    shelf.rot()
    for _ in range(3):
        assert "has other bytes than when it was last read" in str(shelf.verify())
    assert shelf.hashes.known(shelf.path) == sha256(shelf.path), "what is said of it is said of the bytes it has"


def test_one_that_was_got_again_is_good(shelf: Shelf, tmp_path: Path) -> None:
    shelf.verify()
    shelf.rot()
    assert shelf.verify() is not None
    vae(tmp_path / "again.safetensors", 1).replace(shelf.path)
    assert shelf.verify() is None


def test_one_that_was_written_to_is_another_file(shelf: Shelf) -> None:
    shelf.verify()
    vae(shelf.path, 2)
    os.utime(shelf.path, ns=(5, 5))
    assert shelf.verify() is None
