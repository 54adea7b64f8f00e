"""A file is given another place. What is there is never overwritten, whatever happens between a look and the deed.

    on one file system       link(source, target), which fails where there is something; then the old name goes
    where there are no links open(target, "x"), which fails where there is something; then rename over that empty file
    to another file system   copy into a hidden file beside the target, its SHA-256 compared, then as above;
                             the source goes last

A link is moved as a link: what it leads to stays where it is.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..errors import Cancelled, DiskError, FileChangedError, IntegrityError, NameTakenError, RefusedError
from ..files import identity_of, sha256_of
from ..files.headers import disk_error
from ..files.writing import sync_folder
from ..sentences import say

__all__ = ["Report", "copy", "link", "move", "write_error"]

Report = Callable[[int, int], None]
"""Told how many bytes are done, and how many there are in all."""

CHUNK: Final = 4 << 20
ABANDONED: Final = 3600.0
"""Seconds after which nobody writes to a half copy any more."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
"""What file systems say that know no hard links, and Linux of files of somebody else."""


def move(source: Path, target: Path, *, report: Report | None = None, stop: threading.Event | None = None) -> None:
    """Give `source` the place `target`; the folder must be there.

    Raises NameTakenError where something is there, DiskError, and Cancelled while it is copied; it is then as before.
    """
    try:
        if source.is_symlink():
            _move_link(source, target)
        elif _is_other_case(source, target):
            source.rename(target)
        else:
            _move_file(source, target, report, stop)
    except OSError as error:
        raise _refusal(error, source, target) from error
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def copy(source: Path, target: Path, *, report: Report | None = None, stop: threading.Event | None = None) -> None:
    """Put a copy of the bytes of `source` at `target`, proven by its SHA-256. Raises as `move` does."""
    try:
        _copy(source, target, report, stop)
    except OSError as error:
        raise _refusal(error, source, target) from error
    sync_folder(target.parent)


def link(source: Path, target: Path) -> None:
    """Give the bytes of `source` a second name. Raises RefusedError where the disk cannot, else as `move` does."""
    try:
        os.link(os.path.realpath(source), target)
    except FileExistsError:
        raise name_taken(target) from None
    except OSError as error:
        if error.errno == errno.EXDEV or error.errno in _NO_LINKS:
            raise RefusedError(
                say("{file} cannot be linked into {folder}: copy it instead.", file=source.name, folder=target.parent)
            ) from error
        raise _refusal(error, source, target) from error
    sync_folder(target.parent)


def name_taken(target: Path) -> NameTakenError:
    return NameTakenError(
        say(
            "{folder} has another file named {file}. It is left as it is: rename or remove it, then try again.",
            folder=target.parent,
            file=target.name,
        )
    )


def write_error(folder: Path, error: OSError) -> DiskError:
    """The system's refusal to write into `folder`."""
    if error.errno in _FULL:
        return DiskError(say("{folder} is full. Nothing was changed; make room and try again.", folder=folder))
    if error.errno in _FORBIDDEN:
        return DiskError(say("Nothing may be written to {folder}: no permission, or it is read-only.", folder=folder))
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ELOOP):
        return DiskError(say("{folder} is not a folder, or it is no longer there.", folder=folder))
    return DiskError(say("The disk of {folder} reports: {reason}", folder=folder, reason=error.strerror or error))


def _refusal(error: OSError, source: Path, target: Path) -> Exception:
    if isinstance(error, FileExistsError) and os.path.lexists(target):
        return name_taken(target)
    if not os.path.lexists(source):
        return disk_error(source, error)
    return write_error(target.parent, error)


# -- on one file system --------------------------------------------------------------------------------------------
def _move_file(source: Path, target: Path, report: Report | None, stop: threading.Event | None) -> None:
    try:
        _publish(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        before = identity_of(source)
        _copy(source, target, report, stop)
        if identity_of(source) != before:
            target.unlink()
            raise _changed(source) from None
        _let_go(source, target)


def _publish(source: Path, target: Path) -> None:
    """Rename within a file system, never over something."""
    if sys.platform == "win32":
        source.rename(target)  # fails there where there is something
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _claim_and_replace(source, target)
    else:
        _let_go(source, target)


def _claim_and_replace(source: Path, target: Path) -> None:
    with target.open("xb"):  # the name is ours from here on
        pass
    try:
        source.replace(target)
    except OSError:
        target.unlink()
        raise


def _move_link(source: Path, target: Path) -> None:
    leads_to = str(source.readlink())
    if source.parent != target.parent:  # a relative one is meant from where it stands
        leads_to = os.path.normpath(source.parent.absolute() / leads_to)
    target.symlink_to(leads_to)
    _let_go(source, target)


def _let_go(source: Path, target: Path) -> None:
    """Take the old name away; where that cannot be, the new one, so that all is as before."""
    try:
        source.unlink()
    except OSError as error:
        target.unlink()
        raise write_error(source.parent, error) from error


def _is_other_case(source: Path, target: Path) -> bool:
    """Whether only capitals differ, on a disk that sees no difference: then the two names are one."""
    if source.parent != target.parent or source.name.casefold() != target.name.casefold():
        return False
    names = {path.name for path in source.parent.iterdir()}
    return target.name not in names and os.path.lexists(target)


# -- to another one ------------------------------------------------------------------------------------------------
def _copy(source: Path, target: Path, report: Report | None, stop: threading.Event | None) -> None:
    if os.path.lexists(target):  # it would be found at the end too
        raise name_taken(target)
    _sweep(target.parent)
    # The process and the thread are in the name: two that copy the same do not meet.
    own = f"{target.name} {os.getpid()} {threading.get_ident()}"
    partial = target.with_name(f".{hashlib.sha256(own.encode()).hexdigest()[:16]}.vae-manager.copy")
    before = identity_of(source)
    try:
        sha256 = _copied(source, partial, report, stop)
        if identity_of(source) != before:
            raise _changed(source)
        if sha256_of(partial, stop=stop) != sha256:
            raise IntegrityError(
                say(
                    "The disk gave back other bytes of {file} than were written. Nothing was changed.",
                    file=source.name,
                )
            )
        _publish(partial, target)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _copied(source: Path, partial: Path, report: Report | None, stop: threading.Event | None) -> str:
    """Copy the bytes and their time; returns the SHA-256 of what was read. The disk holds them then."""
    digest = hashlib.sha256()
    try:
        old = source.open("rb", buffering=0)
    except OSError as error:
        raise disk_error(source, error) from error
    with old, partial.open("xb", buffering=0) as new:
        total, done = os.fstat(old.fileno()).st_size, 0
        while block := old.read(CHUNK):
            if stop is not None and stop.is_set():
                raise Cancelled(say("Copying {file} was stopped. Nothing was changed.", file=source.name))
            digest.update(block)
            rest = memoryview(block)
            while rest:
                rest = rest[new.write(rest) :]
            done += len(block)
            if report is not None:
                report(done, total)
        os.fsync(new.fileno())
    with suppress(OSError):
        shutil.copystat(source, partial)
    return digest.hexdigest()


def _sweep(folder: Path) -> None:
    """Remove half copies whose process was killed."""
    for path in folder.glob(".*.vae-manager.copy"):
        with suppress(OSError):
            if time.time() - path.stat().st_ctime > ABANDONED:
                path.unlink()


def _changed(source: Path) -> FileChangedError:
    return FileChangedError(say("{file} was written to while it was being copied. Try again.", file=source.name))
