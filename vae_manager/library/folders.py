"""VAE folders, the files in them, and the sidecar files beside each VAE."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from ..catalogue.entry import COMPANIONS, VAE_SUFFIXES
from ..messages import Message, msg

__all__ = [
    "MAX_BYTES",
    "SIDECARS",
    "YOUNG_NS",
    "Folder",
    "Listing",
    "VaeFile",
    "collisions",
    "key_of",
    "media_type_of",
    "previews_of",
    "scan",
    "sidecars_of",
    "walk",
]


_SUFFIXES: Final = {
    "vae": VAE_SUFFIXES,
    "checkpoints": tuple(f".vae{suffix}" for suffix in VAE_SUFFIXES),
}

ALWAYS_FRESH: Final = 200
"""Up to so many files are listed anew at each call."""
CHECK_SECONDS: Final = 0.004
"""Time of each call for checking single files on the disk."""
AT_ONCE: Final = 50
YOUNG_NS: Final = 2_100_000_000
"""A folder that has changed within this time may change again within the same tick of its file system's clock: 2 s on
FAT."""

_Place = tuple[int, int, int, int]

_PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp")
SIDECARS: Final = (
    *_PICTURES,
    *(f".preview{suffix}" for suffix in _PICTURES),
    ".json",
    ".txt",
    ".description.txt",
    ".civitai.info",
)
"""Suffixes after the VAE's stem. The WebUI looks for previews, for a description in .txt and for a card in .json
(modules/ui_extra_networks.py find_preview, find_description; ui_extra_networks_user_metadata.py); Civitai Helper and
Civitai Browser write .preview.png, .json and .civitai.info."""

_ENDINGS: Final = (
    ".png", ".preview.png", ".jpg", ".preview.jpg", ".jpeg", ".preview.jpeg", ".webp", ".preview.webp"
)  # fmt: skip
"""Suffixes after the VAE's stem, in the WebUI's order."""
MAX_BYTES: Final = 8_000_000
"""Bytes. A larger preview is not shown."""


@dataclass(frozen=True)
class Folder:
    """A folder that the WebUI searches, with all subfolders."""

    path: Path
    purpose: Literal["vae", "checkpoints"] = "vae"
    """In a `vae` folder every `*.safetensors`, `*.ckpt` and `*.pt` counts; among checkpoints `*.vae.…` alone."""


@dataclass(frozen=True)
class VaeFile:
    """One file that the WebUI can load."""

    name: str
    """The base name, which is the WebUI's only key."""
    path: Path
    folder: Folder
    size: int
    """Bytes."""
    mtime_ns: int
    ctime_ns: int
    """The ctime, as in `files.Identity`."""
    is_arriving: bool = False
    """A download program has a file of its own beside it, which it removes when the download is complete."""

    @property
    def relative(self) -> str:
        """The path below its folder, with forward slashes, which distinguishes two files of one name."""
        return self.path.relative_to(self.folder.path).as_posix()


def scan(folders: Iterable[Folder], report: Callable[[Message], None] | None = None) -> tuple[VaeFile, ...]:
    """Return all VAE files of `folders`, in the order of the WebUI's own list; a file of two folders appears once.

    A missing folder is empty. An unreadable one is skipped, and `report` receives a message.
    """
    return walk(folders, _ignore_place, report)


def walk(
    folders: Iterable[Folder],
    met: Callable[[str], object],
    report: Callable[[Message], None] | None = None,
) -> tuple[VaeFile, ...]:
    """Scan as `scan` does, and report the visited paths.

    `met` receives each folder before it is read, and the path of each file that leads to no VAE file: while these stay
    the same, so does the result.
    """
    found: dict[Path, VaeFile] = {}
    for folder in folders:
        for path, is_arriving in _files(folder, met, report or _ignore):
            file = _vae_file(path, folder, is_arriving)
            if file is None:
                met(str(path))
            else:
                found.setdefault(path.absolute(), file)
    return tuple(sorted(found.values(), key=lambda file: (_natural(file.name), str(file.path))))


def collisions(files: Iterable[VaeFile]) -> Mapping[str, tuple[VaeFile, ...]]:
    """Return the base names of several files, and those files: the WebUI silently lists only one of them.

    Links to one and the same file do not collide.
    """
    by_name: dict[str, list[VaeFile]] = {}
    for file in files:
        by_name.setdefault(file.name, []).append(file)
    several = {name: tuple(same) for name, same in by_name.items() if len(same) > 1}
    return {name: same for name, same in several.items() if len({file.path.resolve() for file in same}) > 1}


def _files(
    folder: Folder, met: Callable[[str], object], report: Callable[[Message], None]
) -> Iterator[tuple[Path, bool]]:
    """Yield the matching files below `folder`, with True for a file beside which a download program keeps its own.

    Links to folders are followed; each real folder is entered once.
    """
    suffixes = _SUFFIXES[folder.purpose]
    entered: set[str] = set()
    waiting = [folder.path]
    while waiting:
        place = waiting.pop()
        real = os.path.realpath(place)
        if real in entered:
            continue
        entered.add(real)
        met(str(place))
        links: list[Path] = []
        entries = _entries(place, report)
        arriving = {
            one.name.rpartition(".")[0] for one in entries if one.name.endswith(COMPANIONS) and not _is_folder(one)
        }
        for entry in entries:
            if entry.name.startswith("."):  # as the WebUI's glob does
                continue
            if _is_folder(entry):
                (links if entry.is_symlink() else waiting).append(Path(entry.path))
            elif entry.name.endswith(suffixes):
                yield Path(entry.path), entry.name in arriving
        waiting[:0] = links  # last, so that a folder inside the tree is entered under its own name


def _entries(place: Path, report: Callable[[Message], None]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        report(
            msg(
                "The folder {path} cannot be read: {reason}.",
                code="unreadable",
                path=place,
                reason=error.strerror or error,
            )
        )
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circular link
        return False


def _vae_file(path: Path, folder: Folder, is_arriving: bool) -> VaeFile | None:
    try:
        status = path.stat()
    except OSError:  # deleted since, or a dangling link
        return None
    return VaeFile(path.name, path, folder, status.st_size, status.st_mtime_ns, status.st_ctime_ns, is_arriving)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts "v2" before "v10", in any case, as the WebUI does."""
    parts = re.split(r"([0-9]+)", name)
    return [(1, int(part), "") if part.isdecimal() and part.isascii() else (0, 0, part.lower()) for part in parts]


def _ignore(_: Message) -> None:
    return None


def _ignore_place(_: str) -> None:
    return None


class Listing:
    """A cached result of `scan`, valid until a change. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folders: tuple[Folder, ...] = ()
        self._files: tuple[VaeFile, ...] = ()
        self._places: dict[str, _Place | None] = {}
        self._is_young = True
        self._paths: list[str] = []
        self._next = 0

    def files(self, folders: Iterable[Folder]) -> tuple[VaeFile, ...]:
        """Return all VAE files of `folders`; the same object while no change is known."""
        wanted = tuple(folders)
        with self._lock:
            is_stale = (
                wanted != self._folders
                or len(self._files) <= ALWAYS_FRESH
                or self._is_young
                or any(_place(path) != then for path, then in self._places.items())
                or self._has_changed()
            )
            if is_stale:
                self._scan(wanted)
            return self._files

    def _scan(self, folders: tuple[Folder, ...]) -> None:
        now = time.time_ns()
        places: dict[str, _Place | None] = {}
        files = walk(folders, lambda path: places.setdefault(path, _place(path)))
        self._places, self._folders = places, folders
        self._is_young = any(place is not None and now - place[0] < YOUNG_NS for place in places.values())
        if files != self._files:
            self._files = files
            self._paths = [str(file.path) for file in files]
            self._next = 0

    def _has_changed(self) -> bool:
        """Check the next files, until the time is over or all are checked."""
        until = time.perf_counter() + CHECK_SECONDS
        for _ in range(-(-len(self._files) // AT_ONCE)):
            start = self._next
            some = itertools.islice(zip(self._paths, self._files, strict=True), start, start + AT_ONCE)
            if any(_is_other(path, file) for path, file in some):
                return True
            self._next = start + AT_ONCE if start + AT_ONCE < len(self._files) else 0
            if time.perf_counter() >= until:
                break
        return False


def _place(path: str) -> _Place | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path costs more than the call
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev


def _is_other(path: str, file: VaeFile) -> bool:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return True
    now = status.st_size, status.st_mtime_ns, status.st_ctime_ns
    return now != (file.size, file.mtime_ns, file.ctime_ns)


def key_of(path: Path) -> str:
    """Return the name of a file in messages and pages: a digest, since a path can hold any characters."""
    return hashlib.blake2s(str(path).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def sidecars_of(file: Path) -> Sequence[tuple[Path, str]]:
    """Return the files beside `file` that belong to it alone, each with its suffix.

    A file that also belongs to another VAE of that folder (`a.ckpt` beside `a.safetensors`) is left out.
    """
    found = ((file.with_name(f"{file.stem}{ending}"), ending) for ending in SIDECARS)
    return [(path, ending) for path, ending in found if _is_there(path) and not _is_wanted(path.name, file)]


def _is_wanted(sidecar: str, file: Path) -> bool:
    """Return True if another VAE of the folder has this sidecar."""
    stems = [sidecar.removesuffix(ending) for ending in SIDECARS if sidecar.endswith(ending)]
    others = (file.with_name(f"{stem}{suffix}") for stem in stems for suffix in VAE_SUFFIXES)
    return any(other.name != file.name and _is_there(other) for other in others)


def _is_there(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises for a name that is too long


def previews_of(files: Iterable[VaeFile]) -> Mapping[Path, Path]:
    """Return the preview of each file that has one. Each folder is listed once."""
    names: dict[Path, frozenset[str]] = {}
    found = {}
    for file in files:
        folder = file.path.parent
        if folder not in names:
            names[folder] = _names_in(folder)
        ending = next((one for one in _ENDINGS if file.path.stem + one in names[folder]), None)
        if ending is not None:
            found[file.path] = file.path.with_name(file.path.stem + ending)
    return found


def media_type_of(content: bytes) -> str | None:
    """Return the type of a picture, by its first bytes; None for any other content, under any name."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    return None


def _names_in(folder: Path) -> frozenset[str]:
    try:
        return frozenset(path.name for path in folder.iterdir())
    except OSError:
        return frozenset()
