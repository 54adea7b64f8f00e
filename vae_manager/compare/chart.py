"""The built-in chart: colours, grey steps, gradients, lines and letters, the same on every machine.

Scores of people's own pictures cannot be compared with those of other people; scores of the chart can. It is drawn from
whole numbers and from letters that stand below, never with a font of the machine, so its bytes are the same everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .comparison_store import Pixels

__all__ = ["NAME", "SIDE", "chart", "chart_hash"]

NAME: Final = "chart"
SIDE: Final = 512
"""Pixels along each side."""
PATCH: Final = 64

COLOURS: Final = (
    *((115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170)),
    *((214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46)),
    *((56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (8, 133, 161)),
    *((243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52)),
)
"""The sRGB values of the colour target with 24 patches (McCamy et al. 1976), as commonly published."""

LETTERS: Final = {
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "V": "10001 10001 10001 10001 10001 01010 00100",
    "R": "11110 10001 10001 11110 10100 10010 10001",
    "S": "01111 10000 10000 01110 00001 00001 11110",
    "0": "01110 10001 10011 10101 11001 10001 01110",
    "3": "11110 00001 00001 01110 00001 00001 11110",
    "5": "11111 10000 11110 00001 00001 10001 01110",
    "8": "01110 10001 10001 01110 10001 10001 01110",
}
TEXT: Final = "VAE 8E3S 5S0R VEAR 3583 RAVE 0580 SEVERAS"


@cache
def chart() -> Pixels:
    """Return the chart, [SIDE, SIDE, 3]. The array is shared and read-only."""
    import numpy as np

    paper = np.full((SIDE, SIDE, 3), 128, np.uint8)
    for number, colour in enumerate(COLOURS):
        row, column = divmod(number, 8)
        paper[row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH] = colour
    ramp = np.arange(SIDE, dtype=np.int64) * 255 // (SIDE - 1)
    paper[192:224] = ramp[None, :, None]
    for channel in range(3):
        paper[224 + 16 * channel : 240 + 16 * channel, :, channel] = ramp
        paper[224 + 16 * channel : 240 + 16 * channel, :, (channel + 1) % 3] = ramp[::-1]
    _lines(paper[272:384])
    _text(paper[384:448], ink=0, ground=255)
    _text(paper[448:512], ink=230, ground=40)
    paper.setflags(write=False)
    return paper


@cache
def chart_hash() -> str:
    """Return the SHA-256 of the chart's pixels."""
    return hashlib.sha256(chart().tobytes()).hexdigest()


def _lines(paper: Any) -> None:
    """Draw lines of 1 to 8 pixels: upright, level, slanted, and rings that become finer outwards."""
    import numpy as np

    rows, columns = np.mgrid[0 : paper.shape[0], 0 : paper.shape[1]]
    for number, width in enumerate((1, 2, 3, 4, 6, 8)):
        part = slice(64 * number, 64 * number + 64)
        place = np.where(rows < 40, columns, np.where(rows < 80, rows, rows + columns))
        stripes = np.where(place[:, part] // width % 2, 220, 30)
        paper[:, part] = stripes[..., None]
    from_middle = (columns[:, 384:] - 448) ** 2 + (rows[:, 384:] - 56) ** 2
    paper[:, 384:] = np.where(from_middle // 256 % 2, 235, 20)[..., None]


def _text(paper: Any, *, ink: int, ground: int) -> None:
    """Write the text in letters of 7, 14 and 21 pixels."""
    paper[:] = ground
    top = 4
    for size in (1, 2, 3):
        left = 4
        for letter in TEXT:
            if letter != " ":
                _letter(paper[top : top + 7 * size, left : left + 5 * size], LETTERS[letter].split(), size, ink)
            left += 6 * size
            if left > SIDE - 6 * size:
                break
        top += 7 * size + 4


def _letter(paper: Any, rows: Sequence[str], size: int, ink: int) -> None:
    for down, row in enumerate(rows):
        for across, dot in enumerate(row):
            if dot == "1":
                paper[down * size : (down + 1) * size, across * size : (across + 1) * size] = ink
