"""Disk operations that survive a crash, and the names of partial files."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final, cast

from ..errors import DiskError, NameTakenError
from ..messages import megabytes, msg

__all__ = [
    "DISK_FULL_ERRORS",
    "NO_HARD_LINK_ERRORS",
    "PARTIAL_SUFFIX",
    "are_hard_links",
    "check_room",
    "create_partial_file",
    "lock",
    "name_taken_error",
    "partial_file",
    "publish",
    "rename_new",
    "rename_over",
    "retry_while_busy",
    "sweep",
    "sync",
    "sync_folder",
    "unlink_old_name",
    "write_all",
    "write_error",
]


WINDOWS_BUSY_ERRORS: Final = frozenset({5, 32, 33})
"""Windows' errors for an open file: access denied, sharing violation, lock violation."""
BUSY_TIMEOUT_S: Final = 3.0
"""Seconds."""

DISK_FULL_ERRORS: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of a full disk, quota or file system."""
_PERMISSION_ERRORS: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
NO_HARD_LINK_ERRORS: Final = frozenset(
    {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
)
"""Errors of file systems without hard links, and of Linux for files of another owner."""
_NO_FSYNC_ERRORS: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})
"""Errors of a file system without fsync."""

_AT_FDCWD: Final = -100
"""AT_FDCWD: a relative path is relative to the process's folder."""
_RENAME_NOREPLACE: Final = 1
_NO_RENAMEAT2_ERRORS: Final = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM})
"""Errors of old kernels, of file systems without it (NFS, some of FUSE) and of sandboxes."""

PARTIAL_SUFFIX: Final = ".vae-manager.writing"
"""Suffix of a file that is being written; the name begins with a dot, so that no WebUI lists it."""


def retry_while_busy(change: Callable[[], object]) -> None:
    """Call `change`, a renaming or a removal. Raises `OSError`.

    Windows refuses both while another handle of the file is open: of a virus scanner that checks new files, or of a
    thread that reads. That lasts a moment, so the call is repeated for a while there.
    """
    until = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            change()
            return
        except PermissionError as error:
            if getattr(error, "winerror", None) not in WINDOWS_BUSY_ERRORS or time.monotonic() >= until:
                raise
            time.sleep(0.02)


def rename_over(file: Path, target: Path) -> None:
    """Rename within a file system; a file under the target name is replaced. Raises `OSError`."""
    retry_while_busy(lambda: file.replace(target))


def sync_folder(folder: Path) -> None:
    """Sync the names in `folder` to the disk, if the system supports that: Windows cannot open a folder."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_error(folder: Path, error: OSError) -> DiskError:
    """Return the project's error for a failure to write to `folder`."""
    if error.errno in DISK_FULL_ERRORS:
        return DiskError(
            msg("{folder} is full. Nothing was changed; make room and try again.", code="disk-full", folder=folder)
        )
    if error.errno in _PERMISSION_ERRORS:
        return DiskError(
            msg(
                "Nothing may be written to {folder}: no permission, or it is read-only.",
                code="not-writable",
                folder=folder,
            )
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ELOOP):
        if (obstacle := _obstacle(folder)) is not None:
            return DiskError(
                msg(
                    "The folder {folder} cannot be made, since {obstacle} is no folder. Choose another folder.",
                    code="not-a-folder",
                    folder=folder,
                    obstacle=obstacle,
                )
            )
        return DiskError(msg("{folder} is not a folder, or it is no longer there.", code="not-a-folder", folder=folder))
    return DiskError(
        msg(
            "The disk of {folder} reports: {reason}", code="disk-reports", folder=folder, reason=error.strerror or error
        )
    )


def _obstacle(folder: Path) -> Path | None:
    """Return what stands at the path of `folder` or of a parent and is no folder; None if nothing does."""
    for place in (folder, *folder.parents):
        if os.path.lexists(place):
            return None if place.is_dir() else place
    return None


def check_room(folder: Path, needed: int) -> None:
    """Raise DiskError unless `needed` more bytes fit."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise write_error(folder, error) from error
    if needed > free:
        raise DiskError(
            msg(
                "{folder} has {free} free, but {needed} are needed. Make room and try again.",
                code="no-space",
                folder=folder,
                free=megabytes(free),
                needed=megabytes(needed),
            )
        )


def sync(descriptor: int) -> None:
    """Sync the written bytes to the disk, if the file system supports that."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FSYNC_ERRORS:
            raise


def publish(file: Path, target: Path) -> None:
    """Give `file` the name `target` on the same file system; after a power cut the target is the whole file or missing.

    Never overwrites: raises NameTakenError if the name is taken, even since a moment. OSErrors are passed on.
    """
    try:
        rename_new(file, target)
    except FileExistsError:
        raise name_taken_error(target) from None
    sync_folder(target.parent)


def rename_new(source: Path, target: Path) -> None:
    """Rename within a file system; raise FileExistsError if the target exists. All publishing uses this."""
    if sys.platform == "win32":
        retry_while_busy(lambda: source.rename(target))  # fails there if the target exists
        return
    if _rename_exclusively(source, target):
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_HARD_LINK_ERRORS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        source.rename(target)
    else:
        unlink_old_name(source, target)


def _rename_exclusively(source: Path, target: Path) -> bool:
    """Rename in one step that cannot overwrite (renameat2(2)); return False if the system or file system lacks it."""
    function = _renameat2()
    if function is None:
        return False
    sys.audit("os.rename", source, target, -1, -1)  # ctypes reports no rename to audit hooks
    if function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_RENAMEAT2_ERRORS:
        return False
    raise OSError(number, os.strerror(number), str(source), None, str(target))


@functools.cache
def _renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # glibc has it since 2.28, musl since 1.2.5
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return cast("Callable[[int, bytes, int, bytes, int], int]", function)


def unlink_old_name(source: Path, target: Path) -> None:
    """Remove the old name of a file; if that fails, remove the new one, so that the previous state is restored."""
    try:
        source.unlink()
    except OSError as error:
        target.unlink()
        raise write_error(source.parent, error) from error


def are_hard_links(one: Path, other: Path) -> bool:
    """Return True if two directory entries are hard links of one file: removing either then loses no byte.

    One entry that is reached by two paths (on a case-insensitive disk, or a folder that is mounted twice) is one name.
    """
    try:
        first, second = one.lstat(), other.lstat()
        if not stat.S_ISREG(first.st_mode) or first.st_nlink < 2 or not os.path.samestat(first, second):
            return False
        if not os.path.samestat(one.parent.stat(), other.parent.stat()):
            return True
        return one.name != other.name and {one.name, other.name} <= {path.name for path in one.parent.iterdir()}
    except OSError:
        return False


def name_taken_error(target: Path) -> NameTakenError:
    """Return the error for a `target` that is another file already: it keeps that file and asks for a new name."""
    return NameTakenError(
        msg(
            "{folder} has another file named {file}. It is left as it is: rename or remove it, or choose another "
            "name, then try again.",
            code="name-taken",
            folder=target.parent,
            file=target.name,
        )
    )


@contextmanager
def partial_file(folder: Path, mode: int = 0o666) -> Iterator[tuple[Path, FileIO]]:
    """Make a file in `folder` with a name that no WebUI lists, removed at the end unless it was renamed.

    `mode` is that of the new file, less the process's umask. Such files of ended processes are removed first. OSErrors
    are passed on.
    """
    sweep(folder)
    path, file = create_partial_file(folder, mode)
    try:
        yield path, file
    finally:
        file.close()
        with suppress(OSError):
            path.unlink()


def write_all(file: FileIO, data: bytes | memoryview) -> None:
    """Write all of `data`; a single write may be partial."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def sweep(folder: Path) -> int:
    """Remove the partial files of killed processes in `folder`, not those of living ones; return their number."""
    try:
        with os.scandir(folder) as entries:
            left = [
                entry.path for entry in entries if entry.name.startswith(".") and entry.name.endswith(PARTIAL_SUFFIX)
            ]
    except OSError:
        return 0
    return sum(_remove_if_unlocked(Path(path)) for path in left)


def create_partial_file(folder: Path, mode: int = 0o666) -> tuple[Path, FileIO]:
    """Make a file in `folder`, locked until it is closed; `sweep` removes it after that, unless it was renamed."""
    while True:
        path = folder / f".{secrets.token_hex(8)}{PARTIAL_SUFFIX}"
        file = FileIO(path, "x+b", opener=lambda name, flags: os.open(name, flags, mode))
        lock(file, wait=True)
        if path.exists():  # else another process removed it before it was locked
            return path, file
        file.close()


def _remove_if_unlocked(path: Path) -> bool:
    """Remove a partial file without a writer; return True if it is gone."""
    with suppress(OSError), FileIO(path, "r+b") as file:
        if not lock(file, wait=False):
            return False
        if sys.platform == "win32":
            file.close()
        path.unlink()
        return True
    return False


def lock(file: FileIO, *, wait: bool) -> bool:
    """Lock `file` until it is closed or its process ends; return False if it is locked or locks are missing."""
    if sys.platform == "win32":
        return True  # an open file cannot be removed there
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
