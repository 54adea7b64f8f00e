"""Faces in a picture, by the detector that scikit-image brings (a cascade of local binary patterns, OpenCV's).

Eyes and faces are where people look first. The detector is small, and is on each machine that compares; nothing is
downloaded for it. It finds upright faces from the front and overlooks many. That costs the measure of some pictures
and makes none wrong: what it finds is measured against the same place of the original.
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .metrics import Box

if TYPE_CHECKING:
    from .comparison_store import Pixels

__all__ = ["faces_of"]

logger = logging.getLogger(__name__)

FILE: Final = "lbpcascade_frontalface_opencv.xml"
MIN_SIDE: Final = 48
"""Pixels along one side of a face: a smaller one has no detail that a VAE could keep."""
MOST: Final = 4


def faces_of(pixels: Pixels) -> tuple[Box, ...]:
    """Return up to `MOST` faces, the largest first; empty without a detector."""
    detector = _detector()
    shorter = min(pixels.shape[:2])
    if detector is None or shorter < MIN_SIDE:
        return ()
    found = detector.detect_multi_scale(
        pixels, scale_factor=1.2, step_ratio=2, min_size=(MIN_SIDE, MIN_SIDE), max_size=(shorter, shorter)
    )
    boxes = [Box(int(one["c"]), int(one["r"]), int(one["width"]), int(one["height"])) for one in found]
    return tuple(sorted(boxes, key=lambda box: -box.width)[:MOST])


@functools.cache
def _detector() -> Any:
    """Load the detector once; None if this scikit-image lacks it."""
    try:
        import skimage.data
        from skimage.feature import Cascade

        file = Path(skimage.data.__file__).parent / FILE
        return Cascade(str(file)) if file.is_file() else None
    except (ImportError, AttributeError, OSError, ValueError, RuntimeError) as error:  # a measure is no reason to fail
        logger.warning("Faces are left out: %s: %s", type(error).__name__, error)
        return None
