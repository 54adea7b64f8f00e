"""Repeated listings: changes are seen, and unchanged files cost almost no time."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.library.vaes import POSIX
from vae_manager.library import Folder, folders, scan
from vae_manager.library.folders import Listing

COUNT = 400
PAST = time.time() - 3600


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "VAE"
    (place / "sub").mkdir(parents=True)
    for number in range(COUNT):
        (place / ("sub" if number % 2 else "") / f"{number:03}.pt").write_bytes(b"x")
    settle(place)
    return place


def settle(place: Path) -> None:
    """Let the folders have changed long ago."""
    for one in [place, *(path for path in place.rglob("*") if path.is_dir())]:
        os.utime(one, (PAST, PAST))


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """One item for each time that the folders were read."""
    seen: list[object] = []
    walk = folders.walk

    def counted(*arguments: object) -> object:
        seen.append(arguments)
        return walk(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(folders, "walk", counted)
    return seen


def names(found: Listing, *folders: Path) -> list[str]:
    return [file.name for file in found.files([Folder(folder) for folder in folders])]


def test_unchanged_folders_are_read_once(folder: Path, scans: list[object]) -> None:
    found, expected = Listing(), scan([Folder(folder)])
    scans.clear()
    first = found.files([Folder(folder)])
    assert first == expected
    for _ in range(50):
        assert found.files([Folder(folder)]) is first
    assert len(scans) == 1


def _add(folder: Path) -> None:
    (folder / "new.pt").write_bytes(b"x")


def _add_below(folder: Path) -> None:
    (folder / "sub" / "new.pt").write_bytes(b"x")


def _remove(folder: Path) -> None:
    (folder / "000.pt").unlink()


def _replace(folder: Path) -> None:
    (folder / "y.pt").write_bytes(b"xyz")
    (folder / "y.pt").replace(folder / "000.pt")


def _rename(folder: Path) -> None:
    (folder / "000.pt").rename(folder / "zzz.pt")


def _move_away(folder: Path) -> None:
    shutil.move(folder / "sub", folder.parent / "gone")


def _other_root(folder: Path) -> None:
    folder.rename(folder.with_name("old"))
    folder.mkdir()


@pytest.mark.parametrize("change", [_add, _add_below, _remove, _replace, _rename, _move_away, _other_root])
def test_change_of_a_folder_is_seen_at_the_next_look(folder: Path, change: Callable[[Path], None]) -> None:
    found = Listing()
    found.files([Folder(folder)])
    change(folder)
    assert found.files([Folder(folder)]) == scan([Folder(folder)])


def test_two_changes_within_one_tick_of_the_clock_are_seen(folder: Path) -> None:
    """See a second change within a tick: a young folder time is not relied on."""
    found = Listing()
    _add(folder)
    found.files([Folder(folder)])
    then = folder.stat()
    (folder / "newer.pt").write_bytes(b"x")
    os.utime(folder, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert "newer.pt" in names(found, folder)


@pytest.mark.parametrize("is_slow", [False, True])
def test_file_that_is_written_to_in_place_is_seen_some_looks_later(
    folder: Path, is_slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_slow:  # a disk that answers about a few files in the time that there is
        monkeypatch.setattr(folders, "CHECK_SECONDS", 0.0)
    found = Listing()
    found.files([Folder(folder)])
    for name in ("000.pt", f"{COUNT - 2:03}.pt"):
        with (folder / name).open("ab") as file:
            file.write(b"more")
        for _ in range(COUNT // folders.AT_ONCE + 1):
            sizes = {file.name: file.size for file in found.files([Folder(folder)])}
        assert sizes[name] == 5


@POSIX
def test_link_that_leads_somewhere_again_is_seen(folder: Path) -> None:
    target = folder.parent / "elsewhere.pt"
    (folder / "link.pt").symlink_to(target)
    settle(folder)
    found = Listing()
    assert "link.pt" not in names(found, folder)
    target.write_bytes(b"x")
    assert "link.pt" in names(found, folder)
    target.unlink()
    for _ in range(COUNT // folders.AT_ONCE + 1):
        now = names(found, folder)
    assert "link.pt" not in now


def test_folder_that_comes_later_and_other_folders(folder: Path) -> None:
    found, other = Listing(), folder.with_name("other")
    assert len(names(found, folder, other)) == COUNT
    other.mkdir()
    (other / "there.pt").write_bytes(b"x")
    assert "there.pt" in names(found, folder, other)
    assert names(found, other) == ["there.pt"]


def test_few_files_are_listed_at_each_look(tmp_path: Path, scans: list[object]) -> None:
    (tmp_path / "a.pt").write_bytes(b"x")
    settle(tmp_path)
    found = Listing()
    first = found.files([Folder(tmp_path)])
    (tmp_path / "a.pt").write_bytes(b"in place")
    assert found.files([Folder(tmp_path)]) != first
    assert len(scans) == 2
