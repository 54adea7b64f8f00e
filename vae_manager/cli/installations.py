"""Which WebUI a folder holds, by its files: nothing of it is imported or run.

    modules/ …                                         AUTOMATIC1111
    modules/ …  modules_forge/ without main_entry.py   reForge, if modules/sd_vae.py reads any layout
    modules/ …  modules_forge/main_entry.py            Forge; Forge Neo if it has a VAE of Wan

The running extension asks the imported modules instead (`webui.hosts`), which can tell more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Installation", "commit_of", "find_installation", "installation_at"]

_FAMILY: Final = (
    "modules/sd_vae.py",
    "modules/launch_utils.py",
    "modules/call_queue.py",
    "modules/script_callbacks.py",
)
"""Files of each WebUI of AUTOMATIC1111's family that has an adapter."""
_NAMES: Final = {"a1111": "AUTOMATIC1111", "reforge": "reForge", "forge": "Forge", "neo": "Forge Neo"}
_ASSIGNMENT: Final = r"""^{name}\s*=\s*["']([^"']+)["']"""
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,39}")
"""A version as a WebUI writes it, which can hold neither a path nor an address."""
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_COMMIT_DIGITS: Final = 8
_MAX_BYTES: Final = 1_000_000
"""Read of a source file at most."""


@dataclass(frozen=True)
class Installation:
    """A WebUI in a folder."""

    folder: Path
    id: str | None
    """Key of `records.capability.HOSTS`; None for a WebUI without an adapter."""
    version: str | None
    """As its own files give it; None if they do not."""
    commit: str | None
    """First digits of the checked out commit; None without a git folder."""

    @property
    def name(self) -> str:
        return _NAMES[self.id] if self.id is not None else "a WebUI without an adapter"


def find_installation(places: Iterable[Path]) -> Installation | None:
    """Return the WebUI in the first of the folders `places`, or of those above it, that holds one."""
    for place in places:
        for folder in (place, *place.parents):
            found = installation_at(folder)
            if found is not None:
                return found
    return None


def installation_at(folder: Path) -> Installation | None:
    """Return the WebUI in this very folder; None if it holds none."""
    if not (folder / "webui.py").is_file() or not (folder / "modules").is_dir():
        return None
    return Installation(folder, _id_of(folder), _version_of(folder), commit_of(folder))


def commit_of(folder: Path) -> str | None:
    """Return the first digits of the checked out commit; None without a git folder."""
    git = folder / ".git"
    head = _text(git / "HEAD").strip()
    if head.startswith("ref: "):
        name = head.removeprefix("ref: ")
        if ".." in name:
            return None
        packed = (line.split() for line in _text(git / "packed-refs").splitlines())
        head = _text(git / name).strip() or next((line[0] for line in packed if line[1:] == [name]), "")
    return head[:_COMMIT_DIGITS] if _COMMIT.fullmatch(head) else None


def _id_of(folder: Path) -> str | None:
    if not all((folder / file).is_file() for file in _FAMILY):
        return None
    if not (folder / "modules_forge").is_dir():
        return "a1111"
    if (folder / "modules_forge" / "main_entry.py").is_file():
        return "neo" if (folder / "backend" / "nn" / "wan_vae.py").is_file() else "forge"
    return "reforge" if "def _normalize_vae_state_dict" in _text(folder / "modules" / "sd_vae.py") else None


def _version_of(folder: Path) -> str | None:
    """Forks have a file for it. AUTOMATIC1111 itself takes the first heading of the changelog where git has no tag."""
    own = _text(folder / "modules_forge" / "forge_version.py")
    assigned = (re.search(_ASSIGNMENT.format(name=name), own, re.MULTILINE) for name in ("release", "version"))
    heading = re.search(r"^## *(\S+)", _text(folder / "CHANGELOG.md"), re.MULTILINE) if not own else None
    found = next((match[1] for match in (*assigned, heading) if match is not None), "")
    return found if _VERSION.fullmatch(found) else None


def _text(file: Path) -> str:
    """The beginning of a file; empty if it cannot be read."""
    try:
        with file.open("rb") as opened:
            return opened.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
