"""Generated pictures: small scenes of gradients, stripes, hills, discs and polygons, smooth as photographs are.

A picture depends on its seed and its place in the row only: `pictures(4, size, seed)` are the first four of
`pictures(64, size, seed)`, and the same scenes come at every size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

__all__ = ["pictures"]

DRAWS: Final = 192
"""Random numbers that one picture may use; drawing more is an error."""

CHUNK: Final = 1 << 22
"""Pixels drawn at a time, to bound the memory a large request takes."""


def pictures(count: int, size: int, seed: int) -> Tensor:
    """`count` square pictures: float32 `[count, 3, size, size]` in -1 … 1, red, green, blue."""
    draws = torch.rand(count, DRAWS, generator=torch.Generator().manual_seed(seed))
    at_once = max(1, CHUNK // size**2)
    return torch.cat([_paint(Dice(draws[start : start + at_once]), size) for start in range(0, count, at_once)])


class Dice:
    """The random numbers of a row of pictures, handed out in order: each call takes the next columns."""

    def __init__(self, draws: Tensor) -> None:
        self._draws = draws
        self._used = 0

    def __call__(self, low: float, high: float, columns: int = 1) -> Tensor:
        """Uniform numbers in low … high: `[n, columns, 1, 1]`, to be broadcast over the pixels."""
        start, self._used = self._used, self._used + columns
        if self._used > self._draws.shape[1]:
            raise ValueError(f"a picture uses more than {self._draws.shape[1]} random numbers")
        return (low + (high - low) * self._draws[:, start : self._used])[:, :, None, None]

    def colour(self) -> Tensor:
        """`[n, 3, 1, 1]` in -1 … 1: bright or dark, seldom at the limits, pale more often than vivid."""
        light, vividness = self(-0.85, 0.85), self(0.1, 1.0)
        hue = self(0.0, 2.0 * math.pi)
        thirds = torch.tensor([0.0, 1.0, 2.0])[None, :, None, None] * (2.0 * math.pi / 3.0)
        return light + 0.8 * (1.0 - light.abs()) * vividness * torch.cos(hue - thirds)

    def either(self, chance: float) -> Tensor:
        """One with the given chance, else zero: `[n, 1, 1, 1]`."""
        return (self(0.0, 1.0) < chance).float()


class Canvas:
    """Where the pixels are: `x` rightwards and `y` downwards, `[1, 1, size, size]` in 0 … 1."""

    def __init__(self, size: int) -> None:
        middles = (torch.arange(size, dtype=torch.float32) + 0.5) / size
        self.x = middles.view(1, 1, 1, size).expand(1, 1, size, size)
        self.y = middles.view(1, 1, size, 1).expand(1, 1, size, size)
        self.pixel = 1.0 / size

    def inside(self, distance: Tensor, softness: Tensor) -> Tensor:
        """How much of each pixel is inside a shape, 0 … 1.

        `distance` is the way out of the shape (negative outside) and `softness` the width of its edge, both as parts
        of the picture's side. An edge is never sharper than a pixel.
        """
        return torch.sigmoid(4.0 * distance / softness.clamp_min(self.pixel))


Layer = Callable[[Dice, Canvas], tuple[Tensor, Tensor]]
"""Draws one layer: its colours `[n, 3, h, w]` and how much of each pixel it covers `[n, 1, h, w]`, or broadcast."""


def _paint(dice: Dice, size: int) -> Tensor:
    canvas = Canvas(size)
    picture = _gradient(dice, canvas)
    for layer, chance in LAYERS:
        shown = dice.either(chance)
        colours, cover = layer(dice, canvas)
        picture = torch.lerp(picture, colours, shown * cover)
    return picture.clamp(-1.0, 1.0)


def _gradient(dice: Dice, canvas: Canvas) -> Tensor:
    """The ground: four corners, each of a colour of its own."""
    top = torch.lerp(dice.colour(), dice.colour(), canvas.x)
    bottom = torch.lerp(dice.colour(), dice.colour(), canvas.x)
    return torch.lerp(top, bottom, canvas.y)


def _stripes(dice: Dice, canvas: Canvas) -> tuple[Tensor, Tensor]:
    """Soft stripes behind one straight edge."""
    along = _across(dice, canvas)
    wave = torch.sin(2.0 * math.pi * (dice(1.0, 3.0) * along + dice(0.0, 1.0)))
    edge = canvas.inside(_across(dice, canvas) + dice(-0.3, 0.3), dice(0.05, 0.25))
    return dice.colour(), edge * dice(0.3, 0.8) * (0.5 + 0.5 * wave)


def _hills(dice: Dice, canvas: Canvas) -> tuple[Tensor, Tensor]:
    """Land below a wavy horizon, darker downwards."""
    wave = torch.sin(2.0 * math.pi * (dice(0.4, 1.6) * canvas.x + dice(0.0, 1.0)))
    horizon = dice(0.45, 0.9) + dice(0.02, 0.12) * wave
    colours = dice.colour() - dice(0.0, 0.4) * (canvas.y - horizon)
    return colours, canvas.inside(canvas.y - horizon, dice(0.03, 0.08))


def _disc(dice: Dice, canvas: Canvas) -> tuple[Tensor, Tensor]:
    """A ball, or a flat disc: lit from one side, more or less."""
    dx, dy = canvas.x - dice(0.1, 0.9), canvas.y - dice(0.1, 0.9)
    radius = dice(0.1, 0.3)
    light = dice(-0.5, 0.5) * dx / radius + dice(-0.5, 0.5) * dy / radius
    colours = dice.colour() + 0.5 * light
    return colours, canvas.inside(radius - torch.hypot(dx, dy), dice(0.03, 0.12))


def _polygon(dice: Dice, canvas: Canvas) -> tuple[Tensor, Tensor]:
    """A convex polygon of three to five sides, seen flat."""
    dx, dy = canvas.x - dice(0.15, 0.85), canvas.y - dice(0.15, 0.85)
    sides = torch.floor(dice(3.0, 5.999))
    number = torch.arange(5.0)[None, :, None, None]
    angles = dice(0.0, 2.0 * math.pi) + 2.0 * math.pi * number / sides + dice(-0.3, 0.3, columns=5)
    reach = torch.cos(angles) * dx + torch.sin(angles) * dy
    reach = torch.where(number < sides, reach, -torch.inf).amax(dim=1, keepdim=True)
    return dice.colour(), canvas.inside(dice(0.1, 0.25) - reach, dice(0.03, 0.08))


def _across(dice: Dice, canvas: Canvas) -> Tensor:
    """Distance from a line through the middle at any angle, `[n, 1, h, w]` in about -0.7 … 0.7."""
    angle = dice(0.0, 2.0 * math.pi)
    return torch.cos(angle) * (canvas.x - 0.5) + torch.sin(angle) * (canvas.y - 0.5)


LAYERS: Final[tuple[tuple[Layer, float], ...]] = (
    (_stripes, 0.4),
    (_disc, 0.4),
    (_hills, 0.35),
    (_hills, 0.35),
    (_stripes, 0.2),
    (_polygon, 0.6),
    (_disc, 0.6),
    (_polygon, 0.4),
)
"""From back to front: the layer and the chance that a picture has it."""
