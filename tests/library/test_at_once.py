"""Two processes, or two threads, at work on the same file at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vae_manager.errors import NotFoundError, RefusedError
from vae_manager.library import moving, trash
from vae_manager.library.moving import LibraryContext, adopt, move, rename
from vae_manager.library.operations import Intent, Journal
from vae_manager.library.trash import are_the_same, recover, remove, restore

from .vaes import POSIX, note_of, put, tree, vae

Work = Callable[[Path, Path, LibraryContext], object]

WORKS: dict[str, Work] = {
    "rename": lambda file, data, around: rename(file, "c", around),
    "move": lambda file, data, around: move(file, file.parent.parent / "other", around),
    "adopt": lambda file, data, around: adopt(file, file.parent.parent / "other", "move", library=around),
    "remove": lambda file, data, around: remove(file, data / "trash", around),
}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "data")


def half(folder: Path) -> Intent:
    """A renaming whose VAE has its new name, while its preview is still to follow."""
    path = vae(folder / "a.safetensors")
    put(folder, "a.png")
    path.rename(folder / "b.safetensors")
    return Intent("move", tuple((folder / f"a{end}", folder / f"b{end}") for end in (".safetensors", ".png")))


@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
def test_a_file_that_is_on_its_way_is_left_to_who_moves_it(folder: Path, journal: Journal, work: Work) -> None:
    """Guard against a preview that comes to a name without a VAE."""
    around = LibraryContext(journal=journal)
    with journal.noted(half(folder)):
        with pytest.raises(RefusedError):
            work(folder / "b.safetensors", journal.data, around)
        assert tree(folder) == ["a.png", "b.safetensors"]
        assert len(tree(journal.folder)) == 1
        (folder / "a.png").rename(folder / "b.png")
    work(folder / "b.safetensors", journal.data, around)
    assert tree(folder) in ([], ["c.png", "c.safetensors"])


@POSIX
def test_another_process_sees_it_by_any_path(folder: Path, journal: Journal) -> None:
    (folder.parent / "link").symlink_to(folder)
    script = (
        "import sys; from pathlib import Path; from vae_manager.errors import RefusedError\n"
        "from vae_manager.library.operations import Journal\n"
        "from vae_manager.library.moving import LibraryContext, rename\n"
        "try: rename(Path(sys.argv[1]), 'c', LibraryContext(journal=Journal(Path(sys.argv[2]))))\n"
        "except RefusedError: print('refused')"
    )
    with journal.noted(half(folder)):
        command = [sys.executable, "-c", script, str(folder.parent / "link" / "b.safetensors"), str(journal.data)]
        assert subprocess.run(command, capture_output=True, check=True).stdout.strip() == b"refused"
        (folder / "a.png").rename(folder / "b.png")


def test_what_is_left_half_done_is_ended_first(folder: Path, journal: Journal) -> None:
    """End the operation of a writer that was killed after this one had listed the files."""
    note_of(journal, half(folder))
    with pytest.raises(RefusedError):
        rename(folder / "b.safetensors", "c", LibraryContext(journal=journal))
    recover(journal, tuple, lambda told: None)
    rename(folder / "b.safetensors", "c", LibraryContext(journal=journal))
    assert tree(folder) == ["c.png", "c.safetensors"]


def test_a_note_that_nothing_can_follow_hinders_nobody(folder: Path, journal: Journal) -> None:
    note_of(journal, Intent("move", ((folder / "b.safetensors", folder / "away" / "b.safetensors"),)))
    rename(vae(folder / "a.safetensors"), "b", LibraryContext(journal=journal))
    assert tree(folder) == ["b.safetensors"]


@pytest.mark.parametrize("change", [
    lambda folder: put(folder, "b.png"), lambda folder: (folder / "b.safetensors").rename(folder / "x.safetensors"),
], ids=["a preview comes", "the file goes"])  # fmt: skip
@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
def test_what_has_changed_since_it_was_looked_at(
    folder: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch, work: Work, change: Callable[[Path], object]
) -> None:
    path = vae(folder / "b.safetensors")

    def known(*_: object, **__: object) -> tuple[()]:
        change(folder)
        return ()

    monkeypatch.setattr(moving, "what_is_known", known)
    monkeypatch.setattr(trash, "what_is_known", known)
    with pytest.raises(RefusedError):
        work(path, journal.data, LibraryContext(journal=journal))
    assert tree(folder) in (["b.png", "b.safetensors"], ["x.safetensors"])
    assert not journal.folder.exists()


def test_a_file_that_leaves_the_trash_while_it_is_taken_back(
    folder: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, around = vae(folder / "a.safetensors"), LibraryContext(journal=journal)
    gone = remove(path, journal.data / "trash", around)
    assert gone.place is not None
    vae(path, 1)
    inside = gone.place / "files" / "a.safetensors"

    def compared(one: Path, other: Path) -> bool:
        inside.unlink()
        return are_the_same(one, other)

    monkeypatch.setattr(trash, "are_the_same", compared)
    with pytest.raises(NotFoundError):
        restore(gone, around)
