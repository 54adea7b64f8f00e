"""Operations that were cut off are ended, or taken back: whichever is nearer, and no byte is lost on either way.

    the VAE is still where it was       what went before it goes back, and nothing has happened
    the VAE has its new place           what belongs to it follows
    it has both                         one file of two names, or a copy that is proven: the old one goes, then as above
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..errors import NameTakenError, VaeManagerError
from ..files import sha256_of
from ..files.disk import are_two_names
from ..files.partials import sweep
from ..files.writing import patiently
from ..sentences import Sentence, say
from . import placing, system_trash
from .journal import Intent, Journal, LeftNote
from .moving import Memory

__all__ = ["recover", "tidy_place"]

NOTE: Final = "removed.json"
"""In a folder of our trash: where its files were."""

Report = Callable[[Sentence], None]


def recover(journal: Journal, memories: Callable[[], Iterable[Memory]], report: Report) -> None:
    """End or take back what processes that are gone have left half done; `report` is told of each.

    What a living process is doing is left alone. A note that cannot be settled now stays for the next time.
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
    if note.intent is None:
        aside = note.set_aside()
        return say("{path} is no note of ours that makes sense. It is kept as {aside}.", path=note.path, aside=aside)
    told = _settle(note.intent, memories)
    note.remove()
    return told


def _settle(intent: Intent, memories: Callable[[], Iterable[Memory]]) -> Sentence | None:
    (source, target), *others = intent.pairs
    for folder in {aim.parent for _, aim in intent.pairs}:
        sweep(folder)  # half a copy
    if intent.kind == "send":
        return _send_the_rest(source, [path for path, _ in others])
    told = None
    if _has_arrived(source, target):
        for pair in others:
            _end(*pair)
        for identity, after in intent.known:
            for memory in memories():
                memory.carry(identity, after)
        told = say("An operation on {file} was cut off. It is ended now: {target}.", file=source.name, target=target)
    else:
        for path, aim in reversed(others):
            if not os.path.lexists(path) and os.path.lexists(aim):
                _end(aim, path)
                told = say("An operation on {file} was cut off. It is taken back now.", file=source.name)
    if intent.place is not None:
        tidy_place(intent.place)
    return told


def _has_arrived(source: Path, target: Path) -> bool:
    """Whether the VAE has its new place; where it has both, the old one goes."""
    if not os.path.lexists(target) or placing.is_other_case(source, target):
        return False
    if not os.path.lexists(source) or placing.is_other_case(target, source):
        return True
    if not are_the_same(source, target):
        return False  # somebody else's file has come to that name
    patiently(source.unlink)
    return True


def _end(source: Path, target: Path) -> None:
    """Move one of the small files, if that is still to be done. What is there under its new name stays."""
    if os.path.lexists(source) and os.path.lexists(target) and are_the_same(source, target):
        patiently(source.unlink)
    elif os.path.lexists(source):
        with suppress(NameTakenError):  # both stay, and both can be seen
            placing.move(source, target)


def are_the_same(one: Path, other: Path) -> bool:
    """Whether either of two names can go without any byte being lost."""
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
    """The system's trash has the VAE: what belonged to it follows."""
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
