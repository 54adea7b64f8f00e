"""Moves that never overwrite and survive a crash, and the trash of the system.

A file under the target name is never overwritten, even if it appears between the check and the move:

    on one file system       link(source, target), which fails if the target exists; then the old name is removed
    without hard links       open(target, "x"), which fails if the target exists; then rename over that empty file
    to another file system   copy into a hidden file beside the target, its SHA-256 compared, then as above;
                             the source is removed last

A link is moved as a link: its target stays in place.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final

from ..errors import Cancelled, FileChangedError, IntegrityError, RefusedError
from ..files import identity_of, sha256_of
from ..files.disk import (
    NO_HARD_LINK_ERRORS,
    check_room,
    name_taken_error,
    partial_file,
    rename_new,
    sync,
    sync_folder,
    unlink_old_name,
    write_all,
    write_error,
)
from ..files.headers import disk_error
from ..messages import msg

__all__ = [
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
