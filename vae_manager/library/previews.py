"""Preview pictures beside VAE files, as the WebUI's cards have them (modules/ui_extra_networks.py find_preview)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from .folders import VaeFile

__all__ = ["MAX_BYTES", "media_type_of", "previews_of"]

_ENDINGS: Final = (
    ".png", ".preview.png", ".jpg", ".preview.jpg", ".jpeg", ".preview.jpeg", ".webp", ".preview.webp"
)  # fmt: skip
"""Behind the VAE's stem, in the WebUI's order."""
MAX_BYTES: Final = 8_000_000
"""A preview that is larger is not shown."""


def previews_of(files: Iterable[VaeFile]) -> Mapping[Path, Path]:
    """The preview of each file that has one. Each folder is listed once."""
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
    """The type of a picture, by its first bytes; None for anything else, whatever its name."""
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
