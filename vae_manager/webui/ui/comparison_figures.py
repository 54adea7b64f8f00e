"""What is said of one picture of a comparison: in words, and in figures behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ...compare import Comparison, Result
from ...compare.metrics import Figures
from ...sentences import Sentence, megabytes, say
from ..translation import Words

FINE_SSIM: Final = 0.999
"""Above it, three digits would read as 1."""


def words_of(result: Result, comparison: Comparison, words: Words) -> str:
    """What is seen, against the reference."""
    separator = words(say(", "))
    if is_reference(result, comparison):
        return separator.join([words(say("reference")), *(words(word) for word in result.words)])
    if comparison.lacks_reference:
        return words(say("held against nothing: the VAE in use gave no picture"))
    return separator.join(words(word) for word in result.words)


def is_reference(result: Result, comparison: Comparison) -> bool:
    return result.decoded.vae == comparison.reference


def notes_of(result: Result) -> Sequence[Sentence]:
    """What is unusual about the picture."""
    return [note for note in (result.decoded.foreign, result.decoded.note) if note is not None]


def figures_of(result: Result, words: Words) -> Sequence[str]:
    """How like the reference, time and memory."""
    decoded = result.decoded
    parts: list[Sentence | str] = [] if result.figures is None else list(_likeness(result.figures))
    if decoded.pixels is not None:
        parts.append(say("{count} s", count=f"{decoded.seconds:.{2 if decoded.seconds < 10 else 0}f}"))
    if decoded.peak is not None:
        parts.append(say("{amount} of GPU memory", amount=megabytes(decoded.peak)))
    if decoded.nan:
        parts.append("NaN")
    return [part if isinstance(part, str) else words(part) for part in parts]


def shifts_of(result: Result, words: Words) -> Sequence[str]:
    """Colour, contrast and sharpness, against the reference."""
    figures = result.figures
    if figures is None or figures.identical:
        return ()
    shifts = (
        say("brightness {shift}", shift=_signed(figures.lightness)),
        say("saturation {shift}", shift=_percent(figures.saturation)),
        say("contrast {shift}", shift=_percent(figures.contrast)),
        say("green–red {shift}", shift=_signed(figures.green_red)),
        say("blue–yellow {shift}", shift=_signed(figures.blue_yellow)),
        say("sharpness {shift}", shift=_percent(figures.sharpness)),
    )
    return [words(shift) for shift in shifts]


def _likeness(figures: Figures) -> list[str]:
    if figures.identical:
        return ["SSIM 1", "PSNR ∞"]
    parts: list[str] = []
    if figures.ssim is not None:
        parts.append(f"SSIM {figures.ssim:.{5 if figures.ssim > FINE_SSIM else 3}f}")
    if figures.psnr is not None:
        parts.append(f"PSNR {figures.psnr:.1f} dB")
    if figures.lpips is not None:
        parts.append(f"LPIPS {figures.lpips:.3f}")
    return parts


def _signed(value: float) -> str:
    """One digit behind the point, with the sign that typesetters use; nothing is "−0.0"."""
    text = f"{abs(value):.1f}"
    return text if float(text) == 0 else f"{'+' if value > 0 else '−'}{text}"


def _percent(part: float) -> str:
    text = f"{abs(part) * 100:.0f}"
    return f"{text} %" if text == "0" else f"{'+' if part > 0 else '−'}{text} %"
