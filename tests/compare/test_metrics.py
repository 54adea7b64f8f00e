"""Figures, against what was done to a picture on purpose; and the words for them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from tests.vaes.pictures import pictures
from vae_manager.compare.comparison import to_pixels
from vae_manager.compare.metrics import Box, Figures, compare, difference_map, in_words, measure, most_different

TEXTURE = np.random.default_rng(1).normal(0, 6, (128, 128, 1))
PICTURE = (to_pixels(pictures(1, 128, seed=3)[0]) * 0.6 + 50 + TEXTURE).astype(np.uint8)
"""With room at both ends, and with something to sharpen."""
SHARPEN = ImageFilter.UnsharpMask(1, 60, 0)


def changed(way: str, much: float = 1.0) -> Any:
    image = Image.fromarray(PICTURE)
    if way == "blurred":
        return np.asarray(image.filter(ImageFilter.GaussianBlur(much)))
    if way == "sharpened":
        return np.asarray(image.filter(SHARPEN))
    if way == "brighter":
        return np.clip(PICTURE.astype(int) + round(much), 0, 255).astype(np.uint8)
    enhance = {"saturated": ImageEnhance.Color, "contrast": ImageEnhance.Contrast}[way]
    return np.asarray(enhance(image).enhance(much))


def figures(other: Any) -> Figures:
    return compare(measure(PICTURE), measure(other))


def words(other: Any) -> list[str]:
    """Their codes."""
    return [message.code for message in in_words(figures(other))]


def test_the_same_picture() -> None:
    same = figures(PICTURE.copy())
    assert (same.identical, same.ssim, same.psnr, same.where) == (True, 1.0, None, None)
    assert (same.lightness, same.saturation, same.contrast, same.sharpness) == (0, 0, 0, 0)


def test_psnr_is_by_its_formula_and_ssim_falls_with_blur() -> None:
    brighter = figures(changed("brighter", 5))
    assert brighter.psnr == pytest.approx(20 * math.log10(255 / 5), abs=1e-6)
    blurs = [figures(changed("blurred", radius)).ssim for radius in (0.5, 1, 2)]
    assert 1 > blurs[0] > blurs[1] > blurs[2] > 0  # type: ignore[operator]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (changed("brighter", 5), ["brighter", "same-detail"]),
        (changed("brighter", -5), ["darker", "same-detail"]),
        (changed("saturated", 1.15), ["more-saturated", "same-detail"]),
        (changed("saturated", 0.85), ["less-saturated", "same-detail"]),
        (changed("contrast", 0.85), ["less-saturated", "less-contrast", "same-detail"]),
        (changed("blurred", 1.0), ["softer"]),
        (changed("sharpened"), ["sharper"]),
        (changed("brighter", 1), ["no-visible-difference"]),
        (PICTURE, ["same-picture"]),
        (255 - PICTURE, ["other-picture"]),
        (np.clip(PICTURE.astype(int) + np.array([8, 0, 0]), 0, 255).astype(np.uint8), ["redder"]),
        (np.clip(PICTURE.astype(int) - np.array([0, 0, 8]), 0, 255).astype(np.uint8), ["yellower"]),
    ],
)
def test_words_say_what_was_done(other: Any, expected: list[str]) -> None:
    found = words(other)
    assert [word for word in expected if word not in found] == []
    if len(expected) > 1 or expected[0] not in ("softer", "sharper", "redder", "yellower"):
        assert sorted(found) == sorted(expected)


def test_where_they_differ_most() -> None:
    other = PICTURE.copy()
    other[70:80, 40:50] ^= 0x3F
    other[0:3, 100:103] ^= 0x0F
    assert most_different([PICTURE, other], 5, side=32) == (Box(32, 64, 32, 32), Box(96, 0, 32, 32))
    assert most_different([PICTURE, PICTURE, other], 1, side=32) == (Box(32, 64, 32, 32),)
    assert most_different([PICTURE, PICTURE], 5) == ()
    assert figures(other).where == Box(0, 64, 64, 64)


def test_a_part_at_the_edge_lies_within_the_picture() -> None:
    first = np.zeros((70, 100, 3), np.uint8)
    second = first.copy()
    second[69, 99] = 255
    assert most_different([first, second], 3) == (Box(64, 64, 36, 6),)


def test_a_map_is_read_without_colour() -> None:
    other = PICTURE.copy()
    other[3, 5, 1] += 40
    other[4, 5, 2] += 20
    found = difference_map(PICTURE, other)
    assert (found.white, found.pixels.shape) == (40, (128, 128))
    assert (found.pixels[3, 5], found.pixels[4, 5], found.pixels[0, 0]) == (255, 128, 0)
    assert difference_map(PICTURE, PICTURE).pixels.max() == 0
    slight = PICTURE.copy()
    slight[0, 0, 0] += 1
    assert difference_map(PICTURE, slight).pixels.max() == 16


def test_pictures_that_are_small_or_plain() -> None:
    grey, brighter = np.full((8, 8, 3), 128, np.uint8), np.full((8, 8, 3), 140, np.uint8)
    found = compare(measure(grey), measure(brighter))
    assert found.ssim is None
    assert (found.contrast, found.sharpness) == pytest.approx((0, 0))
    assert [message.code for message in in_words(found)] == ["brighter", "same-detail"]
    vivid = brighter.copy()
    vivid[:4] = 116
    assert "more-contrast" in [message.code for message in in_words(compare(measure(grey), measure(vivid)))]


def test_other_sizes_are_no_comparison() -> None:
    with pytest.raises(ValueError, match="pictures of"):
        compare(measure(PICTURE), measure(PICTURE[:64]))
