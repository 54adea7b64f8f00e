"""Operations on files that survive a crash: moves that never overwrite, and the journal of larger operations.

A move never overwrites a file under the target name, even if it appears between the check and the move:

    on one file system       link(source, target), which fails if the target exists; then the old name is removed
    without hard links       open(target, "x"), which fails if the target exists; then rename over that empty file
    to another file system   copy into a hidden file beside the target, its SHA-256 compared, then as above;
                             the source is removed last

A link is moved as a link: its target stays in place.

The journal holds a note of each operation on several files, so that an interrupted one is completed or rolled back:

    <data>/operations/<16 digits>.json    locked by the process of the operation; removed at its end

The note is on the disk before the first file is touched. `trash.recover` reads those whose writer is gone. A note has
its own inode number: a note that was copied here, with a data folder or a folder of models, describes files of another
place.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import secrets
import shutil
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, Final, Literal, get_args

from ..errors import Cancelled, DiskError, FileChangedError, IntegrityError, RefusedError
from ..files import Identity, identity_of, sha256_of
from ..files.disk import (
    NO_HARD_LINK_ERRORS,
    check_room,
    create_partial_file,
    name_taken_error,
    partial_file,
    rename_new,
    rename_over,
    retry_while_busy,
    sync,
    sync_folder,
    unlink_old_name,
    write_all,
    write_error,
)
from ..files.headers import disk_error
from ..files.state_file import parse_json, path_of, text
from ..messages import Message, msg
from .folders import SIDECARS

__all__ = [
    "Intent",
    "Journal",
    "Kind",
    "LeftNote",
    "Report",
    "copy",
    "has_system_trash",
    "is_other_case",
    "link",
    "move",
    "name_taken_error",
    "send_to_system_trash",
    "write_error",
]


Report = Callable[[int, int], None]
"""Receives the bytes done and in all."""

CHUNK: Final = 4 << 20


def move(source: Path, target: Path, *, report: Report | None = None, stop: threading.Event | None = None) -> None:
    """Move `source` to `target`; the folder must exist.

    Raises NameTakenError if the target exists, DiskError, and Cancelled during a copy; the files are then unchanged.
    """
    try:
        if is_other_case(source, target):
            source.rename(target)
        elif source.is_symlink():
            _move_link(source, target)
        else:
            _move_file(source, target, report, stop)
    except OSError as error:
        raise _refusal(error, source, target) from error
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def copy(source: Path, target: Path, *, report: Report | None = None, stop: threading.Event | None = None) -> None:
    """Copy the bytes of `source` to `target`, verified by SHA-256. Raises as `move` does."""
    try:
        _copy(source, target, report, stop)
    except OSError as error:
        raise _refusal(error, source, target) from error
    sync_folder(target.parent)


def link(source: Path, target: Path) -> None:
    """Give the bytes of `source` a second name. Raises RefusedError if the disk cannot, otherwise as `move` does."""
    try:
        os.link(os.path.realpath(source), target)
    except FileExistsError:
        raise name_taken_error(target) from None
    except OSError as error:
        if error.errno == errno.EXDEV or error.errno in NO_HARD_LINK_ERRORS:
            raise RefusedError(
                msg(
                    "{file} cannot be linked into {folder}: copy it instead.",
                    code="no-links",
                    file=source.name,
                    folder=target.parent,
                )
            ) from error
        raise _refusal(error, source, target) from error
    sync_folder(target.parent)


def _refusal(error: OSError, source: Path, target: Path) -> Exception:
    if isinstance(error, FileExistsError) and os.path.lexists(target):
        return name_taken_error(target)
    if not os.path.lexists(source):
        return disk_error(source, error)
    return write_error(target.parent, error)


# -- on one file system --------------------------------------------------------------------------------------------
def _move_file(source: Path, target: Path, report: Report | None, stop: threading.Event | None) -> None:
    try:
        rename_new(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        before = identity_of(source)
        _copy(source, target, report, stop)
        if identity_of(source) != before:
            target.unlink()
            raise _changed(source) from None
        unlink_old_name(source, target)


def _move_link(source: Path, target: Path) -> None:
    leads_to = str(source.readlink())
    if source.parent != target.parent:  # a relative link is relative to its own folder
        leads_to = os.path.normpath(source.parent.absolute() / leads_to)
    target.symlink_to(leads_to)
    unlink_old_name(source, target)


def is_other_case(source: Path, target: Path) -> bool:
    """Return True for names that differ only in case, on a case-insensitive disk: then the two names are one."""
    if source.parent != target.parent or source.name.casefold() != target.name.casefold():
        return False
    names = {path.name for path in source.parent.iterdir()}
    return target.name not in names and os.path.lexists(target)


# -- to another one ------------------------------------------------------------------------------------------------
def _copy(source: Path, target: Path, report: Report | None, stop: threading.Event | None) -> None:
    if os.path.lexists(target):  # the move itself would find it too, but later
        raise name_taken_error(target)
    before = identity_of(source)
    check_room(target.parent, before.size if before is not None else 0)
    with partial_file(target.parent) as (partial, file):
        sha256 = _copied(source, file, report, stop)
        with suppress(OSError):
            shutil.copystat(source, partial)
        if identity_of(source) != before:
            raise _changed(source)
        if sha256_of(partial, stop=stop) != sha256:
            raise IntegrityError(
                msg(
                    "The disk gave back other bytes of {file} than were written. Nothing was changed.",
                    code="disk-gave-other-bytes",
                    file=source.name,
                )
            )
        if sys.platform == "win32":
            file.close()  # an open file cannot be renamed there
        rename_new(partial, target)


def _copied(source: Path, file: FileIO, report: Report | None, stop: threading.Event | None) -> str:
    """Copy the bytes and sync them; return the SHA-256 of the bytes that were read."""
    digest = hashlib.sha256()
    try:
        old = source.open("rb", buffering=0)
    except OSError as error:
        raise disk_error(source, error) from error
    with old:
        total, done = os.fstat(old.fileno()).st_size, 0
        while block := old.read(CHUNK):
            if stop is not None and stop.is_set():
                raise Cancelled(
                    msg("Copying {file} was stopped. Nothing was changed.", code="copy-stopped", file=source.name)
                )
            digest.update(block)
            write_all(file, block)
            done += len(block)
            if report is not None:
                report(done, total)
    sync(file.fileno())
    return digest.hexdigest()


def _changed(source: Path) -> FileChangedError:
    return FileChangedError(msg("{file} was written to while it was being copied. Try again.", file=source.name))


def has_system_trash() -> bool:
    """Return True if Send2Trash is available."""
    try:
        import send2trash  # noqa: F401 - imported only for the check
    except ImportError:
        return False
    return True


def send_to_system_trash(files: Sequence[Path]) -> bool:
    """Send `files` there, in this order; return True if it took at least the first one."""
    from send2trash import send2trash

    try:
        for path in files:
            send2trash(str(path))
    except OSError:  # no trash on that disk, or no permission: the extension's trash takes the rest
        return not files[0].exists()
    return True


Kind = Literal["move", "remove", "undo", "send"]
"""To another folder, into the extension's trash, back out of it, into the system's trash."""

FOLDER: Final = "operations"
TRASH: Final = "trash"
"""Name of the trash folder beside it."""
ENDING: Final = ".json"
SET_ASIDE: Final = ".set-aside"
VERSION: Final = 1
MAX_NOTE_BYTES: Final = 1_000_000
"""More than a note with the longest paths of any system, each character escaped."""
_LOCK_AT: Final = 1 << 30
"""Position of the lock, behind the end of the file: on Windows, a locked byte cannot be read."""
_HELD: Final = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})
"""Errors of a lock that another process holds."""
_live: Final[set[str]] = set()
"""Notes of this process, for file systems without locks."""


@dataclass(frozen=True)
class Intent:
    """One operation: files that move together."""

    kind: Kind
    pairs: tuple[tuple[Path, Path], ...]
    """Absolute sources and targets, the VAE first. Both are the same for the system's trash."""
    place: Path | None = None
    """The folder in the extension's trash that it fills or empties."""
    known: tuple[tuple[Identity, Path], ...] = ()
    """Identities before the operation, and the paths of the same bytes afterwards."""

    @property
    def is_untouched(self) -> bool:
        """True if all files are in their old places, so there is no work to complete or roll back."""
        return all(os.path.lexists(source) for source, _ in self.pairs)


@dataclass(frozen=True)
class LeftNote:
    """A note of an ended writer, locked while it is handled."""

    path: Path
    found: Intent | Message | OSError | DiskError
    """A message is the reason why the note is invalid here; an error, why it cannot be read now."""
    file: FileIO | None = None

    def remove(self) -> None:
        """Delete the note of an operation that is completed or undone; a missing one is no error. Raises OSError."""
        self._let_go()
        retry_while_busy(lambda: self.path.unlink(missing_ok=True))

    def set_aside(self) -> Path:
        """Rename the note for a person, to a free name that is not read again."""
        self._let_go()
        names = (f"{self.path.name}{SET_ASIDE}{number or ''}" for number in itertools.count())
        aside = next(path for name in names if not os.path.lexists(path := self.path.with_name(name)))
        rename_over(self.path, aside)
        return aside

    def _let_go(self) -> None:
        if self.file is not None and sys.platform == "win32":  # an open file cannot be renamed or removed there
            self.file.close()


class Journal:
    """The notes of one data folder, which is made with the first one."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.folder = data / FOLDER
        self._has_made_data = False

    @contextmanager
    def noted(self, intent: Intent, still_holds: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """Keep a note of `intent` during the operation, and longer if it is interrupted.

        Raises DiskError if it cannot be written, and RefusedError if another process works on one of its files, or has
        just changed them so that `intent` is outdated: no file was touched then.
        """
        note = self.folder / f"{secrets.token_hex(8)}{ENDING}"
        try:
            file = self._write(note, intent)
        except OSError as error:
            raise write_error(self.folder, error) from error
        is_whole = False
        _live.add(note.name)
        try:
            if self._is_crossed(note, intent) or not still_holds():
                is_whole = True  # the operation has not begun
                raise RefusedError(
                    msg("Something else is at work on {file}. Nothing was changed; try again in a moment.",
                        code="file-busy", file=intent.pairs[0][0].name)
                )  # fmt: skip
            yield
            is_whole = True
        finally:
            _live.discard(note.name)
            if sys.platform == "win32":  # an open file cannot be removed there
                file.close()
            if is_whole or intent.is_untouched:
                with suppress(OSError):  # a leftover is found complete by `trash.recover`, and removed then
                    retry_while_busy(note.unlink)
            file.close()
            self.tidy()

    def tidy(self) -> None:
        """Remove the folder of the notes if it is empty."""
        with suppress(OSError):
            self.folder.rmdir()
            if self._has_made_data:
                self.data.rmdir()

    def left(self) -> Iterator[LeftNote]:
        """Yield the notes of ended writers. The caller decides about each: keep it, or remove it."""
        try:
            paths = sorted(self.folder.iterdir())
        except OSError:
            return
        for path in (path for path in paths if path.suffix == ENDING and path.name not in _live):
            try:
                file = _opened(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                yield LeftNote(path, error)
                continue
            if file is None:
                yield LeftNote(path, msg("it is no plain file"))
                continue
            found: Intent | Message | OSError | DiskError
            with file:
                try:
                    if not _lock(file) or not os.path.samestat(os.fstat(file.fileno()), path.lstat()):
                        continue
                    found = _read(file, self.data)
                except FileNotFoundError:  # its writer has just removed it
                    continue
                except (OSError, DiskError) as error:
                    found = error
                yield LeftNote(path, found, file)

    def _is_crossed(self, note: Path, intent: Intent) -> bool:
        """Return True if another note names one of these files, and its writer is alive or is still to be recovered.

        Of two operations that begin at once, both may find the other.
        """
        mine = _names(intent)
        with suppress(OSError):
            for path in self.folder.iterdir():
                if path.suffix == ENDING and path.name != note.name:
                    with suppress(OSError, DiskError), _opened(path) or nullcontext() as file:
                        if file is None:
                            continue
                        is_left, found = _lock(file), _read(file, self.data)
                        if not isinstance(found, Intent) or mine.isdisjoint(_names(found)):
                            continue
                        if not is_left or any(os.path.lexists(vae) for vae in found.pairs[0]):
                            return True
        return False

    def _write(self, note: Path, intent: Intent) -> FileIO:
        for _ in range(3):  # another process may just remove the folder
            self._make_folder()
            with suppress(FileNotFoundError):
                hidden, file = create_partial_file(self.folder)
                break
        else:
            hidden, file = create_partial_file(self.folder)
        try:
            write_all(file, _to_json(intent, os.fstat(file.fileno()).st_ino).encode())
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


def _names(intent: Intent) -> set[str]:
    """Return all names that the operation touches, each by one path."""
    paths = {path for pair in intent.pairs for path in pair}
    folders = {folder: os.path.realpath(folder) for folder in {path.parent for path in paths}}
    return {f"{folders[path.parent]}{os.sep}{path.name}" for path in paths}


def _opened(path: Path) -> FileIO | None:
    """Open a note; None for any other kind of file, which could block forever."""
    flags = os.O_RDWR | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if not stat.S_ISREG(path.lstat().st_mode):
        return None
    descriptor = os.open(path, flags)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return FileIO(descriptor, "r+b")
    os.close(descriptor)
    return None


def _lock(file: FileIO) -> bool:
    """Lock a note until it is closed or its process ends; return False if another process holds the lock.

    Raises DiskError if the file system has no locks.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_LOCK_AT)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        message = msg("The file system has no locks, so another process may still be at work on it.")
        raise DiskError(message) from error
    return True


def _read(file: FileIO, data_folder: Path) -> Intent | Message:
    """Read a note; return the reason for an invalid one. Raises DiskError for one of a newer version."""
    raw = file.read(MAX_NOTE_BYTES + 1)
    try:
        data: Any = parse_json(raw, max_bytes=MAX_NOTE_BYTES)
        version, inode = data["version"], data.get("inode")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return msg("it makes no sense")
    if type(version) is int and version > VERSION:
        raise DiskError(msg("A newer version of this program has begun it: start that one."))
    intent = _from_data(data, data_folder)
    if intent is None or version != VERSION:
        return msg("it makes no sense")
    if inode != os.fstat(file.fileno()).st_ino:
        return msg("it was copied here, and speaks of files of another place")
    return intent


def _to_json(intent: Intent, inode: int) -> str:
    return json.dumps(
        {
            "version": VERSION,
            "inode": inode,
            "kind": intent.kind,
            "pairs": [[str(source), str(target)] for source, target in intent.pairs],
            "place": str(intent.place) if intent.place is not None else None,
            "known": [[*identity, str(after)] for identity, after in intent.known],
        }
    )


def _from_data(data: dict[str, Any], data_folder: Path) -> Intent | None:
    """Read a note; None for any other data."""
    try:
        place = path_of(data["place"]) if data["place"] is not None else None
        intent = Intent(
            data["kind"],
            tuple((path_of(source), path_of(target)) for source, target in data["pairs"]),
            place,
            tuple((_identity(numbers), path_of(after)) for *numbers, after in data["known"]),
        )
        is_ours = data["kind"] in get_args(Kind) and _is_sound(intent, data_folder)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return intent if is_ours else None


def _identity(values: list[Any]) -> Identity:
    path, *numbers = values
    if not all(type(number) is int for number in numbers):
        raise TypeError("no identity")
    return Identity(text(path), *numbers)


def _is_sound(intent: Intent, data_folder: Path) -> bool:
    """Check a note, which can come from outside, such as a downloaded folder: it names one VAE and its sidecars."""
    (file, target), *others = intent.pairs
    return (
        file.is_absolute()
        and target.is_absolute()
        and (intent.place is None or _is_within(intent.place, data_folder))
        and all(
            (source.parent, aim.parent) == (file.parent, target.parent)
            and any((source.name, aim.name) == (file.stem + ending, target.stem + ending) for ending in SIDECARS)
            for source, aim in others
        )
    )


def _is_within(place: Path, data_folder: Path) -> bool:
    """Check the real path: links may lead to the data folder, and the trash may be a link to a larger disk."""
    real = Path(os.path.realpath(place))
    tops = (os.path.realpath(top) for top in (data_folder, data_folder / TRASH))
    return place.is_absolute() and any(real.is_relative_to(top) and str(real) != top for top in tops)
