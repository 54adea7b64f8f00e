"""Metrics of a comparison: differences of two pictures, LPIPS, and the findings in plain words.

All pictures are uint8 arrays [height, width, 3] of one size. scikit-image, which every host has, computes the metrics.
Colours are compared in CIELAB, in which equal distances look equally large.

LPIPS is the perceptual distance of two pictures (Zhang et al. 2018). It is computed if all that it needs is installed.
The package `lpips` contains weights of its own, 6 kB. Those of the network below it, AlexNet, are torchvision's, 244
MB, and the package would download them, so it is used only if they are already in torch's cache.
"""

from __future__ import annotations

import enum
import functools
import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..messages import Message, msg

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .comparison_store import Pixels

    Floats = NDArray[np.floating[Any]]

__all__ = [
    "OTHER",
    "Box",
    "DifferenceMap",
    "Figures",
    "Statistics",
    "Wrong",
    "compare",
    "difference_map",
    "distance",
    "in_words",
    "is_other",
    "measure",
    "most_different",
    "of_reference",
    "psnr",
]


logger = logging.getLogger(__name__)

MIN_SIDE: Final = 64
"""Pixels along one side of the picture patches in the LPIPS study."""
WEIGHTS: Final = "alexnet-owt-*.pth"
ERROR: Final = (
    *(ImportError, AttributeError, RuntimeError),  # packages of incompatible versions
    *(OSError, EOFError, UnpicklingError, TypeError, ValueError),  # an incomplete file, or one that a host refuses
)

WINDOW: Final = 11
"""Pixels along one side of the window of SSIM, with a Gaussian of 1.5 (Wang et al. 2004)."""
SIDE: Final = 64
"""Pixels along one side of a tile in which pictures may differ: an eye, a few letters."""

BRIGHTER: Final = 1.0
"""Of L*, averaged over the picture: about the smallest difference of lightness that is visible side by side."""
TINTED: Final = 1.0
"""Of a* or b*, averaged: a tint of the whole picture."""
SATURATED: Final = 0.04
CONTRAST: Final = 0.04
"""Relative changes of the reference's saturation and contrast."""
SHARPER: Final = 0.15
"""Relative change of the reference's variance of the Laplacian.

It grows with the square of the contrast, and that part is no detail: see `detail`.
"""
OTHER: Final = 20.0
"""Decibels below which two pictures count as different pictures: another latent space, or a broken VAE."""
NEARLY: Final = 45.0
"""Decibels above which two pictures differ only by measurement, not visibly."""


def distance(reference: Pixels, other: Pixels) -> float | None:
    """Return 0 for equal pictures; 0.1 is visible at a glance, 0.7 is another picture.

    None if it cannot be computed here.
    """
    if min(reference.shape[:2]) < MIN_SIDE or not _may_be_here():
        return None
    network = _network()
    if network is None:
        return None
    import torch

    with torch.inference_mode():
        return float(network(_tensor(reference), _tensor(other)))


def _may_be_here() -> bool:
    """Return False if a package or the weights are missing, without importing more than torch."""
    if any(importlib.util.find_spec(package) is None for package in ("lpips", "torchvision")):
        return False
    return any(_fetched().glob(WEIGHTS))


def _fetched() -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints"


@functools.cache
def _network() -> Any:
    """Load the network once, 10 MB; None if these versions are incompatible or expect another file of weights."""
    try:
        from torchvision.models import AlexNet_Weights

        wanted = AlexNet_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
        if not (_fetched() / wanted).is_file():
            return None
        import lpips

        return lpips.LPIPS(net="alex", verbose=False)
    except ERROR as error:  # a missing metric is no reason to fail
        logger.warning("LPIPS is left out: %s: %s", type(error).__name__, error)
        return None


def _tensor(pixels: Pixels) -> Any:
    """Return [1, 3, height, width] of -1 … 1."""
    import torch

    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


class Box(NamedTuple):
    """A part of a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class Statistics:
    """The measurements of one picture alone, computed once."""

    pixels: Pixels
    grey: Floats
    """The luminance, 0 … 1."""
    lightness: float
    """The mean of L*, 0 … 100."""
    green_red: float
    """The mean of a*."""
    blue_yellow: float
    """The mean of b*."""
    saturation: float
    """The mean of the distance from grey, of a* and b* together."""
    contrast: float
    """The deviation of L*."""
    sharpness: float
    """The variance of the Laplacian of L*."""


@dataclass(frozen=True)
class Figures:
    """The differences of a picture from the reference."""

    identical: bool
    ssim: float | None
    """1 for equal structure; None if a side is shorter than `WINDOW`."""
    psnr: float | None
    """Decibels; None (infinite) for identical pictures."""
    lightness: float
    """Difference of the means of L*: positive is brighter."""
    green_red: float
    """Difference of the means of a*, without the effect of the saturation: positive is redder."""
    blue_yellow: float
    """Difference of the means of b*, likewise: positive is yellower."""
    saturation: float
    """Relative change of the mean distance from grey: 0.1 is a tenth more saturated."""
    contrast: float
    """Relative change of the deviation of L*."""
    sharpness: float
    """Relative change of the variance of the Laplacian."""
    where: Box | None
    """The part with the largest difference; None for equal pictures."""
    lpips: float | None = None
    """0 for equal pictures, larger for perceptually less similar ones; None if it cannot be computed on this machine.
    """


class DifferenceMap(NamedTuple):
    """A map of the differences of two pictures, readable without colour."""

    pixels: Pixels
    """uint8, [height, width]: black for equal pixels."""
    white: int
    """Levels of 255 that white stands for."""


def measure(pixels: Pixels) -> Statistics:
    """Return the values of `Statistics` for a picture, with its pixels; a comparison measures each picture once."""
    import numpy as np
    from skimage.color import rgb2gray, rgb2lab
    from skimage.filters import laplace

    lab, grey = rgb2lab(pixels), rgb2gray(pixels)
    lightness, a, b = (lab[..., channel] for channel in range(3))
    return Statistics(
        pixels,
        grey,
        lightness=float(lightness.mean()),
        green_red=float(a.mean()),
        blue_yellow=float(b.mean()),
        saturation=float(np.hypot(a, b).mean()),
        contrast=float(lightness.std()),
        sharpness=float(laplace(lightness).var()),
    )


def compare(reference: Statistics, other: Statistics) -> Figures:
    """Return the differences of `other` from `reference`. Raises ValueError if their sizes differ."""
    import numpy as np

    if reference.pixels.shape != other.pixels.shape:
        raise ValueError(f"pictures of {reference.pixels.shape} and {other.pixels.shape}")
    if np.array_equal(reference.pixels, other.pixels):
        return Figures(True, 1.0, None, 0, 0, 0, 0, 0, 0, None)
    saturation = _more(reference.saturation, other.saturation, 2.0)
    return Figures(
        False,
        ssim=_ssim(reference.grey, other.grey),
        psnr=psnr(reference.pixels, other.pixels),
        lightness=other.lightness - reference.lightness,
        green_red=other.green_red - reference.green_red * (1 + saturation),
        blue_yellow=other.blue_yellow - reference.blue_yellow * (1 + saturation),
        saturation=saturation,
        contrast=_more(reference.contrast, other.contrast, 2.0),
        sharpness=_more(reference.sharpness, other.sharpness, 1.0),
        where=most_different([reference.pixels, other.pixels], 1)[0],
        lpips=distance(reference.pixels, other.pixels),
    )


def _ssim(reference: Floats, other: Floats) -> float | None:
    """Return the SSIM of the luminance, as published: the eye sees structure there."""
    from skimage.metrics import structural_similarity

    if min(reference.shape) < WINDOW:
        return None
    return float(
        structural_similarity(
            reference, other, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
    )


def psnr(reference: Pixels, other: Pixels) -> float:
    """Return decibels; infinite for identical pictures."""
    import numpy as np
    from skimage.metrics import peak_signal_noise_ratio

    if np.array_equal(reference, other):
        return float("inf")
    return float(peak_signal_noise_ratio(reference, other, data_range=255))


def _more(reference: float, other: float, least: float) -> float:
    """Return the relative change, to at least `least` of the reference, which may be a plain or grey picture."""
    return (other - reference) / max(reference, least)


def difference(pictures: Sequence[Pixels]) -> NDArray[np.int16]:
    """Return [height, width]: the largest distance of the pictures in any channel, in levels of 255."""
    import numpy as np

    stack = np.stack(pictures)
    apart = (stack.max(axis=0) - stack.min(axis=0)).astype(np.int16)
    # Channel by channel: a maximum along an axis of three numbers takes ten times as long
    levels: NDArray[np.int16] = np.maximum(np.maximum(apart[..., 0], apart[..., 1]), apart[..., 2])
    return levels


def difference_map(first: Pixels, second: Pixels) -> DifferenceMap:
    """Return a map that is brighter for larger differences; the largest is white, unless it is below 16 levels."""
    import numpy as np

    least_white = 16
    levels = difference([first, second])
    white = max(least_white, int(levels.max()))
    return DifferenceMap((levels * (255 / white)).round().astype(np.uint8), white)


def most_different(pictures: Sequence[Pixels], count: int, side: int = SIDE) -> tuple[Box, ...]:
    """Return up to `count` parts of some `side` × `side` pixels, the most different first.

    The parts do not overlap; the tuple is empty for equal pictures.
    """
    import numpy as np

    levels = difference(pictures).astype(np.float32)
    height, width = levels.shape
    boxes = [
        (float(levels[top : top + side, left : left + side].mean()), Box(left, top, side, side))
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]
    boxes = [(much, _within(box, width, height)) for much, box in boxes if much > 0]
    return tuple(box for _, box in sorted(boxes, key=lambda one: -one[0])[:count])


def _within(box: Box, width: int, height: int) -> Box:
    return box._replace(width=min(box.width, width - box.left), height=min(box.height, height - box.top))


class Wrong(enum.Enum):
    """The one of two VAEs that does not fit the latent, if their pictures differ altogether."""

    OTHER = "other"
    REFERENCE = "reference"
    UNKNOWN = "unknown"


def in_words(figures: Figures, wrong: Wrong = Wrong.OTHER) -> tuple[Message, ...]:
    """Return the visible differences, most striking first, for joining by commas; never empty."""
    if figures.identical:
        return (msg("the same picture, bit for bit", code="same-picture"),)
    if is_other(figures):
        return (_another(wrong),)
    said = [
        *_either(figures.lightness, BRIGHTER, msg("brighter", code="brighter"), msg("darker", code="darker")),
        *_either(
            figures.saturation,
            SATURATED,
            msg("more saturated", code="more-saturated"),
            msg("less saturated", code="less-saturated"),
        ),
        *_either(
            figures.contrast,
            CONTRAST,
            msg("more contrast", code="more-contrast"),
            msg("less contrast", code="less-contrast"),
        ),
        *_either(figures.green_red, TINTED, msg("redder", code="redder"), msg("greener", code="greener")),
        *_either(figures.blue_yellow, TINTED, msg("yellower", code="yellower"), msg("bluer", code="bluer")),
    ]
    detail_said = _either(detail(figures), SHARPER, msg("sharper", code="sharper"), msg("softer", code="softer"))
    if not said and not detail_said and figures.psnr is not None and figures.psnr >= NEARLY:
        return (msg("no difference that could be seen", code="no-visible-difference"),)
    return (*said, *(detail_said or (msg("same detail", code="same-detail"),)))


def of_reference(wrong: Wrong) -> tuple[Message, ...]:
    """Return the words for the reference itself; an empty tuple if it fits."""
    if wrong is Wrong.REFERENCE:
        return (msg("made for other latents, or broken", code="other-latents"),)
    return ()


def is_other(figures: Figures) -> bool:
    """Return True if the two are different pictures."""
    return figures.psnr is not None and figures.psnr < OTHER


def _another(wrong: Wrong) -> Message:
    if wrong is Wrong.REFERENCE:
        return msg(
            "another picture: the reference was made for other latents, or is broken", code="reference-of-other-latents"
        )
    if wrong is Wrong.UNKNOWN:
        return msg(
            "another picture: one of the two VAEs was made for other latents, or is broken", code="one-of-other-latents"
        )
    return msg("another picture: it was made for other latents, or is broken", code="other-picture")


def detail(figures: Figures) -> float:
    """Return the relative change of sharpness without the part that the contrast alone explains."""
    return (1 + figures.sharpness) / (1 + figures.contrast) ** 2 - 1 if figures.contrast > -1 else 0.0


def _either(value: float, limit: float, more: Message, less: Message) -> tuple[Message, ...]:
    if value >= limit:
        return (more,)
    return (less,) if value <= -limit else ()
