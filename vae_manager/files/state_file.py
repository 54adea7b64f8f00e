"""State files: strict JSON, atomic writes, and damaged files that are set aside.

JSON from outside is bounded in size and depth, and read value by value. Python's own reader accepts NaN, and numbers
and nesting of any size. Its result is therefore never used directly: each value goes through one of the functions here,
which raise `ValueError` for an invalid one.

Small state files have one way to be read and one way to be written. A power cut, a full disk or an editor can leave any
bytes in them. An unreadable file is never overwritten: it is set aside in its folder, as `NAME.damaged-1`, and a notice
appears once, in the console and in the page. If only some entries are damaged, the others are used and a copy of the
file is kept the same way.
"""

from __future__ import annotations

import errno
import filecmp
import json
import logging
import math
import os
import re
import shutil
import stat
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from ..catalogue.entry import SHA256
from ..errors import VaeManagerError
from ..messages import Message, megabytes, msg
from .disk import partial_file, rename_over, retry_while_busy, sync_folder, write_all

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "UNREADABLE",
    "DamageNotice",
    "DamagedError",
    "StateFile",
    "TooDeepError",
    "TooLongError",
    "bytes_of",
    "damage_notices",
    "files_set_aside",
    "finite",
    "forget_damage",
    "free_name",
    "hexadecimal",
    "list_of",
    "pairs_of",
    "parse_json",
    "path_of",
    "replace_file",
    "report_damage",
    "set_aside",
    "text",
    "whole",
]


MAX_BYTES: Final = 64 << 20
"""The library's index of 100,000 files has some 50 MB, and is the longest of all."""
MAX_DEPTH: Final = 32
MAX_WHOLE: Final = 2**63 - 1
MAX_DIGITS: Final = 4000
MAX_PATH: Final = 32_767
"""Characters; Windows allows so many, other systems fewer."""
MAX_NAME_BYTES: Final = 255

_LONG_NUMBER: Final = re.compile(rb"[0-9]{20}")

logger = logging.getLogger(__name__)

MAX_KEPT: Final = 5
"""Set-aside files that are kept, of each name."""
MAX_NOTICES: Final = 20
MAX_REPORTED: Final = 10_000

_lock = threading.Lock()
_notices: list[DamageNotice] = []
_reported: set[tuple[Path, str]] = set()

UNREADABLE: Final = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, OSError, VaeManagerError
)  # fmt: skip
"""Errors of reading a value of the wrong type."""

Item = TypeVar("Item")
Stamp = tuple[int, int, int, int]


class TooLongError(ValueError):
    """Text longer than any that this program writes."""


class TooDeepError(ValueError):
    """A text with deeper nesting than any that this program writes."""


def parse_json(data: bytes | bytearray, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """Read JSON, with a byte order mark or in UTF-16 too, as editors save it.

    Raises:
        TooLongError: More than `max_bytes`.
        TooDeepError: Lists or objects in one another, more than `max_depth` of them.
        ValueError: The text is not JSON.
    """
    if len(data) > max_bytes:
        raise TooLongError
    # Versions of Python before 3.10.7 take hours for a number of a million digits, and later ones refuse it.
    as_number = _number if _LONG_NUMBER.search(data) else None
    try:
        root = json.loads(bytes(data).decode(json.detect_encoding(data)), parse_int=as_number)
    except RecursionError:
        raise TooDeepError from None
    _check_depth(root, max_depth)
    return root


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _check_depth(root: Any, max_depth: int) -> None:
    level = [root]
    for _ in range(max_depth + 1):
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise TooDeepError


def whole(value: Any, most: int = MAX_WHOLE) -> int:
    """Check a count: a whole number from 0 to `most`."""
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError("no whole number")
    return value


def finite(value: Any) -> float:
    """Check a number: neither NaN nor infinite, and within the range of a measurement."""
    if type(value) not in (int, float) or not -1e18 < value < 1e18 or not math.isfinite(value):
        raise ValueError("no finite number")
    return float(value)


def text(value: Any) -> str:
    """Check a text that becomes part of a path or is sent.

    It may contain no NUL, and no lone surrogates except those for a byte of a name that is not UTF-8.
    """
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("no text")
    value.encode("utf-8", "surrogateescape")
    return value


def hexadecimal(value: Any) -> str:
    """Check a SHA-256. It becomes part of the name of a partial file, so any other text is refused."""
    found = text(value)
    if not SHA256.fullmatch(found.lower()):
        raise ValueError("no SHA-256")
    return found


def path_of(value: Any) -> Path:
    """Return a path that the system accepts; the file need not exist."""
    found = text(value)
    parts = found.replace("\\", "/").split("/")
    if not found or len(found) > MAX_PATH or any(len(os.fsencode(part)) > MAX_NAME_BYTES for part in parts):
        raise ValueError("no path")
    return Path(found)


# -- notices -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class DamageNotice:
    """Notice of a file that could not be read."""

    file: Path
    message: Message


def report_damage(file: Path, message: Message, *, is_new: bool = False) -> None:
    """Log a notice, and show it in the page until it is dismissed; each sentence once unless it `is_new`."""
    notice = DamageNotice(file.absolute(), message)
    key = notice.file, str(message)
    with _lock:
        if key in _reported and not is_new:
            return
        if len(_reported) < MAX_REPORTED:
            _reported.add(key)
        _notices.append(notice)
        del _notices[:-MAX_NOTICES]
    logger.warning("%s", str(message).encode("utf-8", "backslashreplace").decode())


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
def set_aside(path: Path, reason: Message | str) -> bool:
    """Rename a damaged file, so that a person can still rescue something from it; return True if it is out of the way.

    SQLite's rollback journal of the file goes along: it would be played back into the next file of the name.
    """
    aside = free_name(path)
    journal = path.with_name(f"{path.name}-journal")
    try:
        with suppress(FileNotFoundError):
            retry_while_busy(lambda: journal.rename(aside.with_name(f"{aside.name}-journal")))
        retry_while_busy(lambda: path.rename(aside))
    except FileNotFoundError:
        return True
    except OSError as error:
        message = msg(
            "{file} cannot be read ({reason}), and cannot be set aside either: {problem}. Nothing is written to "
            "it. Move it away or make its folder writable.",
            file=path,
            reason=reason,
            problem=error.strerror or error,
        )
        report_damage(path, message)
        return False
    message = msg(
        "{file} could not be read ({reason}). It was set aside as {aside}, and a new one is begun. What can be "
        "rescued is in the old one.",
        file=path,
        reason=reason,
        aside=aside.name,
    )
    report_damage(path, message, is_new=True)
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
    """Return the next name for a set-aside file.

    The oldest plain files beyond `MAX_KEPT` are removed; a folder stays.
    """
    kept = files_set_aside(path)
    for _, old in kept[: max(0, len(kept) - MAX_KEPT + 1)]:
        with suppress(OSError):
            old.unlink()
    return path.with_name(f"{path.name}.damaged-{kept[-1][0] + 1 if kept else 1}")


# -- reading -------------------------------------------------------------------------------------------------------
class DamagedError(Exception):
    """A state file whose content is invalid."""

    def __init__(self, reason: Message | str) -> None:
        super().__init__(str(reason))
        self.reason = reason


def list_of(root: Any) -> Iterable[Any]:
    """Return the items of a list. Raises `ValueError` for any other value."""
    if not isinstance(root, list):
        raise ValueError("no list")
    return root


def pairs_of(root: Any) -> Iterable[tuple[str, Any]]:
    """Return the names and values of an object. Raises `ValueError` for any other value."""
    if not isinstance(root, dict):
        raise ValueError("no object")
    return root.items()


class StateFile:
    """One small file of this program's state. All methods may be called from any thread."""

    def __init__(
        self,
        path: Path,
        unpack: Callable[[Any], Iterable[Any]],
        *,
        parse: Callable[[bytes], Any] = parse_json,
        is_private: bool = False,
    ) -> None:
        """Make the object without reading the file.

        Args:
            path: The file, which need not exist.
            unpack: Returns the items of the file's content; an exception means that the whole file is damaged.
            parse: Reads the bytes.
            is_private: The file is readable by its owner alone, from its first moment on.
        """
        self.path = path
        self._unpack = unpack
        self._parse = parse
        self._is_private = is_private
        self._seen: Stamp | None = None
        """The file as it was last read or written: a different one may be damaged."""
        self.is_blocked = False
        """A damaged file has the name and could not be set aside."""

    def items(self, convert: Callable[[Any], Item | None]) -> list[Item]:
        """Return the items of the file; an empty list if it is missing, or was damaged and is now set aside.

        Unreadable items are left out, and a copy of the file is kept. `convert` reads one item: None leaves it out as
        harmless, an exception counts it as damaged.
        """
        found, damaged = [], 0
        for item in self._read():
            try:
                converted = convert(item)
            except UNREADABLE:
                damaged += 1
                continue
            if converted is not None:
                found.append(converted)
        if damaged:
            self._keep_copy(damaged)
        return found

    def _read(self) -> list[Any]:
        self.is_blocked = False
        seen = None
        try:
            data, seen = bytes_of(self.path)
            items = list(self._unpack(self._parse(data))) if data is not None else []
        except DamagedError as damaged:
            self._set_aside(damaged.reason)
        except TooDeepError:
            self._set_aside(msg("it is nested too deeply"), seen)
        except UNREADABLE:
            self._set_aside(msg("it is not what this program writes"), seen)
        else:
            self._seen = seen
            return items
        return []

    @property
    def has_changed(self) -> bool:
        """True if another program has written to the file since it was last read or written here."""
        return _stamp(self.path) != self._seen

    # -- setting aside ---------------------------------------------------------------------------------------------
    def _set_aside(self, reason: Message | str, seen: Stamp | None = None) -> None:
        """Rename the damaged file, so that a person can still rescue data from it."""
        if seen is not None and _stamp(self.path) != seen:
            return  # another process has set it aside
        if set_aside(self.path, reason):
            self._seen = None
        else:
            self.is_blocked = True

    def _keep_copy(self, damaged: int) -> None:
        """Keep a copy of the file under a second name, before the good entries alone are written."""
        if any(_is_same(self.path, kept) for _, kept in files_set_aside(self.path)):
            return
        aside = free_name(self.path)
        try:
            _copy(self.path, aside)
        except OSError as error:
            self.is_blocked = True
            kept = msg("It cannot be copied ({reason}), so it is not written to.", reason=error.strerror or error)
        else:
            kept = msg("The file as it was is kept as {aside}.", aside=aside.name)
        message = (
            msg("One entry of {file} could not be read and was left out. {kept}", file=self.path, kept=kept)
            if damaged == 1
            else msg(
                "{count} entries of {file} could not be read and were left out. {kept}",
                count=damaged,
                file=self.path,
                kept=kept,
            )
        )
        report_damage(self.path, message, is_new=True)

    # -- writing ---------------------------------------------------------------------------------------------------
    def write(self, value: Any, *, indent: int | None = None) -> None:
        """Replace the content of the file; None removes it. As `write_bytes`."""
        self.write_bytes(json.dumps(value, indent=indent).encode("ascii") if value is not None else None)

    def write_bytes(self, data: bytes | None) -> None:
        """Replace the whole file in one step. Raises OSError, also if a damaged file could not be set aside."""
        self.guard()
        if data is None:
            retry_while_busy(lambda: self.path.unlink(missing_ok=True))
            self._seen = None
            return
        if len(data) > MAX_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(self.path))
        replace_file(self.path, data, is_private=self._is_private)
        self._seen = _stamp(self.path)

    def append(self, line: bytes) -> None:
        """Add one line, in one write; a line before it that was cut off is ended first. Raises OSError."""
        self.guard()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+", buffering=0) as file:
            torn = file.seek(0, os.SEEK_END) > 0 and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"
            file.write(b"\n" + line if torn else line)
        self._seen = _stamp(self.path)

    def guard(self) -> None:
        """Set aside an unreadable file of this name, which may be newer than the last read.

        Raises OSError if that fails.
        """
        stamp = _stamp(self.path)
        if self.is_blocked or stamp != self._seen or (stamp is None and os.path.lexists(self.path)):
            self._read()
        if self.is_blocked:
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), str(self.path))


def bytes_of(path: Path) -> tuple[bytes | None, Stamp | None]:
    """Return the bytes of a plain file and its stamp; None if there is no such file."""
    try:
        # A pipe under the file's name would block forever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        if path.is_symlink():
            raise DamagedError(msg("it is a link to a file that is not there")) from None
        return None, None
    except NotADirectoryError:
        return None, None
    except OSError as error:
        if sys.platform == "win32" and path.is_dir():
            raise DamagedError(msg("it is a folder")) from None
        raise DamagedError(error.strerror or str(error)) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise DamagedError(msg("it is a folder") if stat.S_ISDIR(status.st_mode) else msg("it is no plain file"))
        if status.st_size > MAX_BYTES:
            size, most = megabytes(status.st_size), megabytes(MAX_BYTES)
            raise DamagedError(msg("it has {size}, and {most} is the most", size=size, most=most))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1), _stamp_of(status)
    except OSError as error:
        raise DamagedError(error.strerror or str(error)) from None
    finally:
        os.close(descriptor)


def _stamp(path: Path) -> Stamp | None:
    try:
        return _stamp_of(path.stat())
    except (OSError, ValueError):
        return None


def _stamp_of(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns if os.name != "nt" else 0


def _is_same(one: Path, other: Path) -> bool:
    try:
        return other.samefile(one) or (other.is_file() and filecmp.cmp(one, other, shallow=False))
    except OSError:
        return False


def _copy(path: Path, aside: Path) -> None:
    """Add a second name for the bytes: they are replaced by renaming, never written over."""
    try:
        os.link(path.resolve(), aside)
    except OSError:  # a file system without links
        replace_file(aside, path.read_bytes(), is_private=True)
        shutil.copymode(path, aside)


# -- writing -------------------------------------------------------------------------------------------------------
def replace_file(path: Path, data: bytes, *, is_private: bool = False) -> None:
    """Write a file so that a reader, and the disk after a power cut, hold the old bytes or the new ones, never a part.

    A link's target is written to, and a file keeps its mode. Raises OSError.
    """
    place = path.resolve() if path.is_symlink() else path
    place.parent.mkdir(parents=True, exist_ok=True)
    # Private from the first moment: a later change of the mode would leave a gap.
    with partial_file(place.parent, mode=0o600 if is_private else 0o666) as (new, file):
        write_all(file, data)
        os.fsync(file.fileno())
        if not is_private and place.exists():
            shutil.copymode(place, new)
        if sys.platform == "win32":  # an open file cannot be renamed there
            file.close()
        rename_over(new, place)
    sync_folder(place.parent)
