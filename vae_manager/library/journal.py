"""Notes of what is about to be done to several files, so that an operation that is cut off can be ended or taken back.

    <data>/operations/<16 digits>.json    locked by the process that does it; gone when it is done

The note is on the disk before the first file is touched. `recovery` reads those whose writer is gone.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final, Literal, get_args

from ..files import Identity
from ..files.disk import rename_new, sync, write_error
from ..files.partials import created, lock, write_whole
from ..files.writing import patiently, rename_over, sync_folder
from .sidecars import SIDECARS

__all__ = ["Intent", "Journal", "Kind"]

Kind = Literal["move", "remove", "undo", "send"]
"""To another place, into our trash, back out of it, into the system's trash."""

FOLDER: Final = "operations"
ENDING: Final = ".json"
SET_ASIDE: Final = ".set-aside"
MAX_NOTE_BYTES: Final = 1_000_000
"""Every path as long as a system allows, each character escaped, is less."""
_LOCK_AT: Final = 1 << 30
"""Windows lets nobody read what is locked, so a byte behind the end is."""


@dataclass(frozen=True)
class Intent:
    """One operation: files that change places together."""

    kind: Kind
    pairs: tuple[tuple[Path, Path], ...]
    """From where to where, absolute; the VAE first. Both are the same for the system's trash."""
    place: Path | None = None
    """The folder in our own trash that is filled or emptied by it."""
    known: tuple[tuple[Identity, Path], ...] = ()
    """Files as they were before, and where the same bytes are afterwards."""

    @property
    def is_untouched(self) -> bool:
        """Every file is where it was, so there is nothing to end or to take back."""
        return all(os.path.lexists(source) for source, _ in self.pairs)


@dataclass(frozen=True)
class LeftNote:
    """A note whose writer is gone, locked for as long as it is looked at."""

    path: Path
    intent: Intent | None
    """None where it makes no sense."""
    file: FileIO

    def remove(self) -> None:
        self._let_go()
        patiently(lambda: self.path.unlink(missing_ok=True))

    def set_aside(self) -> Path:
        """Keep it for a person, under a name that is not read again."""
        self._let_go()
        aside = self.path.with_name(self.path.name + SET_ASIDE)
        rename_over(self.path, aside)
        return aside

    def _let_go(self) -> None:
        if sys.platform == "win32":  # there, what is open is neither renamed nor removed
            self.file.close()


class Journal:
    """The notes of one data folder, which is made with the first one."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.folder = data / FOLDER
        self._has_made_data = False

    @contextmanager
    def noted(self, intent: Intent) -> Iterator[None]:
        """Keep a note of `intent` for as long as it is carried out, and longer if it is left half done.

        Raises DiskError where it cannot be written: nothing was touched then.
        """
        note = self.folder / f"{secrets.token_hex(8)}{ENDING}"
        try:
            file = self._write(note, intent)
        except OSError as error:
            raise write_error(self.folder, error) from error
        is_whole = False
        try:
            yield
            is_whole = True
        finally:
            if sys.platform == "win32":  # there, what is open cannot be removed
                file.close()
            if is_whole or intent.is_untouched:
                with suppress(OSError):  # one that stays is found done by `recovery`, and goes then
                    patiently(note.unlink)
            file.close()
            self.tidy()

    def tidy(self) -> None:
        """Remove the folder of the notes, if there are none."""
        with suppress(OSError):
            self.folder.rmdir()
            if self._has_made_data:
                self.data.rmdir()

    def left(self) -> Iterator[LeftNote]:
        """The notes whose writers are gone. What became of each is for the caller to say: it stays, or it goes."""
        try:
            paths = sorted(self.folder.iterdir())
        except OSError:
            return
        for path in (path for path in paths if path.suffix == ENDING):
            with suppress(FileNotFoundError), FileIO(path, "r+b") as file:
                if _lock(file) and os.path.samestat(os.fstat(file.fileno()), path.lstat()):
                    yield LeftNote(path, _from_json(file.read(MAX_NOTE_BYTES + 1), self.data), file)

    def _write(self, note: Path, intent: Intent) -> FileIO:
        for _ in range(3):  # another process may just tidy the folder away
            self._make_folder()
            with suppress(FileNotFoundError):
                hidden, file = created(self.folder)
                break
        else:
            hidden, file = created(self.folder)
        try:
            write_whole(file, _to_json(intent).encode())
            sync(file.fileno())
            if sys.platform == "win32":
                file.close()
            rename_new(hidden, note)
            sync_folder(self.folder)
            if sys.platform == "win32":
                file = FileIO(note, "r+b")
                _lock(file)
        except OSError:
            file.close()
            hidden.unlink(missing_ok=True)
            raise
        return file

    def _make_folder(self) -> None:
        if not self.folder.is_dir():
            self._has_made_data = not self.data.is_dir()
            self.folder.mkdir(parents=True, exist_ok=True)
            sync_folder(self.data)


def _lock(file: FileIO) -> bool:
    """Lock a note until it is closed, or its process ends; False where somebody has the lock, or there are no locks."""
    if sys.platform != "win32":
        return lock(file, wait=False)
    import msvcrt

    try:
        file.seek(_LOCK_AT)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
    except OSError:
        return False
    return True


def _to_json(intent: Intent) -> str:
    return json.dumps(
        {
            "version": 1,
            "kind": intent.kind,
            "pairs": [[str(source), str(target)] for source, target in intent.pairs],
            "place": str(intent.place) if intent.place is not None else None,
            "known": [[*identity, str(after)] for identity, after in intent.known],
        }
    )


def _from_json(raw: bytes, data_folder: Path) -> Intent | None:
    """None for what is no note of ours."""
    try:
        data: Any = json.loads(raw) if len(raw) <= MAX_NOTE_BYTES else None
        place = Path(data["place"]) if data["place"] is not None else None
        intent = Intent(
            data["kind"],
            tuple((Path(source), Path(target)) for source, target in data["pairs"]),
            place,
            tuple((_identity(numbers), Path(after)) for *numbers, after in data["known"]),
        )
        is_ours = data["version"] == 1 and data["kind"] in get_args(Kind) and _is_sound(intent, data_folder)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return intent if is_ours else None


def _identity(values: list[Any]) -> Identity:
    path, *numbers = values
    if not isinstance(path, str) or not all(type(number) is int for number in numbers):
        raise TypeError("no identity")
    return Identity(path, *numbers)


def _is_sound(intent: Intent, data_folder: Path) -> bool:
    """A note can come from anywhere, within a folder of models say: it names one file, and what belongs to that one."""
    (file, target), *others = intent.pairs
    place = intent.place
    return (
        file.is_absolute()
        and target.is_absolute()
        and (place is None or (".." not in place.parts and place.is_relative_to(data_folder.absolute())))
        and all(
            (source.parent, aim.parent) == (file.parent, target.parent)
            and any((source.name, aim.name) == (file.stem + ending, target.stem + ending) for ending in SIDECARS)
            for source, aim in others
        )
    )
