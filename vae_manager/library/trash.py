"""Trash of the library, and the recovery of interrupted operations.

If Send2Trash is installed, removed files go to the system's trash, and are restored by the system. Otherwise they stay
in a folder of the extension until it is emptied:

    <trash>/20261125-031500-1f3a-a.safetensors/removed.json     their old paths
                                               files/           a.safetensors, a.preview.png, …

The recovery completes an interrupted operation or rolls it back, by the shorter way, without losing a byte:

    the VAE is in its old place         moved sidecars go back, as if the operation had not begun
    the VAE is in its new place         its sidecars follow
    it has both                         one file of two names, or a verified copy: the old one goes, then as above
    a disk is absent                    the note waits for it
    another file has the name           it keeps the name and its own sidecars

The note holds the VAE's identity, which distinguishes it from a later file under one of its names.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..catalogue.entry import is_vae_file_name
from ..errors import DiskError, NameTakenError, NotFoundError, RefusedError, VaeManagerError
from ..files import identity_of, sha256_of
from ..files.disk import are_hard_links, retry_while_busy, sweep, sync_folder
from ..files.headers import disk_error
from ..files.state_file import (
    UNREADABLE,
    DamagedError,
    bytes_of,
    finite,
    parse_json,
    path_of,
    replace_file,
    report_damage,
)
from ..messages import Message, msg
from . import operations
from .folders import sidecars_of
from .moving import (
    ALONE,
    LibraryContext,
    Memory,
    absolute,
    carry,
    check_free,
    free_name,
    has_only,
    move_all,
    noted,
    target_for,
    what_is_known,
)
from .operations import Intent, Journal, LeftNote, Report

__all__ = ["Removed", "are_the_same", "empty", "recover", "remove", "removed", "restore", "tidy_place"]


NOTE: Final = "removed.json"
"""Note in a folder of the extension's trash: the original paths."""

MAX_TIME_STEP_NS: Final = 2_000_000_000
"""Resolution of the file times on FAT."""

SayReport = Callable[[Message], None]

MAX_STEM_LENGTH: Final = 50
"""Characters of a file's name in that of its folder: 200 bytes at most."""


def recover(journal: Journal, memories: Callable[[], Iterable[Memory]], report: SayReport) -> None:
    """Complete or roll back the interrupted operations of ended processes; `report` gets a message for each.

    Operations of living processes are left alone. A note that cannot be settled now stays for the next time.
    """
    if not os.path.isdir(journal.folder):  # noqa: PTH112 - called at each listing
        return
    sweep(journal.folder)
    for note in journal.left():
        try:
            message = _taken_up(note, memories)
        except (VaeManagerError, OSError) as error:
            message = msg(
                "An operation was cut off and cannot be ended now: {reason} Nothing is lost, and the next look tries "
                "again. Its note is {path}.",
                reason=error.message if isinstance(error, VaeManagerError) else str(error),
                path=note.path,
            )
        if message is not None:
            report(message)
    journal.tidy()


def _taken_up(note: LeftNote, memories: Callable[[], Iterable[Memory]]) -> Message | None:
    if isinstance(note.found, Exception):
        raise note.found
    if isinstance(note.found, Message):
        aside = note.set_aside()
        return msg("{path} is no note that can be followed: {reason}. It is kept as {aside}.",
                   path=note.path, reason=note.found, aside=aside)  # fmt: skip
    message = _settle(note.found, memories)
    note.remove()
    return message


def _settle(intent: Intent, memories: Callable[[], Iterable[Memory]]) -> Message | None:
    (source, target), *others = intent.pairs
    for folder in {aim.parent for _, aim in intent.pairs}:
        sweep(folder)  # an incomplete copy
    if intent.kind == "send":
        return _send_the_rest(source, [path for path, _ in others])
    message = None
    if _has_arrived(intent):
        if not os.path.lexists(source) or operations.is_other_case(
            target, source
        ):  # else they belong to who is there now
            for pair in others:
                _end(*pair)
        if intent.known and _is_close(target, intent):
            for identity, after in intent.known:
                for memory in memories():
                    memory.carry(identity, after)
        message = msg(
            "An operation on {file} was cut off. It is ended now: {target}.",
            code="operation-ended",
            file=source.name,
            target=target,
        )
    elif not os.path.lexists(target) or operations.is_other_case(source, target):
        for path, aim in reversed(others):
            if os.path.lexists(source) and not os.path.lexists(path) and os.path.lexists(aim):
                _end(aim, path)
                message = msg("An operation on {file} was cut off. It is taken back now.", file=source.name)
    if intent.place is not None:
        tidy_place(intent.place)
    return message


def _has_arrived(intent: Intent) -> bool:
    """Return True if the VAE has its new place; if it has both, remove the old one. Raises DiskError without a disk."""
    source, target = intent.pairs[0]
    if not os.path.lexists(target) or operations.is_other_case(source, target):
        if not os.path.lexists(source):
            _check_reach(intent)
        return False
    if not _is_it(target, intent):
        return False  # another file has that name now
    if not os.path.lexists(source) or operations.is_other_case(target, source):
        return True
    if not _is_it(source, intent):
        return True  # another file has the old name now
    if not are_the_same(source, target):
        return False
    retry_while_busy(source.unlink)
    return True


def _is_it(path: Path, intent: Intent) -> bool:
    """Return True if `path` seems to be the VAE of the note, at its old or its new place.

    A file that comes back from the trash may find the same bytes there already, as a separate file.
    """
    now = identity_of(path)
    if not intent.known or now is None:
        return True
    return _is_close(path, intent) or (intent.kind == "undo" and now.size == intent.known[0][0].size)


def _is_close(path: Path, intent: Intent) -> bool:
    """Return True for that file or a copy of it, whose mtime is as exact as its file system keeps it."""
    now, then = identity_of(path), intent.known[0][0]
    if now is None or now.size != then.size:
        return False
    apart = abs(now.mtime_ns - then.mtime_ns)
    return now.inode == then.inode or apart == 0 or (apart <= MAX_TIME_STEP_NS and _is_other_disk(*intent.pairs[0]))


def _is_other_disk(source: Path, target: Path) -> bool:
    try:
        return source.parent.stat().st_dev != target.parent.stat().st_dev
    except OSError:
        return True


def _check_reach(intent: Intent) -> None:
    """Raise DiskError if the VAE is at neither place and one of the folders is missing, as with an absent disk."""
    source, target = intent.pairs[0]
    folders = [
        intent.place.parent if intent.place is not None and path.parent.parent == intent.place else path.parent
        for path in (source, target)
    ]
    for folder in folders:
        if not folder.is_dir():
            raise DiskError(
                msg("{file} is in neither of its places, and {folder} is not there: its disk may be away.",
                    file=source.name, folder=folder)
            )  # fmt: skip


def _end(source: Path, target: Path) -> None:
    """Move a sidecar, if it is still to be moved. An existing file under the new name stays."""
    if os.path.lexists(source) and os.path.lexists(target) and are_the_same(source, target):
        retry_while_busy(source.unlink)
    elif os.path.lexists(source):
        with suppress(NameTakenError):  # both stay, and both are visible
            operations.move(source, target)


def are_the_same(one: Path, other: Path) -> bool:
    """Return True if either of two names can be removed without losing a byte."""
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and _leads_to(one) == _leads_to(other)
    if are_hard_links(one, other):
        return True
    if one.samefile(other) or one.stat().st_size != other.stat().st_size:
        return False  # one name that is reached by two paths must stay
    return sha256_of(one) == sha256_of(other)


def _leads_to(link: Path) -> str:
    return os.path.normpath(link.parent.absolute() / link.readlink())


def _send_the_rest(file: Path, others: list[Path]) -> Message | None:
    """Send the sidecars to the system's trash, which has the VAE already."""
    left = [path for path in others if os.path.lexists(path)]
    if os.path.lexists(file) or not left or not operations.has_system_trash():
        return None
    operations.send_to_system_trash(left)
    return msg("An operation on {file} was cut off. It is ended now: {target}.", code="operation-ended", file=file.name,
               target=msg("the system's trash"))  # fmt: skip


def tidy_place(place: Path) -> None:
    """Remove the folder of a restored file; one with remaining files stays."""
    inside = place / "files"
    with suppress(OSError):
        sweep(place)
        if inside.is_dir():
            inside.rmdir()
        (place / NOTE).unlink(missing_ok=True)
        place.rmdir()


@dataclass(frozen=True)
class Removed:
    """A file that was removed."""

    file: Path
    """The original path."""
    names: tuple[str, ...]
    """Base names of the file and its sidecars."""
    removed_at: float
    """Seconds since 1970."""
    place: Path | None
    """Its folder in the extension's trash; None: it is in the system's."""
    is_noted: bool = True
    """False: the note with the old path is lost, and `file` is the present path."""

    @property
    def size(self) -> int:
        """Bytes that emptying the trash frees; 0 for the system's."""
        if self.place is None:
            return 0
        return _bytes_in(self.place)


def remove(file: Path, trash: Path, library: LibraryContext = ALONE, *, report: Report | None = None,
           stop: threading.Event | None = None) -> Removed:  # fmt: skip
    """Move `file` and its sidecars into the trash; `trash` is made if needed.

    A link is moved alone: its target stays. Raises RefusedError for a file in use, NotFoundError, DiskError, and
    Cancelled during the copy to a trash on another file system.
    """
    check_free(file, library)
    along = sidecars_of(file)
    files = [file, *(path for path, _ in along)]
    names = tuple(path.name for path in files)
    # A link is valid only at its original place, so it always goes to the extension's trash.
    if not file.is_symlink() and _sent(files, library, lambda: has_only(file, along)):
        return Removed(file.absolute(), names, time.time(), None)
    place = _free_place(file, trash)
    gone = Removed(file.absolute(), names, time.time(), place)
    inside = place / "files"
    pairs = [(path, inside / path.name) for path in files]
    known = what_is_known(file, inside / file.name, library)
    intent = Intent("remove", absolute(pairs), place.absolute(), known)
    with noted(intent, library, lambda: has_only(file, along)):
        try:
            inside.mkdir(parents=True)
            # The note first: after a kill at any time, the files in the trash have a note of their old path.
            replace_file(place / NOTE, _to_json(gone).encode("ascii"))
            sync_folder(place)
            move_all(pairs, report, stop)
        except OSError as error:
            tidy_place(place)
            raise operations.write_error(trash, error) from error
        except VaeManagerError:
            tidy_place(place)
            raise
        carry(known, library)
    return gone


def restore(gone: Removed, library: LibraryContext = ALONE, *, name: str | None = None, report: Report | None = None,
            stop: threading.Event | None = None) -> Path:  # fmt: skip
    """Restore the file to its old path, under its own name or under `name`; return its path. No file is overwritten.

    Raises RefusedError for a file in the system's trash, NameTakenError with a free name, NotFoundError, DiskError,
    Cancelled.
    """
    if gone.place is None:
        raise RefusedError(
            msg(
                "{file} is in the system's trash. Bring it back from there.",
                code="in-system-trash",
                file=gone.file.name,
            )
        )
    if not gone.is_noted:
        raise RefusedError(
            msg("The note of where {file} was is lost. It lies in {folder}: take it from there.", code="note-lost",
                file=gone.file.name, folder=gone.file.parent)
        )  # fmt: skip
    inside = gone.place / "files"
    here = _present(gone.names, inside)
    if gone.file.name not in here:
        raise NotFoundError(msg("{file} is no longer in the trash.", code="not-in-trash", file=gone.file.name))
    target = gone.file if name is None else target_for(inside / gone.file.name, name, gone.file.parent, library)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise operations.write_error(target.parent, error) from error
    ordered = sorted(here, key=lambda one: one != gone.file.name)  # the VAE first
    pairs = [(inside / one, _beside(target, one, gone.file)) for one in ordered]
    known = what_is_known(inside / gone.file.name, target, library)
    intent = Intent("undo", absolute(pairs), gone.place.absolute(), known)
    with noted(intent, library, lambda: _present(gone.names, inside) == here):
        for source, aim in pairs:
            try:
                if os.path.lexists(aim) and are_the_same(source, aim):  # the same bytes are back already
                    retry_while_busy(source.unlink)
            except OSError as error:
                raise disk_error(source, error) from error
        try:
            move_all((pair for pair in pairs if os.path.lexists(pair[0])), report, stop)
        except NameTakenError as error:
            free = free_name(target.parent, target.name, library)
            message = msg(
                "{reason} {file} stays in the trash. The name {free} is free.",
                reason=error.message,
                file=gone.file.name,
                free=free,
            )
            raise NameTakenError(message, free) from error
        carry(known, library)
        tidy_place(gone.place)
    return target


def _beside(target: Path, name: str, file: Path) -> Path:
    """Return the path of `name`, a sidecar of `file`, beside `target`."""
    return target if name == file.name else target.with_name(target.stem + name.removeprefix(file.stem))


def removed(trash: Path) -> Sequence[Removed]:
    """Return the files in the extension's own trash, the newest first, with those whose note is lost."""
    found = [gone for place in _places(trash) if (gone := _read(place) or _without_note(place)) is not None]
    return sorted(found, key=lambda gone: gone.removed_at, reverse=True)


def empty(trash: Path) -> int:
    """Delete for good all folders of the extension's trash that have their note; return the number of freed bytes."""
    freed = 0
    for place in _places(trash):
        if _note(place) is None:
            continue
        try:
            size = _bytes_in(place)
            if (place / "files").is_dir():
                shutil.rmtree(place / "files")
            shutil.rmtree(place)  # its note last: after a kill, the next call empties the folder
        except OSError as error:
            raise disk_error(place, error) from error
        freed += size
    return freed


def _places(trash: Path) -> Sequence[Path]:
    try:
        return list(trash.iterdir())
    except OSError:
        return ()


def _bytes_in(place: Path) -> int:
    inside = place / "files"
    return sum(path.lstat().st_size for path in inside.iterdir()) if inside.is_dir() else 0


def _present(names: Sequence[str], inside: Path) -> list[str]:
    return [name for name in names if os.path.lexists(inside / name)]


def _sent(files: Sequence[Path], library: LibraryContext, still_holds: Callable[[], bool]) -> bool:
    """Return True if the system's trash took them: at least the VAE, which is the first."""
    if not operations.has_system_trash():
        return False
    with noted(Intent("send", absolute((path, path) for path in files)), library, still_holds):
        return operations.send_to_system_trash(files)


def _free_place(file: Path, trash: Path) -> Path:
    """Return an unused folder path in the trash. Two files that are removed at the same moment do not share one."""
    try:
        trash.mkdir(parents=True, exist_ok=True)
        return trash / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}-{file.name[:MAX_STEM_LENGTH]}"
    except OSError as error:
        raise operations.write_error(trash, error) from error


def _to_json(gone: Removed) -> str:
    return json.dumps({"file": str(gone.file), "names": gone.names, "removed_at": gone.removed_at})


def _read(place: Path) -> Removed | None:
    """Read the folder of a removed file; None for any other folder, and for one that has lost its file."""
    gone = _note(place)
    return gone if gone is not None and os.path.lexists(place / "files" / gone.file.name) else None


def _note(place: Path) -> Removed | None:
    """Read the note of a folder; None if it is missing or invalid."""
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
            msg("{file} cannot be read, so what lies beside it cannot be taken back from here. It stays where it is.",
                file=place / NOTE),
        )  # fmt: skip
        return None
    is_whole = file.is_absolute() and file.name in names
    return gone if is_whole else None


def _name(value: object) -> str:
    """Return the base name of a file. Raises `ValueError` for a path that leads elsewhere."""
    name = path_of(value).name
    if name != value or name in ("", ".", ".."):
        raise ValueError("no name")
    return name


def _without_note(place: Path) -> Removed | None:
    """Find files in a trash folder whose note is lost or invalid; None if there is no such file."""
    try:
        files = sorted((place / "files").iterdir(), key=lambda path: (not is_vae_file_name(path.name), path.name))
        at = place.stat().st_mtime
    except OSError:
        return None
    if not files:
        return None
    return Removed(files[0].absolute(), tuple(path.name for path in files), at, place, is_noted=False)
