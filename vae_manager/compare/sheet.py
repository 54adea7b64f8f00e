"""Pictures as files: each as it is, and all on one labelled sheet."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

    from .comparison_values import Pixels

__all__ = ["Labelled", "png", "sheet", "written_out"]

MARGIN: Final = 16
"""Pixels around each picture."""
WIDEST: Final = 4
"""Pictures in a row."""
FONTS: Final = (
    *("NotoSansCJK-Regular.ttc", "msyh.ttc", "PingFang.ttc", "Hiragino Sans GB.ttc", "wqy-microhei.ttc"),
    *("DejaVuSans.ttf", "segoeui.ttf", "Arial.ttf", "Helvetica.ttc"),
)
"""By the names of their files; Pillow looks where the system keeps them."""
PAPER, INK, FAINT = (250, 250, 250), (20, 20, 20), (90, 90, 90)


class Labelled(NamedTuple):
    """A picture of a sheet."""

    name: str
    pixels: Pixels | None
    """None: there is none, and the lines say why."""
    lines: Sequence[str]
    """Below it: figures and words."""


def png(pixels: Pixels, infotext: str | None = None) -> bytes:
    """A PNG of exactly these pixels (colour, or grey [height, width]); the text goes where the WebUI writes it.

    Packed lightly: the browser is on the same machine, mostly, and waits.
    """
    from PIL import Image

    return _written(Image.fromarray(pixels), infotext)


def sheet(title: str, pictures: Sequence[Labelled], *, infotext: str | None = None, font: str | None = None) -> bytes:
    """All of `pictures` in their own size, in rows, with names and lines; a PNG.

    `font` is the file of one that is to be taken, where it can be read.
    """
    from PIL import Image, ImageDraw

    height, width = max((one.pixels.shape[:2] for one in pictures if one.pixels is not None), default=(256, 256))
    type_size = max(13, min(width // 24, 40))
    line, letters = round(type_size * 1.5), _font(type_size, font)
    texts = [[one.name, *_wrapped(one.lines, letters, width)] for one in pictures]
    columns = min(WIDEST, max(1, math.ceil(math.sqrt(len(pictures)))))
    top = MARGIN + 2 * line
    wide, high = width + MARGIN, height + MARGIN + line * max((len(text) for text in texts), default=0)
    paper = Image.new("RGB", (MARGIN + columns * wide, top + math.ceil(len(pictures) / columns) * high), PAPER)
    draw = ImageDraw.Draw(paper)
    draw.text((MARGIN, MARGIN), _known(title, letters), INK, letters)
    for number, (one, text) in enumerate(zip(pictures, texts, strict=True)):
        left, upper = MARGIN + number % columns * wide, top + number // columns * high
        if one.pixels is not None:
            paper.paste(Image.fromarray(one.pixels), (left, upper))
        else:
            draw.rectangle((left, upper, left + width - 1, upper + height - 1), outline=FAINT)
        for place, words in enumerate(text):
            at = left, upper + height + place * line + line // 4
            draw.text(at, _known(words, letters), FAINT if place else INK, letters)
    return _written(paper, infotext)


def written_out(text: str, size: tuple[int, int]) -> Image.Image:
    """Return a picture of `size` with the text in it, as large as it fits."""
    from PIL import Image, ImageDraw

    width, height = size
    margin = min(MARGIN, width // 16)
    for type_size in range(max(8, min(width // 16, 40)), 7, -1):
        letters, line = _font(type_size, None), round(type_size * 1.3)
        lines = _wrapped([text], letters, width - 2 * margin)
        if len(lines) * line <= height - 2 * margin:
            break
    paper = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(paper)
    for place, words in enumerate(lines):
        draw.text((margin, margin + place * line), _known(words, letters), INK, letters)
    return paper


def _written(image: Image.Image, infotext: str | None) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    if infotext:
        texts.add_text("parameters", infotext)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1, pnginfo=texts)
    return file.getvalue()


def _wrapped(lines: Sequence[str], letters: Any, width: int) -> list[str]:
    """Lines that are no wider than the picture, broken at spaces."""
    wrapped: list[str] = []
    for text in lines:
        rest = ""
        for word in text.split(" "):
            longer = f"{rest} {word}".strip()
            if rest and letters.getlength(_known(longer, letters)) > width:
                wrapped.append(rest)
                rest = word
            else:
                rest = longer
        wrapped.append(rest)
    return wrapped


def _font(size: int, wanted: str | None) -> Any:
    """One that knows Chinese too, where there is one; at worst Pillow's own."""
    from PIL import ImageFont

    for file in (*([wanted] if wanted else []), *FONTS):
        try:
            return ImageFont.truetype(file, size)
        except OSError:
            continue
    return ImageFont.load_default()


def _known(text: str, letters: Any) -> str:
    """Pillow's own font raises at what is not Latin."""
    from PIL import ImageFont

    return text.encode("latin-1", "replace").decode("latin-1") if type(letters) is ImageFont.ImageFont else text
