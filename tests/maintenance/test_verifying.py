"""Verification of a file by the background work, and what is remembered after it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.library.vaes import rot, sha256, vae
from vae_manager.catalogue import Catalogue, load
from vae_manager.jobs import JobContext
from vae_manager.library import Folder, scan
from vae_manager.library.inspection_cache import InspectionCache, Stores
from vae_manager.library.verification import Outcome, Reference, Verification
from vae_manager.maintenance import verify_all
from vae_manager.records.verdict import A1111, Refused, verdict


class Meanwhile(JobContext):
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
        catalogue: Catalogue = load()
        self._stores = Stores(root, lambda: catalogue)
        self.hashes, self.index = self._stores.hashes, self._stores.index
        self.references: dict[Path, Reference] = {}

    def verify(self, meanwhile: Callable[[], object] = lambda: None) -> Verification:
        """Verify it."""
        found: list[Verification] = []
        files = scan([Folder(self.path.parent)])
        handle = Meanwhile(meanwhile)
        verify_all(
            files,
            self._stores,
            InspectionCache(self._stores),
            lambda _, verification: found.append(verification),
            handle,
            of_paths=self.references,
        )
        [verification] = found
        return verification

    def rot(self) -> None:
        rot(self.path, self.hashes)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.mark.parametrize("is_known", [True, False])
def test_a_good_file(shelf: Shelf, is_known: bool) -> None:
    if is_known:
        shelf.hashes.compute(shelf.path)
    assert shelf.verify().outcome is (Outcome.VERIFIED if is_known else Outcome.UNVERIFIED)
    assert shelf.verify().outcome is Outcome.VERIFIED
    assert shelf.hashes.known(shelf.path) == sha256(shelf.path)


@pytest.mark.parametrize("is_known", [True, False])
def test_a_file_that_is_replaced_while_it_is_read(shelf: Shelf, tmp_path: Path, is_known: bool) -> None:
    """The hash of the old bytes does not count for the new file."""
    if is_known:
        shelf.hashes.compute(shelf.path)
    new = vae(tmp_path / "new.safetensors", 2)
    assert shelf.verify(lambda: new.replace(shelf.path)).outcome is Outcome.UNREADABLE
    assert shelf.hashes.known(shelf.path) is None
    assert shelf.verify().outcome is Outcome.UNVERIFIED
    assert shelf.hashes.known(shelf.path) == sha256(shelf.path)


def test_a_file_that_rots_is_reported_each_time(shelf: Shelf) -> None:
    shelf.verify()
    shelf.rot()
    assert [shelf.verify().outcome for _ in range(3)] == [Outcome.CHANGED] * 3
    assert shelf.hashes.known(shelf.path) == sha256(shelf.path), "the hash is that of the present bytes"


def test_bytes_exchanged_under_the_old_mtime_are_reported_each_time(shelf: Shelf) -> None:
    shelf.verify()
    status, content = shelf.path.stat(), bytearray(shelf.path.read_bytes())
    content[-1] ^= 1
    with shelf.path.open("r+b") as file:
        file.write(content)
    os.utime(shelf.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [shelf.verify().outcome for _ in range(2)] == [Outcome.CHANGED] * 2


def test_what_reading_has_shown_becomes_the_verdict(shelf: Shelf) -> None:
    """Else the page would go on to offer the file."""
    content = bytearray(shelf.path.read_bytes())
    content[-4:] = b"\0\0\xc0\x7f"
    shelf.path.write_bytes(content)
    assert shelf.verify().outcome is Outcome.DAMAGED
    [record] = shelf.index.inspect_all(scan([Folder(shelf.path.parent)]))
    answer = verdict(record, A1111)
    assert isinstance(answer, Refused)
    assert answer.reason.code == "nan"


def test_one_that_was_downloaded_again_is_right(shelf: Shelf, tmp_path: Path) -> None:
    shelf.verify()
    shelf.rot()
    assert not shelf.verify().is_right
    vae(tmp_path / "again.safetensors", 1).replace(shelf.path)
    assert shelf.verify().is_right


def test_one_that_was_written_to_is_another_file(shelf: Shelf) -> None:
    shelf.verify()
    vae(shelf.path, 2)
    os.utime(shelf.path, ns=(5, 5))
    assert shelf.verify().outcome is Outcome.UNVERIFIED


def test_one_that_was_delivered_is_compared_with_its_delivery(shelf: Shelf) -> None:
    shelf.references = {shelf.path: Reference(sha256(shelf.path))}
    found = shelf.verify()
    assert (found.outcome, found.reference) == (Outcome.VERIFIED, Reference(sha256(shelf.path)))
    vae(shelf.path, 2)
    os.utime(shelf.path, ns=(5, 5))
    again = [shelf.verify() for _ in range(2)]
    assert [one.outcome for one in again] == [Outcome.CHANGED] * 2
    assert [one.reason.code for one in again if one.reason is not None] == ["other-than-delivered"] * 2


def test_progress_ends_at_the_whole(shelf: Shelf) -> None:
    seen: list[tuple[int, int | None]] = []

    class Recording(JobContext):
        def report(self, phase: str, done: int, total: int | None, kept: int = 0) -> None:
            seen.append((done, total))

    files = scan([Folder(shelf.path.parent)])
    verify_all(files, shelf._stores, InspectionCache(shelf._stores), lambda *_: None, Recording(time.monotonic))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (3 * files[0].size, 3 * files[0].size)
