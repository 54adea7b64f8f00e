"""Local copies: files of this machine that have the wanted bytes already, so that nothing has to be fetched.

They are looked for in the library, in the cache of huggingface_hub, and in the folders of other programs that the owner
has named. A name is never believed: all bytes are read and compared with the wanted SHA-256. The library then gets

    a hard link    to a blob of the hub's cache, to a file of the library alone, or to a file that nobody may write to
    a clone        of any other file, if the file system can share blocks until one of the two is written to
    a copy         of what is left

A hard link shares the bytes with the other program. The hub's blobs are never written to, since their name is their
hash, and the library's files are not either, unless they have a name elsewhere too. Any other program may save over its
own file, and a linked VAE would then change without a new name.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from ..catalogue.entry import COMPANIONS, SHA256, HubSource, Source, name_at
from ..catalogue.file_names import is_generic, suffix_here
from ..catalogue.local_path import local_path
from ..errors import Cancelled, DiskError, NotFoundError, UsageError, VaeManagerError
from ..files import sha256_of
from ..files.disk import (
    NO_HARD_LINK_ERRORS,
    PARTIAL_SUFFIX,
    check_room,
    lock,
    partial_file,
    publish,
    sync,
    write_all,
    write_error,
)
from ..library import Folder, VaeFile, scan
from ..library.moving import LibraryContext, carry, what_is_known
from ..messages import Message, msg
from .hub import hub_constants
from .request import LocalPlaces, Network, Taken, Way

__all__ = [
    "ALSO",
    "Copy",
    "Snapshot",
    "Wanted",
    "copies_of",
    "folders_of_environment",
    "hub_cache",
    "is_cached",
    "snapshot_of",
    "take",
]

ALSO: Final = "VAE_MANAGER_ALSO"
"""The environment variable with folders of other programs, separated as in PATH."""
CHUNK: Final = 4 << 20
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_FICLONE: Final = 0x40049409
"""The request of ioctl(2) that shares the blocks of another file (ioctl_ficlone(2))."""
_NO_LINK_ERRORS: Final = NO_HARD_LINK_ERRORS | {errno.EXDEV, errno.EACCES, errno.ENOENT}
_WRITABLE: Final = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH

_Stamp = tuple[int, int, int, int]


@dataclass(frozen=True)
class Wanted:
    """The bytes that are looked for."""

    sha256: str
    size: int | None
    """None: not known. Then only files of a wanted name, and those whose stored hash is the wanted one, are read."""
    file_name: str
    sources: Sequence[Source] = ()

    @property
    def names(self) -> frozenset[str]:
        """The names that a copy is likely to have, in lower case."""
        return frozenset(name.lower() for name in (self.file_name, *map(name_at, self.sources)) if name)


@dataclass(frozen=True)
class Copy:
    """A file that may have the wanted bytes."""

    path: Path
    is_named: bool
    """Its name promises the wanted bytes, so other bytes are worth a notice."""


@dataclass(frozen=True)
class Snapshot:
    """A file of a repository in the hub's cache."""

    path: Path
    sha256: str | None
    """The hash that the hub published for it; None if the cache does not tell."""


@dataclass(frozen=True)
class _FoundFile:
    """A file in a folder of another program."""

    name: str
    path: Path
    size: int
    """Bytes."""
    is_arriving: bool
    """A download program has a file of its own beside it."""


_File = VaeFile | _FoundFile


def hub_cache() -> Path | None:
    """Return the cache of huggingface_hub on this machine; None without a usable huggingface_hub.

    HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE and HF_HOME set it. Versions before 0.17 do not read the first.
    """
    try:
        constants = hub_constants()
    except UsageError:
        return None
    folder = os.environ.get("HF_HUB_CACHE") or getattr(constants, "HF_HUB_CACHE", None)
    return local_path(os.path.expandvars(folder or constants.HUGGINGFACE_HUB_CACHE))


def folders_of_environment() -> list[Path]:
    """Return the folders of other programs that VAE_MANAGER_ALSO names; they need not exist."""
    return [local_path(folder) for folder in os.environ.get(ALSO, "").split(os.pathsep) if folder]


# -- the search --------------------------------------------------------------------------------------------------------
def copies_of(wanted: Wanted, places: LocalPlaces) -> Iterator[Copy]:
    """Yield the files of `places` that may have the wanted bytes, each real file once; no file is read here.

    A failure ends the search with a notice and is never raised, since the bytes can be downloaded.
    """
    met: set[str] = set()
    try:
        for copy in _every_copy(wanted, places):
            real = os.path.realpath(copy.path)
            if real not in met:
                met.add(real)
                yield copy
    except (OSError, ValueError, VaeManagerError) as error:
        places.notice(
            msg(
                "The search for {file} on this machine ended early, so the file may be downloaded although it is here: "
                "{reason}.",
                code="search-failed",
                file=wanted.file_name,
                reason=getattr(error, "strerror", None) or error,
            )
        )


def _every_copy(wanted: Wanted, places: LocalPlaces) -> Iterator[Copy]:
    yield from _by_likelihood(wanted, scan([Folder(folder) for folder in places.library], places.notice), places)
    if places.hub_cache is not None:
        yield from _in_hub_cache(wanted, places.hub_cache, places.notice)
    yield from _by_likelihood(wanted, _files_below(wanted, places.others, places.notice), places)


def _by_likelihood(wanted: Wanted, files: Iterable[_File], places: LocalPlaces) -> Iterator[Copy]:
    """Yield files of the wanted size, those with the wanted hash or name first."""
    names = wanted.names
    found: list[tuple[bool, bool, Path]] = []
    for file in files:
        is_named = file.name.lower() in names
        if file.is_arriving or (wanted.size is not None and file.size != wanted.size):
            continue
        known = places.hashes.known(file.path) if places.hashes is not None else None
        is_likely = wanted.size is not None or is_named or known == wanted.sha256
        if is_likely and known in (None, wanted.sha256):
            found.append((known is None, not is_named, file.path))
    for _, is_other_name, path in sorted(found):
        yield Copy(path, is_named=not is_other_name and not is_generic(path.name))


def _files_below(wanted: Wanted, folders: Iterable[Path], notice: Callable[[Message], None]) -> Iterator[_File]:
    """Yield the regular files below `folders`; without a wanted size, those with a suffix of a VAE or a wanted name.

    Other programs give VAEs suffixes in capitals and suffixes that no WebUI lists, and keep them in folders that begin
    with a dot. Links to folders are followed; each real folder is entered once.
    """
    names = wanted.names
    entered: set[str] = set()
    waiting = [str(folder) for folder in folders]
    while waiting:
        place = waiting.pop()
        real = os.path.realpath(place)
        if real in entered:
            continue
        entered.add(real)
        entries = _entries(place, notice)
        arriving = {entry.name.rpartition(".")[0] for entry in entries if entry.name.endswith(COMPANIONS)}
        for entry in entries:
            try:
                status = entry.stat()
            except OSError:  # deleted since, or a dangling link
                continue
            if stat.S_ISDIR(status.st_mode):
                waiting.append(entry.path)
            elif (
                stat.S_ISREG(status.st_mode)
                and not entry.name.endswith((PARTIAL_SUFFIX, *COMPANIONS))
                and (wanted.size is not None or suffix_here(entry.name) or entry.name.lower() in names)
            ):
                yield _FoundFile(entry.name, Path(entry.path), status.st_size, entry.name in arriving)


def _entries(place: str, notice: Callable[[Message], None]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        notice(_unreadable(Path(place), error))
        return []


def _unreadable(folder: Path, error: OSError) -> Message:
    return msg(
        "The folder {path} cannot be read: {reason}.",
        code="unreadable",
        path=folder,
        reason=error.strerror or error,
    )


def _in_hub_cache(wanted: Wanted, cache: Path, notice: Callable[[Message], None]) -> Iterator[Copy]:
    """Yield the blob that is named by the wanted hash, then files of the wanted repositories by their path.

    Without links (Windows), snapshots hold the files themselves; the blobs of some mirrors have other names.
    """
    named = [(_repository(cache, source), source) for source in wanted.sources if isinstance(source, HubSource)]
    for repository in dict.fromkeys([*(folder for folder, _ in named), *_sorted(cache, "models--*")]):
        blob = repository / "blobs" / wanted.sha256
        if _is_file(blob, notice):
            yield Copy(blob, is_named=True)
    for repository, source in named:
        for snapshot in _sorted(repository / "snapshots", "*") if _is_inside(source.path) else ():
            path = snapshot / source.path
            if _is_file(path) and _hash_by_name(path) in (None, wanted.sha256):
                yield Copy(path, is_named=False)  # another revision may have other bytes


def _is_file(path: Path, notice: Callable[[Message], None] | None = None) -> bool:
    """Return True for a file; `notice` receives the reason why its folder cannot be read.

    `Path.is_file` raises PermissionError for a path below a folder that this user may not enter.
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except PermissionError as error:
        if notice is not None:
            notice(_unreadable(path.parent, error))
    except (OSError, ValueError):
        pass  # there is no such file
    return False


def _repository(cache: Path, source: HubSource) -> Path:
    return cache / f"models--{source.repo.replace('/', '--')}"


def _sorted(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(folder.glob(pattern))
    except OSError:
        return []


def _is_inside(path: str) -> bool:
    """Return True for a relative path that leaves no folder upwards."""
    return all(part not in ("", ".", "..") for part in path.split("/")) and "\\" not in path and ":" not in path


def _hash_by_name(path: Path) -> str | None:
    """Return the hash that a blob's name promises: that of a large file's bytes."""
    real = Path(os.path.realpath(path))
    return real.name if real.parent.name == "blobs" and SHA256.fullmatch(real.name) else None


def snapshot_of(source: HubSource, cache: Path, *, pinned_only: bool) -> Snapshot | None:
    """Return the file of `source` in the hub's cache, if it is there.

    With `pinned_only`, a branch does not count: only the hub knows what it means now.
    """
    revision = source.revision or "main"
    repository = _repository(cache, source)
    commit = revision if _COMMIT.fullmatch(revision) else None
    if commit is None:
        if pinned_only or not _is_inside(revision):
            return None
        try:
            commit = (repository / "refs" / revision).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
    path = repository / "snapshots" / commit / source.path
    if not _COMMIT.fullmatch(commit) or not _is_inside(source.path) or not _is_file(path):
        return None
    return Snapshot(path, _hash_by_name(path))


def is_cached(source: Source, network: Network) -> bool:
    """Return True if the hub's cache has a file of `source`, whose bytes the hub may have changed since."""
    cache = network.places.hub_cache
    return (
        isinstance(source, HubSource)
        and cache is not None
        and snapshot_of(source, cache, pinned_only=False) is not None
    )


# -- the taking --------------------------------------------------------------------------------------------------------
def take(
    copy: Copy,
    target: Path,
    places: LocalPlaces,
    *,
    sha256: str | None,
    check: Callable[[Path], object],
    report: Callable[[int], None],
    stop: threading.Event,
) -> Taken | None:
    """Verify a local copy by all of its bytes and put it under the name `target`, which is never overwritten.

    A copy that is gone, unreadable, changed meanwhile or made of other bytes is passed over, with a notice if it
    matters.

    Args:
        copy: The file.
        target: The wanted path; its folder exists.
        places: The places that the file was found in.
        sha256: The wanted hash; None takes any bytes.
        check: Called with the file before it gets its name; what it raises is raised.
        report: Receives the number of bytes that were read.
        stop: Ends the work.

    Returns:
        None if the file cannot be taken.

    Raises:
        NameTakenError: `target` is another file.
        DiskError: The folder of `target` cannot be written.
        Cancelled: `stop` was set.
    """
    real = Path(os.path.realpath(copy.path))
    try:
        before = _stamp(real)
        found = sha256_of(real, report=report, stop=stop)
        has_changed = _stamp(real) != before
    except (OSError, NotFoundError, DiskError):
        places.notice(msg("{path} cannot be read, so it is not used.", code="copy-unreadable", path=copy.path))
        return None
    if has_changed:
        places.notice(_changed(copy))
        return None
    if places.hashes is not None:
        places.hashes.remember(copy.path, found)
    if sha256 not in (None, found):
        if copy.is_named:
            places.notice(
                msg(
                    "{path} does not have the bytes that its name promises, so it is not used. Expected SHA-256: "
                    "{expected}. Found: {found}.",
                    code="copy-has-other-bytes",
                    path=copy.path,
                    expected=sha256,
                    found=found,
                )
            )
        return None
    library = LibraryContext(scan([Folder(folder) for folder in places.library]), memories=places.memories)
    known = what_is_known(real, target, library, stays=True, is_link=True) if places.memories else ()
    ways: tuple[Way, ...] = (
        ("linked", "cloned", "copied") if _can_be_linked(real, library, places, found) else ("cloned", "copied")
    )
    for way in ways:
        with _brought(real, before, target.parent, way, stop) as hidden:
            if hidden is None:
                continue
            if way != "linked" and sha256_of(hidden, stop=stop) != found:
                break
            check(hidden)
            publish(hidden, target)
        carry(known, library)
        return Taken(copy.path, way, found)
    places.notice(_changed(copy))
    return None


def _stamp(path: Path) -> _Stamp:
    """Return what shows a change of a file; raise OSError for anything but a file: to open a pipe waits for a writer.

    The ctime is left out, since a hard link changes it.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError("no regular file")
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _changed(copy: Copy) -> Message:
    return msg("{path} was changed while it was being read, so it is not used.", code="copy-changed", path=copy.path)


def _can_be_linked(real: Path, library: LibraryContext, places: LocalPlaces, sha256: str) -> bool:
    """Return True for a file that no program writes to in its place, under any of its names."""
    try:
        status = real.stat()
    except OSError:
        return False
    if not status.st_mode & _WRITABLE:
        return True
    cache = places.hub_cache
    if cache is not None and real.is_relative_to(os.path.realpath(cache)):
        return True
    if not any(real.is_relative_to(os.path.realpath(root)) for root in places.library):
        return False
    if status.st_nlink == 1:
        return True
    names = [file.path for file in library.files if file.size == status.st_size]
    if cache is not None:  # a blob that was linked into the library
        names += [copy.path for copy in _in_hub_cache(Wanted(sha256, status.st_size, ""), cache, places.notice)]
    return len({os.path.realpath(name) for name in names if _is_same(name, status)}) >= status.st_nlink


def _is_same(path: Path, status: os.stat_result) -> bool:
    """Return True if `path` is a name of the file with this status."""
    try:
        return os.path.samestat(path.stat(), status)
    except OSError:
        return False


@contextmanager
def _brought(real: Path, before: _Stamp, folder: Path, way: Way, stop: threading.Event) -> Iterator[Path | None]:
    """Bring the bytes of `real` into `folder` under a hidden name, which is removed at the end unless it was renamed.

    Yield None if that is not possible in this way.
    """
    try:
        if way == "linked":
            with _link(real, before, folder) as hidden:
                yield hidden
            return
        if way == "copied":
            check_room(folder, before[2])
        with partial_file(folder) as (hidden, file):
            is_filled = _clone(real, file) if way == "cloned" else _copy(real, file, stop)
            if is_filled:
                sync(file.fileno())
            if sys.platform == "win32":
                file.close()  # an open file cannot be renamed there
            yield hidden if is_filled else None
    except OSError as error:
        raise write_error(folder, error) from error


@contextmanager
def _link(real: Path, before: _Stamp, folder: Path) -> Iterator[Path | None]:
    hidden = folder / f".{secrets.token_hex(8)}{PARTIAL_SUFFIX}"
    try:
        hidden.hardlink_to(real)
    except OSError as error:
        if error.errno not in _NO_LINK_ERRORS:
            raise
        yield None
        return
    try:
        with _held(hidden):
            yield hidden if _stamp(hidden) == before else None
    finally:
        with suppress(OSError):
            hidden.unlink()


@contextmanager
def _held(hidden: Path) -> Iterator[None]:
    """Lock a hidden file, so that no other process sweeps it away."""
    if sys.platform == "win32":  # an open file cannot be renamed there
        yield
        return
    with FileIO(hidden, "rb") as file:
        lock(file, wait=False)
        yield


def _clone(real: Path, file: FileIO) -> bool:
    """Share the blocks of `real`; return False if the system or the file system cannot do that."""
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    try:
        with FileIO(real, "rb") as source:
            fcntl.ioctl(file.fileno(), _FICLONE, source.fileno())
    except OSError:
        return False
    return True


def _copy(real: Path, file: FileIO, stop: threading.Event) -> bool:
    """Copy the bytes of `real`; return False if it can no longer be read. Raises OSError for a failure to write."""
    try:
        source = FileIO(real, "rb")
    except OSError:
        return False
    buffer = memoryview(bytearray(CHUNK))
    with source:
        while True:
            if stop.is_set():
                raise Cancelled(msg("Stopped."))
            try:
                count = source.readinto(buffer)
            except OSError:
                return False
            if not count:
                return True
            write_all(file, buffer[:count])
