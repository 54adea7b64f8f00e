"""A test picture for VAEs, drawn by code, with what they spoil first: eyes, hair, cloth, small letters, pure colours.

`portrait()` is the same on every machine, apart from the letters: those are of the first font that is found. All
measures are pixels of the picture of `SIDE`; it is drawn `FINE` times as large, and then scaled down.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from vae_manager.compare.pictures import FONTS

SIDE = 512
FINE = 3
SEED = 7


class Detail(NamedTuple):
    """A square part of the picture that is worth a look."""

    name: str
    left: int
    top: int


DETAIL_SIDE = 72
DETAILS = (
    Detail("eye", 164, 180),
    Detail("small letters", 333, 113),
    Detail("hair", 76, 84),
    Detail("cloth", 300, 432),
)

Colour = tuple[int, int, int]
Point = tuple[float, float]
SKIN, SHADE, DARK, HAIR, WALL = (236, 188, 160), (203, 138, 112), (46, 30, 30), (122, 62, 34), (96, 138, 142)
PURE: Sequence[Colour] = (
    *((230, 20, 30), (255, 140, 0), (255, 226, 0), (0, 170, 60), (0, 190, 220), (20, 60, 220), (130, 30, 190)),
    (240, 20, 150),
)
"""Colours at the edge of what a screen shows."""
LINES = (
    (17, "Look closely"),
    (12, "Eyes, hair and cloth"),
    (10, "16,384 numbers hold"),
    (10, "all of this picture."),
    (8, "0123456789 & 8 6 3 B 9 g q"),
    (7, "The quick brown fox jumps over"),
    (7, "the lazy dog, twice a day."),
)
"""Letters and their size."""


def portrait() -> Image.Image:
    """Return the picture in colour, `SIDE` by `SIDE` pixels."""
    drawing = _Drawing(random.Random(SEED))
    drawing.wall()
    drawing.poster()
    drawing.hair_behind()
    drawing.neck_and_jumper()
    drawing.face()
    for middle in (126.0, 200.0):
        drawing.eye(middle, 214.0)
    drawing.nose_and_mouth()
    drawing.strands()
    return drawing.picture.resize((SIDE, SIDE), Image.LANCZOS)


class _Drawing:
    def __init__(self, chance: random.Random) -> None:
        self.picture = Image.new("RGB", (SIDE * FINE, SIDE * FINE))
        self._chance = chance

    @property
    def _pen(self) -> ImageDraw.ImageDraw:
        return ImageDraw.Draw(self.picture)

    # Strokes
    def _soft(self, box: Sequence[float], colour: Colour, strength: float, blur: float) -> None:
        """An ellipse without an edge: `strength` of its colour in the middle."""
        margin = 3 * blur
        left, top, right, bottom = box
        size = round((right - left + 2 * margin) * FINE), round((bottom - top + 2 * margin) * FINE)
        mask = Image.new("L", size)
        inside = _fine((margin, margin, margin + right - left, margin + bottom - top))
        ImageDraw.Draw(mask).ellipse(inside, fill=round(255 * strength))
        place = round((left - margin) * FINE), round((top - margin) * FINE)
        self.picture.paste(Image.new("RGB", size, colour), place, mask.filter(ImageFilter.GaussianBlur(blur * FINE)))

    def _curve(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A line of Bézier by two ends and two handles."""
        start, first, second, end = points
        steps = [step / 24 for step in range(25)]
        path = [
            tuple(
                FINE * ((1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d)
                for a, b, c, d in zip(start, first, second, end, strict=True)
            )
            for t in steps
        ]
        self._pen.line(path, fill=colour, width=max(1, round(width * FINE)), joint="curve")

    def _near(self, colour: Colour, spread: int) -> Colour:
        """The colour, lighter or darker."""
        by = self._chance.randint(-spread, spread)
        red, green, blue = (max(0, min(255, value + by)) for value in colour)
        return red, green, blue

    # Parts, from back to front
    def wall(self) -> None:
        y, x = np.mgrid[0 : SIDE * FINE, 0 : SIDE * FINE] / (SIDE * FINE)
        light = 1.15 - 0.45 * np.hypot(x - 0.75, y - 0.15)
        self.picture = Image.fromarray((np.array(WALL) * light[..., None]).clip(0, 255).astype(np.uint8))

    def poster(self) -> None:
        pen = self._pen
        pen.rectangle(_fine((322, 34, 494, 196)), fill=(60, 44, 34))
        pen.rectangle(_fine((327, 39, 489, 191)), fill=(246, 241, 228))
        top = 48.0
        for size, text in LINES:
            pen.text((336 * FINE, top * FINE), text, fill=(30, 28, 40), font=letters(size * FINE))
            top += 1.2 * size + 6
        wide = 172 / len(PURE)
        for number, colour in enumerate(PURE):
            left = 322 + number * wide
            pen.rectangle(_fine((left, 216, left + wide, 262)), fill=colour)
            pen.line(_fine((left, 216, left + wide, 262)), fill=(255, 255, 255), width=FINE)
        for number in range(43):  # lines that come nearer and nearer to each other
            left = 322 + 172 * (number / 43) ** 0.6
            pen.line(_fine((left, 268, left, 292)), fill=(250, 250, 250), width=FINE)

    def hair_behind(self) -> None:
        self._pen.ellipse(_fine((50, 70, 276, 330)), fill=HAIR)
        self._pen.rectangle(_fine((50, 200, 276, 400)), fill=HAIR)

    def neck_and_jumper(self) -> None:
        self._pen.polygon([_fine(point) for point in ((132, 290), (194, 290), (212, 420), (114, 420))], fill=SHADE)
        shoulders = Image.new("L", self.picture.size)
        outline = (
            (0, 512),
            (8, 446),
            (60, 404),
            (122, 384),
            (163, 414),
            (206, 384),
            (300, 396),
            (400, 420),
            (470, 512),
        )
        ImageDraw.Draw(shoulders).polygon([_fine(point) for point in outline], fill=255)
        self.picture.paste(self._cloth(), mask=shoulders)

    def _cloth(self) -> Image.Image:
        """Herringbone: diagonals that turn at each column, three pixels from thread to thread."""
        y, x = np.mgrid[0 : SIDE * FINE, 0 : SIDE * FINE] / FINE
        column = np.floor(x / 12)
        along = y + np.where(column % 2 == 0, x, -x)
        thread = 0.5 + 0.5 * np.sin(2 * math.pi * along / 4.0)
        light, dark = np.array((228, 214, 190)), np.array((118, 34, 52))
        shade = (1 - 0.35 * np.abs(x - 200) / 260)[..., None]
        woven = (dark + (light - dark) * thread[..., None] * 0.85) * shade
        return Image.fromarray(woven.clip(0, 255).astype(np.uint8))

    def face(self) -> None:
        self._pen.ellipse(_fine((82, 92, 244, 330)), fill=SKIN)
        self._soft((206, 160, 246, 300), SHADE, 0.7, 10)
        self._soft((96, 236, 140, 276), (226, 120, 110), 0.45, 9)
        self._soft((188, 236, 232, 276), (226, 120, 110), 0.45, 9)
        self._soft((120, 110, 190, 170), (255, 226, 204), 0.7, 14)
        for _ in range(60):
            left, top = self._chance.uniform(108, 220), self._chance.uniform(232, 262)
            self._pen.ellipse(_fine((left, top, left + 1.3, top + 1.3)), fill=self._near((184, 112, 84), 14))

    def eye(self, x: float, y: float) -> None:
        self._soft((x - 24, y - 18, x + 24, y + 16), SHADE, 0.6, 5)
        white = Image.new("L", self.picture.size)
        ImageDraw.Draw(white).ellipse(_fine((x - 20, y - 10, x + 20, y + 10)), fill=255)
        before = self.picture.copy()
        self._pen.rectangle(_fine((x - 22, y - 12, x + 22, y + 12)), fill=(244, 240, 238))
        self._pen.ellipse(_fine((x - 10, y - 11, x + 10, y + 9)), fill=(34, 66, 74))
        for number in range(72):
            angle = 2 * math.pi * number / 72
            far = self._chance.uniform(7.4, 9.4)
            ends = *_around(x, y - 1, 3.6, angle), *_around(x, y - 1, far, angle)
            self._pen.line(_fine(ends), fill=self._near((112, 176, 170), 50), width=round(0.7 * FINE))
        self._pen.ellipse(_fine((x - 4.2, y - 5.2, x + 4.2, y + 3.2)), fill=(10, 8, 12))
        self._pen.ellipse(_fine((x + 1.6, y - 7.4, x + 5.6, y - 3.4)), fill=(255, 255, 255))
        self._pen.ellipse(_fine((x - 5.2, y + 2.2, x - 3.2, y + 4.2)), fill=(214, 230, 236))
        self._pen.line(_fine((x - 20, y - 7, x + 20, y - 7)), fill=(206, 196, 196), width=3 * FINE)
        self.picture = Image.composite(self.picture, before, white)
        self._curve(((x - 22, y + 3), (x - 12, y - 15), (x + 12, y - 15), (x + 22, y + 1)), DARK, 2.4)
        self._curve(((x - 20, y + 4), (x - 8, y + 13), (x + 10, y + 12), (x + 21, y + 2)), SHADE, 1.2)
        for number in range(13):
            part = number / 12
            left, top = x - 21 + 42 * part, y + 1 - 12 * math.sin(math.pi * (0.08 + 0.84 * part))
            tip = left + 9 * (part - 0.45), top - 6.5
            self._curve(((left, top), (left, top - 3), tip, tip), DARK, 0.9)
        for _ in range(46):
            part = self._chance.random()
            left, top = x - 26 + 50 * part, y - 27 - 7 * math.sin(math.pi * part) + self._chance.uniform(-2.6, 2.6)
            self._curve(((left, top), (left + 3, top - 2), (left + 6, top - 2), (left + 9, top - 0.5)),
                        self._near((88, 46, 30), 16), 0.8)  # fmt: skip

    def nose_and_mouth(self) -> None:
        self._soft((166, 216, 178, 264), SHADE, 0.6, 4)
        self._soft((156, 224, 166, 262), (255, 226, 208), 0.8, 3)
        self._curve(((150, 264), (154, 272), (172, 272), (177, 263)), (170, 100, 82), 1.6)
        for left in (152, 169):
            self._pen.ellipse(_fine((left, 263, left + 6, 267)), fill=(128, 66, 56))
        upper = ((130, 290), (150, 286), (163, 289), (176, 286), (198, 290), (164, 299))
        self._pen.polygon([_fine(point) for point in upper], fill=(176, 58, 66))
        self._pen.chord(_fine((134, 276, 194, 313)), 12, 168, fill=(206, 84, 90))
        self._curve(((128, 288), (148, 302), (180, 302), (200, 288)), (96, 28, 36), 1.3)
        self._soft((152, 301, 174, 307), (255, 206, 200), 0.8, 2)

    def strands(self) -> None:
        """Hair, one strand at a time: down both sides, and over the forehead from the parting."""
        for _ in range(620):
            side, out = self._chance.choice((-1, 1)), self._chance.random()
            root = 160 + 6 * side * out, 92 - 20 * out
            crown = 163 + side * (62 + 52 * out), 92 - 34 * out
            waist = 163 + side * (80 + 32 * out + self._chance.uniform(-5, 5))
            end = waist + side * self._chance.uniform(-10, 4), self._chance.uniform(330, 404)
            points = root, crown, (waist + side * 6, 200), end
            self._curve(points, self._near(HAIR, 46), self._chance.choice((0.6, 0.9, 1.3)))
        for _ in range(90):
            part = self._chance.random()
            points = ((150, 84), (190, 96), (206 + 30 * part, 126), (216 + 26 * part, 170 + 30 * part))
            self._curve(points, self._near(HAIR, 50), 0.8)


def _around(x: float, y: float, far: float, angle: float) -> Point:
    return x + far * math.cos(angle), y + far * math.sin(angle)


def _fine(values: Sequence[float]) -> Any:
    return tuple(value * FINE for value in values)


def letters(size: int) -> Any:
    """Return a font of that size."""
    for file in ("DejaVuSans.ttf", *FONTS):
        try:
            return ImageFont.truetype(file, size)
        except OSError:
            continue
    return ImageFont.load_default()
