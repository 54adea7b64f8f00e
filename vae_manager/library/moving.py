"""Operations of a person on a file of the library: rename, move to another VAE folder, adopt from anywhere.

No file is ever overwritten. The sidecars of a VAE move with it, and its records follow. Either all of the files move or
all stay.
"""

from __future__ import annotations

import itertools
import os
import stat
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ..catalogue.entry import safe_file_name
from ..catalogue.file_names import listed_name, listed_suffix
from ..errors import DiskError, NameTakenError, RefusedError, VaeManagerError
from ..files import FileRecord, Identity, identity_of, inspect
from ..files.headers import disk_error
from ..messages import msg
from ..records.verdict import A1111, Refused, Verdict, obstacle_of, verdict
from . import operations
from .folders import Folder, VaeFile, sidecars_of
from .operations import Intent, Journal, Report

__all__ = [
    "ALONE",
    "How",
    "LibraryContext",
    "Memory",
    "absolute",
    "adopt",
    "carry",
    "check_free",
    "free_name",
    "has_only",
    "move",
    "move_all",
    "noted",
    "rename",
    "target_for",
    "what_is_known",
]

How = Literal["copy", "move", "link"]


class Memory(Protocol):
    """A store that identifies files by their identity, such as `HashStore` and `Index`."""

    def carry(self, before: Identity, after: Path) -> None:
        """Copy the facts of the file `before` to `after`, which has the same bytes."""


@dataclass(frozen=True)
class LibraryContext:
    """The facts about the rest of the library that an operation on one file needs."""

    files: Sequence[VaeFile] = ()
    """All VAE files of the WebUI: it keeps base names alone, so no second file may get a name that is taken."""
    folders: Sequence[Folder] = ()
    """The folders that the WebUI searches: among checkpoints, a VAE's name has another ending."""
    in_use: Callable[[Path], bool] = lambda path: False
    """Returns True for the VAE in the model, and for the one that is chosen."""
    renaming: Callable[[Path, Path], None] = lambda before, after: None
    """Called with the old and the new path before a file gets another one, and with both exchanged after a failure:
    whoever looks for the file between the change and its end finds it."""
    memories: Sequence[Memory] = ()
    judge: Callable[[FileRecord], Verdict] = lambda record: verdict(record, A1111)
    """Returns the verdict of the WebUI on a file."""
    journal: Journal | None = None
    """Journal of operations on several files, so that an interrupted one can be completed; None to keep no notes."""


ALONE = LibraryContext()
"""For a folder that no WebUI uses."""


def rename(file: Path, name: str, library: LibraryContext = ALONE) -> Path:
    """Rename `file` in its folder; a `name` without one of the three extensions keeps the file's.

    Returns the new path. Raises RefusedError and its subclasses if it is not allowed, NotFoundError, DiskError.
    """
    check_free(file, library)
    target = target_for(file, name, file.parent, library)
    # As text: to Windows, paths that differ in capitals alone are equal.
    return file if target.name == file.name else _moved(file, target, library)


def move(file: Path, folder: Path, library: LibraryContext = ALONE, *, report: Report | None = None,
         stop: threading.Event | None = None) -> Path:  # fmt: skip
    """Move `file` into another folder, under the same name. Returns the new path; raises as `rename` does.

    To another file system it is copied, the copy verified, and the original removed, which can take long.
    """
    check_free(file, library)
    _make(folder)
    if folder.samefile(file.parent):
        return file
    target = folder / file.name
    _check_ending(target, library)
    return _moved(file, target, library, report, stop)


def adopt(source: Path, folder: Path, how: How = "copy", name: str | None = None, library: LibraryContext = ALONE, *,
          report: Report | None = None, stop: threading.Event | None = None) -> Path:  # fmt: skip
    """Bring a file from anywhere into a VAE folder, after an inspection; `name` is its own by default.

    A copy is verified by its SHA-256; "link" gives the same bytes a second name. Returns the new path. Raises
    RefusedError if the WebUI could not load it, with the reason; otherwise as `rename` does.
    """
    _check_file(source)
    if how == "move":
        check_free(source, library)
    record = inspect(source)
    answer = library.judge(record)
    if isinstance(answer, Refused):
        raise RefusedError(
            msg("{problem} It was left where it is.", code=answer.reason.code, problem=answer.reason.message)
        )
    obstacle = obstacle_of(answer)
    # The present extension does not matter: that of the new name is checked below.
    if obstacle is not None and obstacle.code != "wrong-suffix":
        raise RefusedError(
            msg("{problem} Convert it, and import what that makes.", code=obstacle.code, problem=obstacle.message)
        )
    name = listed_name(source.name if name is None else name, source.name)
    _check_container(name, record)
    target = _target(folder, name, library, leaving=source if how == "move" else None)
    _make(folder)
    if how == "move":
        return _moved(source, target, library, report, stop)
    known = what_is_known(source, target, library, stays=True, is_link=how == "link")
    if how == "copy":
        operations.copy(source, target, report=report, stop=stop)
    else:
        operations.link(source, target)
    carry(known, library)
    return target


def target_for(file: Path, name: str, folder: Path, library: LibraryContext = ALONE) -> Path:
    """Return the path in `folder` for the new `name` of `file`.

    Raises UsageError, and RefusedError and its subclasses.
    """
    name = listed_name(name, file.name)
    if Path(name).suffix != file.suffix:
        _check_container(name, inspect(file))
    return _target(folder, name, library, leaving=file)


# -- checks ------------------------------------------------------------------------------------------------------------
def _check_file(file: Path) -> None:
    try:
        mode = file.lstat().st_mode
    except OSError as error:
        raise disk_error(file, error) from error
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        raise DiskError(msg("{path} is not a file.", code="not-a-file", path=file))


def check_free(file: Path, library: LibraryContext) -> None:
    """Raise unless `file` exists and is not in use."""
    _check_file(file)
    if library.in_use(file):
        raise RefusedError(
            msg(
                "{file} is in use. Choose another VAE first, Built-in for instance, then try again.",
                code="file-in-use",
                file=file.name,
            )
        )


def _check_container(name: str, record: FileRecord) -> None:
    """Raise unless the extension fits: the WebUI reads by it alone (modules/sd_models.py read_state_dict)."""
    suits = ".safetensors" if record.container == "safetensors" else ".ckpt"
    if name.endswith(".safetensors") != (suits == ".safetensors"):
        raise RefusedError(
            msg(
                "The name {name} does not suit what is in {file}: it has to end with {ending}.",
                code="wrong-extension",
                name=name,
                file=record.path.name,
                ending=suits,
            )
        )


def _target(folder: Path, name: str, library: LibraryContext, leaving: Path | None) -> Path:
    """Return the path of that name in `folder`, if the library can have it; the name of `leaving` counts as free."""
    target = folder / safe_file_name(name)
    _check_ending(target, library)
    passed = {target.absolute(), leaving.absolute() if leaving is not None else None}
    for other in library.files:
        if other.name == name and other.path.absolute() not in passed:
            raise NameTakenError(
                msg(
                    "{other} has the name {file} already, and the WebUI lists only one of two. Choose another name.",
                    code="name-listed-elsewhere",
                    other=other.path,
                    file=name,
                )
            )
    return target


def _check_ending(target: Path, library: LibraryContext) -> None:
    folders = [folder for folder in library.folders if target.is_relative_to(folder.path)]
    inner = max(folders, key=lambda folder: len(folder.path.parts), default=None)
    if inner is not None and inner.purpose == "checkpoints" and not listed_suffix(target.name).startswith(".vae"):
        raise RefusedError(
            msg("Among checkpoints, a VAE's name has to end with {ending}.", ending=f".vae{target.suffix}")
        )


def free_name(folder: Path, name: str, library: LibraryContext = ALONE) -> str:
    """Return a name like `name` that neither `folder` nor the library has: `a-2.vae.pt` for `a.vae.pt`."""
    ending = listed_suffix(name)
    taken = {file.name for file in library.files}
    numbered = (f"{name.removesuffix(ending)}-{number}{ending}" for number in itertools.count(2))
    return next(one for one in numbered if one not in taken and not os.path.lexists(folder / one))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise operations.write_error(folder, error) from error


# -- the operation -----------------------------------------------------------------------------------------------------
def _moved(
    file: Path,
    target: Path,
    library: LibraryContext,
    report: Report | None = None,
    stop: threading.Event | None = None,
) -> Path:
    """Move `file` and its sidecars; return `target`."""
    along = [(path, target.with_name(f"{target.stem}{ending}")) for path, ending in sidecars_of(file)]
    for path, place in along:
        if os.path.lexists(place) and not operations.is_other_case(path, place):
            raise operations.name_taken_error(place)
    known = what_is_known(file, target, library)
    library.renaming(file, target)
    try:
        with noted(
            Intent("move", absolute([(file, target), *along]), known=known), library, lambda: has_only(file, along)
        ):
            move_all([(file, target), *along], report, stop)
            carry(known, library)
    except BaseException:
        library.renaming(target, file)
        raise
    return target


def noted(
    intent: Intent, library: LibraryContext, still_holds: Callable[[], bool] = lambda: True
) -> AbstractContextManager[None]:
    """Keep a note of the operation while it runs, if there is a journal. Raises as `Journal.noted`."""
    return library.journal.noted(intent, still_holds) if library.journal is not None else nullcontext()


def has_only(file: Path, along: Iterable[tuple[Path, object]]) -> bool:
    """Return True if `file` exists with exactly these sidecars: another process may have moved some before the note."""
    return os.path.lexists(file) and [path for path, _ in sidecars_of(file)] == [path for path, _ in along]


def absolute(pairs: Iterable[tuple[Path, Path]]) -> tuple[tuple[Path, Path], ...]:
    """Return the pairs for a note, which a process in another current folder may read; links are not resolved."""
    return tuple((source.absolute(), target.absolute()) for source, target in pairs)


def move_all(
    pairs: Iterable[tuple[Path, Path]], report: Report | None = None, stop: threading.Event | None = None
) -> None:
    """Move each file to its new place, in this order; after a failure, those before it are moved back."""
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in pairs:
            operations.move(source, target, report=report, stop=stop)
            done.append((source, target))
    except VaeManagerError:
        for source, target in reversed(done):
            with suppress(VaeManagerError):
                operations.move(target, source)
        raise


def what_is_known(
    file: Path, target: Path, library: LibraryContext, *, stays: bool = False, is_link: bool = False
) -> tuple[tuple[Identity, Path], ...]:
    """Return the identities that an operation on `file` ends, with the paths of the same bytes afterwards.

    Adding or removing a name changes the identity of the file under its other names too: those in the library, and
    `file` itself if it stays.
    """
    before = identity_of(file)
    if before is None:
        return ()
    found = [(before, target.absolute())]
    if is_link or _has_names(file):
        for other in library.files:
            identity = identity_of(other.path)
            if identity is not None and identity[1:] == before[1:] and other.path.absolute() != file.absolute():
                found.append((identity, other.path.absolute()))
    if stays:
        found.append((before, file.absolute()))  # last: the earlier records are found by that name
    return tuple(found)


def _has_names(file: Path) -> bool:
    try:
        return file.stat().st_nlink > 1
    except OSError:
        return False


def carry(known: Iterable[tuple[Identity, Path]], library: LibraryContext) -> None:
    """Copy the records of files to their present identities."""
    for identity, after in known:
        for memory in library.memories:
            memory.carry(identity, after)
