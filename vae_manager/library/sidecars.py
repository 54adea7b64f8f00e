"""Small files beside a VAE that belong to it: its preview picture, its notes, a download extension's metadata."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from ..catalogue.file_names import VAE_SUFFIXES
from .folders import VaeFile

__all__ = ["MAX_BYTES", "SIDECARS", "media_type_of", "previews_of", "sidecars_of"]


_PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp")
SIDECARS: Final = (
    *_PICTURES,
    *(f".preview{suffix}" for suffix in _PICTURES),
    ".json",
    ".txt",
    ".description.txt",
    ".civitai.info",
)
"""What stands behind the VAE's stem. The WebUI looks for previews, for a description in .txt and for a card in .json
(modules/ui_extra_networks.py find_preview, find_description; ui_extra_networks_user_metadata.py); Civitai Helper and
Civitai Browser write .preview.png, .json and .civitai.info."""


def sidecars_of(file: Path) -> Sequence[tuple[Path, str]]:
    """The files beside `file` that belong to it alone, each with its ending.

    What also belongs to another file of that folder (`a.ckpt` beside `a.safetensors`) stays with that one.
    """
    found = ((file.with_name(f"{file.stem}{ending}"), ending) for ending in SIDECARS)
    return [(path, ending) for path, ending in found if _is_there(path) and not _is_wanted(path.name, file)]


def _is_wanted(sidecar: str, file: Path) -> bool:
    """Whether another VAE of the folder has this sidecar."""
    stems = [sidecar.removesuffix(ending) for ending in SIDECARS if sidecar.endswith(ending)]
    others = (file.with_name(f"{stem}{suffix}") for stem in stems for suffix in VAE_SUFFIXES)
    return any(other.name != file.name and _is_there(other) for other in others)


def _is_there(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises where the name would be too long


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
