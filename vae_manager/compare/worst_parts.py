"""The worst parts of a trial, side by side: the places where each VAE is farthest from the original, by every VAE.

A trial keeps no pixels, so the few pictures with such a place are decoded once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from threading import Event
from typing import TYPE_CHECKING, Final

from ..errors import Cancelled, VaeManagerError
from ..messages import msg
from .metrics import Box
from .picture_folder import Sample
from .trial import Finding, Subject, Trial, reconstructed
from .trial_card import Crop

if TYPE_CHECKING:
    from .comparison_store import Pixels

__all__ = ["Place", "crops_of", "cut", "places_of"]

MOST: Final = 3
"""Places at most."""
PART: Final = 96
"""Pixels of the picture along one side of a part."""

Place = tuple[str, Box]
"""The hash of a picture, and the part."""


def places_of(trial: Trial, finding: Finding) -> list[Place]:
    """Return the worst place of each VAE, of the nearest one first; one of each picture."""
    found: dict[str, Box] = {}
    for row in finding.ranking.rows:
        picture = finding.worst.get(row.vae)
        score = trial.score_of(row.vae, picture) if picture is not None else None
        if picture is not None and score is not None and score.has_picture and score.box.width:
            found.setdefault(picture, score.box)
    return list(found.items())[:MOST]


def cut(pixels: Pixels, box: Box) -> Pixels:
    """Return some `PART` × `PART` pixels around the middle of `box`."""
    height, width = pixels.shape[:2]
    high, wide = min(PART, height), min(PART, width)
    top = min(max(box.top + box.height // 2 - high // 2, 0), height - high)
    left = min(max(box.left + box.width // 2 - wide // 2, 0), width - wide)
    return pixels[top : top + high, left : left + wide]


def crops_of(
    trial: Trial, finding: Finding, subjects: Sequence[Subject], samples: Sequence[Sample], *, stop: Event | None = None
) -> list[Crop]:
    """Return the crops of all places. Raises Cancelled if `stop` is set, between two VAEs.

    A picture or a VAE that cannot be read any more is left out.
    """
    places = places_of(trial, finding)
    by_name = {sample.name: sample for sample in samples}
    originals = {}
    for picture, box in places:
        sample = by_name.get(finding.names[picture])
        try:
            key, pixels = sample.opened(finding.side) if sample is not None else ("", None)
        except VaeManagerError:
            continue  # gone since it was measured
        if pixels is not None and key == picture:
            originals[picture] = pixels, box
    parts = {picture: [(str(msg("Original")), cut(pixels, box))] for picture, (pixels, box) in originals.items()}  # type: dict[str, list[tuple[str, Pixels | None]]]
    in_order = sorted(
        (one for one in subjects if finding.ranking.of(one.vae)), key=lambda one: _place(finding, one.vae)
    )
    for subject in in_order:
        if stop is not None and stop.is_set():
            raise Cancelled(msg("The trial was stopped. What was measured is kept.", code="trial-stopped"))
        try:
            model = subject.load()
            made = {picture: reconstructed(model, pixels)[0] for picture, (pixels, _) in originals.items()}
        except (VaeManagerError, RuntimeError, MemoryError):
            continue  # it was measured before, so its numbers stand
        for picture, pixels in made.items():
            parts[picture].append((subject.vae, cut(pixels, originals[picture][1]) if pixels is not None else None))
    return [Crop(PurePath(finding.names[picture]).name, parts[picture]) for picture in originals]


def _place(finding: Finding, vae: str) -> int:
    return next(at for at, row in enumerate(finding.ranking.rows) if row.vae == vae)
