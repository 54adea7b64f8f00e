"""Files that were removed, and can come back.

Where Send2Trash is installed, they go to the system's trash, and come back by its means. Else they lie in a folder of
our own until somebody empties it:

    <trash>/20261125-031500-a.safetensors/removed.json     where they were
                                          files/           a.safetensors, a.preview.png, …
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import NotFoundError, RefusedError, VaeManagerError
from ..files import identity_of
from ..files.headers import disk_error
from ..files.json_text import finite, parse_json, path_of
from ..files.state_file import UNREADABLE, DamagedError, bytes_of, report_damage
from ..files.writing import replace_text
from ..sentences import say
from . import placing
from .moving import ALONE, Surroundings, carry, check_free, move_all
from .placing import Report
from .sidecars import sidecars_of

__all__ = ["Removed", "empty", "remove", "removed", "undo"]

NOTE: Final = "removed.json"
LONGEST: Final = 50
"""Characters of a file's name in that of its folder: 200 bytes at most, whatever they are."""


@dataclass(frozen=True)
class Removed:
    """A file that was removed."""

    file: Path
    """Where it was."""
    names: tuple[str, ...]
    """Of the file, and of those that belong to it."""
    removed_at: float
    """Seconds since 1970."""
    place: Path | None
    """Its folder in our own trash; None: it is in the system's."""

    @property
    def size(self) -> int:
        """Bytes that emptying the trash frees; 0 for the system's."""
        if self.place is None:
            return 0
        return sum(path.lstat().st_size for path in (self.place / "files").iterdir())


def remove(file: Path, trash: Path, around: Surroundings = ALONE, *, report: Report | None = None,
           stop: threading.Event | None = None) -> Removed:  # fmt: skip
    """Put `file`, and the small files that belong to it, into the trash; `trash` is made where it is needed.

    A link goes alone: what it leads to stays. Raises RefusedError for a file in use, NotFoundError, DiskError, and
    Cancelled where a trash on another file system takes its time.
    """
    check_free(file, around)
    files = [file, *(path for path, _ in sidecars_of(file))]
    names = tuple(path.name for path in files)
    # A link means something only to who knows where it stood, so it always goes to our own.
    if not file.is_symlink() and _sent(files):
        return Removed(file.absolute(), names, time.time(), None)
    before = identity_of(file)
    gone = Removed(file.absolute(), names, time.time(), _make_place(file, trash))
    assert gone.place is not None
    inside = gone.place / "files"
    try:
        inside.mkdir()
        # The note first: whenever the process ends, what lies in the trash says where it belongs.
        replace_text(gone.place / NOTE, _to_json(gone))
        move_all(((path, inside / path.name) for path in files), report, stop)
    except OSError as error:
        _tidy(gone.place)
        raise placing.write_error(trash, error) from error
    except VaeManagerError:
        _tidy(gone.place)
        raise
    carry(before, inside / file.name, around)
    return gone


def undo(gone: Removed, around: Surroundings = ALONE, *, report: Report | None = None,
         stop: threading.Event | None = None) -> Path:  # fmt: skip
    """Bring it back to where it was; returns that. Nothing is overwritten there.

    Raises RefusedError for what is in the system's trash, NameTakenError, NotFoundError, DiskError, Cancelled.
    """
    if gone.place is None:
        raise RefusedError(
            say("{file} is in the system's trash. Bring it back from there.", file=gone.file.name)
        )
    inside = gone.place / "files"
    before = identity_of(inside / gone.file.name)
    here = [name for name in gone.names if (inside / name).is_symlink() or (inside / name).exists()]
    if gone.file.name not in here:
        raise NotFoundError(say("{file} is no longer in the trash.", file=gone.file.name))
    try:
        gone.file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise placing.write_error(gone.file.parent, error) from error
    move_all(((inside / name, gone.file.with_name(name)) for name in here), report, stop)
    carry(before, gone.file, around)
    _tidy(gone.place)
    return gone.file


def removed(trash: Path) -> Sequence[Removed]:
    """What is in our own trash, the newest first. What cannot be read is left out."""
    try:
        places = list(trash.iterdir())
    except OSError:
        return ()
    found = [gone for place in places if (gone := _read(place)) is not None]
    return sorted(found, key=lambda gone: gone.removed_at, reverse=True)


def empty(trash: Path) -> int:
    """Delete for good all that is in our own trash; returns how many bytes became free."""
    freed = 0
    for gone in removed(trash):
        assert gone.place is not None
        size = gone.size
        try:
            shutil.rmtree(gone.place)
        except OSError as error:
            raise disk_error(gone.place, error) from error
        freed += size
    return freed


def _sent(files: Sequence[Path]) -> bool:
    """Whether the system's trash took them: the VAE at least, which is the first."""
    try:
        from send2trash import send2trash
    except ImportError:
        return False
    try:
        for path in files:
            send2trash(str(path))
    except OSError:  # no trash on that disk, or no permission: ours takes what is left
        return not files[0].exists()
    return True


def _make_place(file: Path, trash: Path) -> Path:
    """A new folder in the trash. Two that are removed in one second do not share one."""
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{file.name[:LONGEST]}"
    try:
        trash.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            place = trash / (stem if number == 1 else f"{stem}-{number}")
            with suppress(FileExistsError):
                place.mkdir()
                return place
    except OSError as error:
        raise placing.write_error(trash, error) from error
    raise placing.name_taken(trash / stem)


def _tidy(place: Path) -> None:
    """Remove the folder of what has come back; one with something in it stays."""
    inside = place / "files"
    with suppress(OSError):
        if inside.is_dir():
            inside.rmdir()
        (place / NOTE).unlink(missing_ok=True)
        place.rmdir()


def _to_json(gone: Removed) -> str:
    return json.dumps({"file": str(gone.file), "names": gone.names, "removed_at": gone.removed_at})


def _read(place: Path) -> Removed | None:
    """None for what is no folder of ours, or has lost its file."""
    try:
        note, _ = bytes_of(place / NOTE)
        if note is None:
            return None
        data: Any = parse_json(note)
        file, names = path_of(data["file"]), tuple(_name(name) for name in data["names"])
        gone = Removed(file, names, finite(data["removed_at"]), place)
        time.localtime(gone.removed_at)
    except (DamagedError, *UNREADABLE):
        report_damage(
            place / NOTE,
            say("{file} cannot be read, so what lies beside it cannot be taken back from here. It stays where it is.",
                file=place / NOTE),
        )  # fmt: skip
        return None
    is_whole = file.is_absolute() and file.name in names and os.path.lexists(place / "files" / file.name)
    return gone if is_whole else None


def _name(value: object) -> str:
    """The base name of a file. Raises `ValueError` for what leads elsewhere."""
    name = path_of(value).name
    if name != value or name in ("", ".", ".."):
        raise ValueError("no name")
    return name
