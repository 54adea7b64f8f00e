"""The card of a trial: one PNG with its numbers and hashes, to keep and to show, without a picture of anybody's.

The numbers are in the file's text too, so that a card can be compared with another by a program.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .. import __version__
from ..messages import Message, msg
from .chart import chart_hash
from .findings import fields_of, measures_of, sentence, shown_name, summary
from .pictures import drawable, letters_of, wrapped_lines
from .scores import VERSION
from .trial import Finding

if TYPE_CHECKING:
    from PIL import Image

    from .comparison_store import Pixels

__all__ = ["TEXT", "Crop", "card", "headings", "measure_texts"]

TEXT: Final = "vae-manager"
"""The name of the PNG's text with the numbers."""
WIDTH: Final = 1200
MARGIN: Final = 40
ROW: Final = 148
LINES: Final = 2
"""Lines of a sentence for which a row has room."""
LINE_HEIGHT: Final = 22
INDENT: Final = 50
BAR_WIDTH: Final = 160
CELL: Final = 110
CROP: Final = 160
"""Pixels along each side of a crop on the card."""
PAPER, INK, FAINT, LINE = (252, 252, 250), (24, 26, 30), (96, 100, 108), (222, 223, 226)
BAR, REST, BAD = (38, 110, 190), (228, 232, 238), (178, 52, 40)
SHORT: Final = 10
"""Digits of a hash that the page shows too."""
FULL: Final = 12.0
"""The distance at which a bar is full."""

FOLDERS: Final = re.compile(r"(?:[A-Za-z]:)?[\\/](?:[^\\/:\"']+[\\/])+")
"""The folders of an absolute path within a text."""

Translator = Callable[[Any], str]


class Crop(NamedTuple):
    """The same part of a picture by several VAEs."""

    title: str
    parts: Sequence[tuple[str, Pixels | None]]
    """Names and pixels, the original first."""


def headings(translate: Translator = str) -> list[str]:
    """Return the names of the measures, in the order of `measure_texts`."""
    return [
        translate(heading)
        for heading in (
            msg("distance", code="measure-distance"),
            msg("colour (ΔE 2000)", code="measure-colour"),
            msg("contrast", code="measure-contrast"),
            msg("saturation", code="measure-saturation"),
            msg("fine detail", code="measure-detail"),
            msg("edges and text", code="measure-edges"),
            msg("eyes and faces", code="measure-faces"),
            msg("chart", code="measure-chart"),
        )
    ]


def measure_texts(vae: str, finding: Finding) -> list[str]:
    """Return the measures of a VAE as text; empty for one without a picture."""
    found = measures_of(vae, finding)
    if not found:
        return []
    parts = [found[name] for name in ("contrast", "saturation", "detail", "edges", "faces")]
    chart = found["chart"]
    return [
        f"{found['distance']:.2f}",
        f"{found['colour']:.2f}",
        *(_percent(part) if part is not None else "–" for part in parts),
        f"{chart:.2f}" if chart is not None and chart < 100 else "–",
    ]


def _percent(part: float) -> str:
    text = f"{abs(part) * 100:.0f}"
    return f"{text} %" if text == "0" else f"{'+' if part > 0 else '−'}{text} %"


def card(
    finding: Finding,
    *,
    title: str = "",
    translate: Translator = str,
    crops: Sequence[Crop] = (),
    when: float | None = None,
) -> bytes:
    """Return the PNG. `crops` shows parts of pictures, which the person has to ask for; `when` is the time on it.

    The errors on it name files without their folders, since a card is made to be shown.
    """
    from PIL import Image, ImageDraw

    finding = replace(finding, errors={vae: _without_folders(error) for vae, error in finding.errors.items()})

    rows = [row.vae for row in finding.ranking.rows] + [vae for vae in finding.errors if not finding.ranking.of(vae)]
    pen = _Pen()
    wide = WIDTH - 2 * MARGIN - INDENT
    said = {vae: wrapped_lines([sentence(vae, finding, translate)], pen.letters(16), wide) for vae in rows}
    heights = {vae: ROW + LINE_HEIGHT * max(len(said[vae]) - LINES, 0) for vae in rows}
    height = 2 * MARGIN + 110 + sum(heights.values()) + 70 + sum(CROP + 74 for _ in crops)
    paper = Image.new("RGB", (WIDTH, height), PAPER)
    pen.draw = ImageDraw.Draw(paper)
    pen.text((MARGIN, MARGIN), title or translate(msg("Which VAE suits my pictures?")), 30)
    notes = " · ".join(translate(note) for note in summary(finding))
    day = time.strftime("%Y-%m-%d", time.localtime(when))
    pen.text((MARGIN, MARGIN + 46), f"{notes} · {day}", 16, FAINT)
    top = MARGIN + 96
    for vae in rows:
        _row(pen, finding, vae, top, said[vae], translate)
        top += heights[vae]
    for crop in crops:
        top = _crops(paper, pen, crop, top)
    foot = f"VAE Manager {__version__} · scores {VERSION} · chart {chart_hash()[:SHORT]}"
    pen.text((MARGIN, height - MARGIN - 16), foot, 14, FAINT)
    return _png(paper, finding)


def _without_folders(message: Message) -> Message:
    """Return the message with the names alone of the files in its fields."""

    def shortened(value: object) -> object:
        if isinstance(value, Message):
            return _without_folders(value)
        if isinstance(value, PurePath):
            return value.name
        return FOLDERS.sub("", value) if isinstance(value, str) else value

    return Message(message.template, {name: shortened(of) for name, of in message.fields.items()}, message.code)


class _Pen:
    draw: Any = None
    """Set when the paper is there, whose height depends on the widths of letters."""

    def __init__(self) -> None:
        self._letters: dict[int, Any] = {}

    def letters(self, size: int) -> Any:
        if size not in self._letters:
            self._letters[size] = letters_of(size, None)
        return self._letters[size]

    def text(self, at: tuple[float, float], text: str, size: int, ink: tuple[int, int, int] = INK) -> None:
        letters = self.letters(size)
        self.draw.text(at, drawable(text, letters), ink, letters)

    def fitting(self, text: str, size: int, width: int) -> str:
        """Return the text, shortened in its middle to that width."""
        letters = self.letters(size)
        if letters.getlength(drawable(text, letters)) <= width:
            return text
        kept = len(text)
        while kept > 4 and letters.getlength(drawable(_shortened(text, kept), letters)) > width:
            kept -= 1
        return _shortened(text, kept)


def _shortened(text: str, kept: int) -> str:
    return f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"


def _row(pen: _Pen, finding: Finding, vae: str, top: int, said: Sequence[str], translate: Translator) -> None:
    row, measured = finding.ranking.of(vae), measure_texts(vae, finding)
    pen.draw.line((MARGIN, top, WIDTH - MARGIN, top), fill=LINE)
    pen.text((MARGIN, top + 12), str(row.place) if row is not None else "–", 26, FAINT)
    left = MARGIN + INDENT
    pen.text((left, top + 12), pen.fitting(translate(shown_name(vae)), 20, 860), 20)
    pen.text((WIDTH - MARGIN - 100, top + 17), finding.hashes.get(vae, "")[:SHORT], 14, FAINT)
    if row is not None and measured:
        _measures(pen, row.distance, measured, top + 46, translate)
    below = top + (90 if measured else 46)
    for place, line in enumerate(said):
        pen.text((left, below + LINE_HEIGHT * place), line, 16, INK if measured else BAD)


def _measures(pen: _Pen, distance: float, measured: Sequence[str], top: int, translate: Translator) -> None:
    """Draw a bar for the distance, and the measures below their headings."""
    left = MARGIN + INDENT
    pen.draw.rectangle((left, top + 12, left + BAR_WIDTH, top + 22), fill=REST)
    pen.draw.rectangle((left, top + 12, left + round(BAR_WIDTH * min(distance / FULL, 1.0)), top + 22), fill=BAR)
    for place, (heading, text) in enumerate(zip(headings(translate), measured, strict=True)):
        at = left + BAR_WIDTH + 30 + place * CELL
        pen.text((at, top), pen.fitting(heading, 12, CELL - 10), 12, FAINT)
        pen.text((at, top + 16), text, 16)


def _crops(paper: Image.Image, pen: _Pen, crop: Crop, top: int) -> int:
    from PIL import Image

    pen.draw.line((MARGIN, top, WIDTH - MARGIN, top), fill=LINE)
    pen.text((MARGIN, top + 8), pen.fitting(crop.title, 14, WIDTH - 2 * MARGIN), 14, FAINT)
    for place, (name, pixels) in enumerate(crop.parts[: (WIDTH - 2 * MARGIN) // (CROP + 12)]):
        left = MARGIN + place * (CROP + 12)
        if pixels is not None:
            paper.paste(Image.fromarray(pixels).resize((CROP, CROP), Image.NEAREST), (left, top + 32))
        else:
            pen.draw.rectangle((left, top + 32, left + CROP - 1, top + 32 + CROP - 1), outline=LINE)
        pen.text((left, top + 36 + CROP), pen.fitting(name, 13, CROP), 13)
    return top + CROP + 74


def _png(paper: Image.Image, finding: Finding) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    fields = {**fields_of(finding), "version": __version__, "scores": VERSION, "chart": chart_hash()}
    texts.add_text(TEXT, json.dumps({name: value for name, value in fields.items() if name != "left_out"}))
    file = io.BytesIO()
    paper.save(file, "PNG", pnginfo=texts)
    return file.getvalue()
