"""Files of this program's state that are damaged: the name that each is set aside under, and the notice of it.

A damaged file is never overwritten. It is renamed to `NAME.damaged-1` in its folder, and a notice appears once, in the
console and in the page.
"""

from __future__ import annotations

import logging
import re
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..sentences import Sentence, say
from .writing import patiently

__all__ = [
    "DamageNotice",
    "damage_notices",
    "files_set_aside",
    "forget_damage",
    "free_name",
    "report_damage",
    "set_aside",
]

logger = logging.getLogger(__name__)

MAX_KEPT: Final = 5
"""Files that were set aside, of each name."""
MAX_NOTICES: Final = 20
MAX_TOLD: Final = 10_000


# -- notices -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class DamageNotice:
    """Notice of a file that could not be read."""

    file: Path
    sentence: Sentence


_lock = threading.Lock()
_notices: list[DamageNotice] = []
_told: set[tuple[Path, str]] = set()


def report_damage(file: Path, sentence: Sentence, *, is_new: bool = False) -> None:
    """Log a notice, and show it in the page until it is dismissed; each sentence once unless it `is_new`."""
    notice = DamageNotice(file.absolute(), sentence)
    told = notice.file, str(sentence)
    with _lock:
        if told in _told and not is_new:
            return
        if len(_told) < MAX_TOLD:
            _told.add(told)
        _notices.append(notice)
        del _notices[:-MAX_NOTICES]
    logger.warning("%s", str(sentence).encode("utf-8", "backslashreplace").decode())


def damage_notices(*folders: Path) -> tuple[DamageNotice, ...]:
    """Return the notices of damage below these folders that are not dismissed."""
    places = [folder.absolute() for folder in folders]
    with _lock:
        return tuple(notice for notice in _notices if any(place in notice.file.parents for place in places))


def forget_damage(*folders: Path) -> None:
    """Dismiss the notices of these folders."""
    read = damage_notices(*folders)
    with _lock:
        _notices[:] = [notice for notice in _notices if notice not in read]


# -- setting aside -------------------------------------------------------------------------------------------------
def set_aside(path: Path, reason: Sentence | str) -> bool:
    """Rename a damaged file, so that a person can still rescue something from it; return True if it is out of the way.

    SQLite's rollback journal of the file goes along: it would be played back into the next file of the name.
    """
    aside = free_name(path)
    journal = path.with_name(f"{path.name}-journal")
    try:
        with suppress(FileNotFoundError):
            patiently(lambda: journal.rename(aside.with_name(f"{aside.name}-journal")))
        patiently(lambda: path.rename(aside))
    except FileNotFoundError:
        return True
    except OSError as error:
        sentence = say(
            "{file} cannot be read ({reason}), and cannot be set aside either: {problem}. Nothing is written to "
            "it. Move it away or make its folder writable.",
            file=path,
            reason=reason,
            problem=error.strerror or error,
        )
        report_damage(path, sentence)
        return False
    sentence = say(
        "{file} could not be read ({reason}). It was set aside as {aside}, and a new one is begun. What can be "
        "rescued is in the old one.",
        file=path,
        reason=reason,
        aside=aside.name,
    )
    report_damage(path, sentence, is_new=True)
    return True


def files_set_aside(path: Path) -> list[tuple[int, Path]]:
    """Return the files set aside of this name, the oldest first."""
    pattern = re.compile(re.escape(f"{path.name}.damaged-") + r"([0-9]{1,9})")
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return []
    found = [(int(match[1]), path.with_name(name)) for name in names if (match := pattern.fullmatch(name))]
    return sorted(found)


def free_name(path: Path) -> Path:
    """The next name to set the file aside under. The oldest plain files beyond `MAX_KEPT` go; a folder stays."""
    kept = files_set_aside(path)
    for _, old in kept[: max(0, len(kept) - MAX_KEPT + 1)]:
        with suppress(OSError):
            old.unlink()
    return path.with_name(f"{path.name}.damaged-{kept[-1][0] + 1 if kept else 1}")
