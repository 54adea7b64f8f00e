"""Figures in plain words. Nobody sees a difference smaller than these limits at a glance, or calls it by that name."""

from __future__ import annotations

import enum
from typing import Final

from ..sentences import Sentence, say
from .metrics import Figures

__all__ = ["OTHER", "Wrong", "in_words", "is_other", "of_reference"]

BRIGHTER: Final = 1.0
"""Of L*, averaged over the picture: about the smallest difference of lightness that is seen side by side."""
TINTED: Final = 1.0
"""Of a* or b*, averaged: a tint of the whole picture."""
SATURATED: Final = 0.04
CONTRAST: Final = 0.04
"""Parts of the reference's saturation and contrast."""
SHARPER: Final = 0.15
"""Part of the reference's variance of the Laplacian. It goes with the square of the contrast, so that belongs to what
is no detail: see `detail`."""
OTHER: Final = 20.0
"""Decibels below which two pictures are no longer the same one: another latent space, or a broken VAE."""
NEARLY: Final = 45.0
"""Decibels above which two pictures are told apart only by measuring."""


class Wrong(enum.Enum):
    """The one of two VAEs that does not fit the latent, if their pictures differ altogether."""

    OTHER = "other"
    REFERENCE = "reference"
    UNKNOWN = "unknown"


def in_words(figures: Figures, wrong: Wrong = Wrong.OTHER) -> tuple[Sentence, ...]:
    """What is seen, most striking first; always something. To be joined by commas."""
    if figures.identical:
        return (say("the same picture, bit for bit"),)
    if is_other(figures):
        return (_another(wrong),)
    said = [
        *_either(figures.lightness, BRIGHTER, say("brighter"), say("darker")),
        *_either(figures.saturation, SATURATED, say("more saturated"), say("less saturated")),
        *_either(figures.contrast, CONTRAST, say("more contrast"), say("less contrast")),
        *_either(figures.green_red, TINTED, say("redder"), say("greener")),
        *_either(figures.blue_yellow, TINTED, say("yellower"), say("bluer")),
    ]
    detail_said = _either(detail(figures), SHARPER, say("sharper"), say("softer"))
    if not said and not detail_said and figures.psnr is not None and figures.psnr >= NEARLY:
        return (say("no difference that could be seen"),)
    return (*said, *(detail_said or (say("same detail"),)))


def of_reference(wrong: Wrong) -> tuple[Sentence, ...]:
    """Return the words for the reference itself; none if it fits."""
    if wrong is Wrong.REFERENCE:
        return (say("made for other latents, or broken"),)
    return ()


def is_other(figures: Figures) -> bool:
    """The two are no longer the same picture."""
    return figures.psnr is not None and figures.psnr < OTHER


def _another(wrong: Wrong) -> Sentence:
    if wrong is Wrong.REFERENCE:
        return say("another picture: the reference was made for other latents, or is broken")
    if wrong is Wrong.UNKNOWN:
        return say("another picture: one of the two VAEs was made for other latents, or is broken")
    return say("another picture: it was made for other latents, or is broken")


def detail(figures: Figures) -> float:
    """By which part it is sharper, apart from what more contrast alone would have done."""
    return (1 + figures.sharpness) / (1 + figures.contrast) ** 2 - 1 if figures.contrast > -1 else 0.0


def _either(value: float, limit: float, more: Sentence, less: Sentence) -> tuple[Sentence, ...]:
    if value >= limit:
        return (more,)
    return (less,) if value <= -limit else ()
