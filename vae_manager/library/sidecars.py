"""The small files beside a VAE that belong to it: its preview, its notes, what a download extension wrote down."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ..catalogue.names import VAE_SUFFIXES

__all__ = ["SIDECARS", "sidecars_of"]

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
