"""Completion or rollback of interrupted operations: whichever is shorter, without losing a byte.

    the VAE is in its old place         moved small files go back, as if the operation had not begun
    the VAE is in its new place         its small files follow
    it has both                         one file of two names, or a verified copy: the old one goes, then as above
    a disk is away                      the note waits for it
    another file has the name           it keeps the name and its own small files

The note holds the VAE's identity, which distinguishes it from a later file under one of its names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..errors import DiskError, NameTakenError, VaeManagerError
from ..files import identity_of, sha256_of
from ..files.disk import are_two_names, patiently
from ..files.partials import sweep
from ..sentences import Sentence, say
from . import safe_move, system_trash
from .journal import Intent, Journal, LeftNote
from .moving import Memory

__all__ = ["are_the_same", "recover", "tidy_place"]

NOTE: Final = "removed.json"
"""Note in a folder of the extension's trash: the original paths."""

COARSEST_NS: Final = 2_000_000_000
"""Between two times of writing that FAT keeps."""

Report = Callable[[Sentence], None]


def recover(journal: Journal, memories: Callable[[], Iterable[Memory]], report: Report) -> None:
    """Complete or roll back the interrupted operations of ended processes; `report` gets a message for each.

    Operations of living processes are left alone. A note that cannot be settled now stays for the next time.
    """
    if not os.path.isdir(journal.folder):  # noqa: PTH112 - asked at each look
        return
    sweep(journal.folder)
    for note in journal.left():
        try:
            told = _taken_up(note, memories)
        except (VaeManagerError, OSError) as error:
            told = say(
                "An operation was cut off and cannot be ended now: {reason} Nothing is lost, and the next look tries "
                "again. Its note is {path}.",
                reason=error.sentence if isinstance(error, VaeManagerError) else str(error),
                path=note.path,
            )
        if told is not None:
            report(told)
    journal.tidy()


def _taken_up(note: LeftNote, memories: Callable[[], Iterable[Memory]]) -> Sentence | None:
    if isinstance(note.found, Exception):
        raise note.found
    if isinstance(note.found, Sentence):
        aside = note.set_aside()
        return say("{path} is no note that can be followed: {reason}. It is kept as {aside}.",
                   path=note.path, reason=note.found, aside=aside)  # fmt: skip
    told = _settle(note.found, memories)
    note.remove()
    return told


def _settle(intent: Intent, memories: Callable[[], Iterable[Memory]]) -> Sentence | None:
    (source, target), *others = intent.pairs
    for folder in {aim.parent for _, aim in intent.pairs}:
        sweep(folder)  # half a copy
    if intent.kind == "send":
        return _send_the_rest(source, [path for path, _ in others])
    told = None
    if _has_arrived(intent):
        if not os.path.lexists(source) or safe_move.is_other_case(
            target, source
        ):  # else they belong to who is there now
            for pair in others:
                _end(*pair)
        if intent.known and _is_close(target, intent):
            for identity, after in intent.known:
                for memory in memories():
                    memory.carry(identity, after)
        told = say("An operation on {file} was cut off. It is ended now: {target}.", file=source.name, target=target)
    elif not os.path.lexists(target) or safe_move.is_other_case(source, target):
        for path, aim in reversed(others):
            if os.path.lexists(source) and not os.path.lexists(path) and os.path.lexists(aim):
                _end(aim, path)
                told = say("An operation on {file} was cut off. It is taken back now.", file=source.name)
    if intent.place is not None:
        tidy_place(intent.place)
    return told


def _has_arrived(intent: Intent) -> bool:
    """Return True if the VAE has its new place; if it has both, remove the old one. Raises DiskError without a disk."""
    source, target = intent.pairs[0]
    if not os.path.lexists(target) or safe_move.is_other_case(source, target):
        if not os.path.lexists(source):
            _check_reach(intent)
        return False
    if not _is_it(target, intent):
        return False  # somebody else's file has come to that name
    if not os.path.lexists(source) or safe_move.is_other_case(target, source):
        return True
    if not _is_it(source, intent):
        return True  # another file has come to the old name
    if not are_the_same(source, target):
        return False
    patiently(source.unlink)
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
    return now.inode == then.inode or apart == 0 or (apart <= COARSEST_NS and _is_other_disk(*intent.pairs[0]))


def _is_other_disk(source: Path, target: Path) -> bool:
    try:
        return source.parent.stat().st_dev != target.parent.stat().st_dev
    except OSError:
        return True


def _check_reach(intent: Intent) -> None:
    """Raise DiskError if the VAE is at neither place and one of the folders is missing, as with a disk that is away."""
    source, target = intent.pairs[0]
    folders = [
        intent.place.parent if intent.place is not None and path.parent.parent == intent.place else path.parent
        for path in (source, target)
    ]
    for folder in folders:
        if not folder.is_dir():
            raise DiskError(
                say("{file} is in neither of its places, and {folder} is not there: its disk may be away.",
                    file=source.name, folder=folder)
            )  # fmt: skip


def _end(source: Path, target: Path) -> None:
    """Move one of the small files, if it is still to be moved. An existing file under the new name stays."""
    if os.path.lexists(source) and os.path.lexists(target) and are_the_same(source, target):
        patiently(source.unlink)
    elif os.path.lexists(source):
        with suppress(NameTakenError):  # both stay, and both can be seen
            safe_move.move(source, target)


def are_the_same(one: Path, other: Path) -> bool:
    """Return True if either of two names can go without losing a byte."""
    if one.is_symlink() or other.is_symlink():
        return one.is_symlink() and other.is_symlink() and _leads_to(one) == _leads_to(other)
    if are_two_names(one, other):
        return True
    if one.samefile(other) or one.stat().st_size != other.stat().st_size:
        return False  # one name that is reached in two ways must not go
    return sha256_of(one) == sha256_of(other)


def _leads_to(link: Path) -> str:
    return os.path.normpath(link.parent.absolute() / link.readlink())


def _send_the_rest(file: Path, others: list[Path]) -> Sentence | None:
    """Send the small files to the system's trash, which has the VAE already."""
    left = [path for path in others if os.path.lexists(path)]
    if os.path.lexists(file) or not left or not system_trash.is_there():
        return None
    system_trash.send(left)
    return say("An operation on {file} was cut off. It is ended now: {target}.", file=file.name,
               target=say("the system's trash"))  # fmt: skip


def tidy_place(place: Path) -> None:
    """Remove the folder of what has come back from the trash; one with something in it stays."""
    inside = place / "files"
    with suppress(OSError):
        sweep(place)
        if inside.is_dir():
            inside.rmdir()
        (place / NOTE).unlink(missing_ok=True)
        place.rmdir()
