"""Figures in plain words. Nobody sees a difference smaller than these limits at a glance, or calls it by that name."""

from __future__ import annotations

from typing import Final

from ..sentences import Sentence, say
from .metrics import Figures

__all__ = ["in_words"]

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


def in_words(figures: Figures) -> tuple[Sentence, ...]:
    """What is seen, most striking first; always something. To be joined by commas."""
    if figures.identical:
        return (say("the same picture, bit for bit"),)
    if figures.psnr is not None and figures.psnr < OTHER:
        return (say("another picture: it was made for other latents, or is broken"),)
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


def detail(figures: Figures) -> float:
    """By which part it is sharper, apart from what more contrast alone would have done."""
    return (1 + figures.sharpness) / (1 + figures.contrast) ** 2 - 1 if figures.contrast > -1 else 0.0


def _either(value: float, limit: float, more: Sentence, less: Sentence) -> tuple[Sentence, ...]:
    if value >= limit:
        return (more,)
    return (less,) if value <= -limit else ()
