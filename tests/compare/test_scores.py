"""Scores: each measure finds its own planted shift, and that alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import skimage.data
from skimage.color import deltaE_ciede2000, rgb2lab

from tests.vaes.pictures import pictures
from vae_manager.compare.chart import SIDE, chart, chart_hash
from vae_manager.compare.comparison import to_pixels
from vae_manager.compare.defects import Profile, profile_of
from vae_manager.compare.faces import faces_of
from vae_manager.compare.metrics import difference
from vae_manager.compare.scores import NO_PICTURE, score, score_of_fields, without_picture


def scenes(count: int = 8) -> list[Any]:
    return [to_pixels(one) for one in pictures(count, 64, seed=11)]


def shifted(change: Callable[[Any], Any]) -> Profile:
    return profile_of([score(one, np.clip(change(one.astype(float)), 0, 255).astype(np.uint8)) for one in scenes()])


def test_equal_pictures_have_no_distance() -> None:
    found = score(chart(), chart())
    assert (found.distance, found.colour, found.is_flat, found.has_picture) == (0, 0, False, True)


def test_colour_is_ciede2000_between_means_of_blocks() -> None:
    one, other = np.full((16, 16, 3), (200, 30, 40), np.uint8), np.full((16, 16, 3), (180, 60, 40), np.uint8)
    wanted = float(deltaE_ciede2000(rgb2lab(one), rgb2lab(other)).mean())
    assert score(one, other).colour == pytest.approx(wanted, abs=1e-6)


def test_contrast_is_a_part_and_no_cast() -> None:
    profile = shifted(lambda one: 127.5 + 0.8 * (one - 127.5))
    assert profile.contrast.value == pytest.approx(-0.2, abs=0.02)
    assert abs(profile.brightness.value) < 1
    assert abs(profile.green_red.value) < 0.5


def test_a_cast_has_a_direction_and_is_no_contrast() -> None:
    profile = shifted(lambda one: one + np.array([0, 12, 0]))
    assert profile.green_red.value < -3
    assert abs(profile.contrast.value) < 0.04


def test_saturation() -> None:
    profile = shifted(lambda one: one.mean(2, keepdims=True) + 0.7 * (one - one.mean(2, keepdims=True)))
    assert profile.saturation.value == pytest.approx(-0.3, abs=0.05)
    assert abs(profile.contrast.value) < 0.1


def test_exchanged_channels_are_told_by_their_order() -> None:
    assert shifted(lambda one: one[..., ::-1]).order == "bgr"
    assert shifted(lambda one: one[..., [1, 2, 0]]).order == "gbr"
    assert shifted(lambda one: one).order == "rgb"


def test_a_blur_takes_detail_and_less_of_what_is_coarse() -> None:
    grain = np.random.default_rng(1).normal(0, 20, (96, 96))
    one = np.clip(128 + grain, 0, 255).astype(np.uint8)[..., None].repeat(3, 2)
    exact = one.astype(float)
    rows = (exact[:-2] + 2 * exact[1:-1] + exact[2:]) / 4
    blurred = ((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4).astype(np.uint8)
    profile = profile_of([score(one[1:-1, 1:-1], blurred)])
    fine, _, coarse = (band.value for band in profile.detail)
    assert fine < -0.6
    assert coarse > fine / 2


@pytest.mark.parametrize("sides", [(16, 16), (17, 23), (1, 1), (3, 40), (8, 2)])
def test_any_size_has_a_score(sides: tuple[int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*sides, 3), dtype=np.uint8)
    assert score(picture, picture[::-1]).distance >= 0
    with pytest.raises(ValueError, match="pictures of"):
        score(picture, picture[:, :-1])


def test_a_face_is_found_and_measured_apart() -> None:
    picture = skimage.data.astronaut()
    faces = faces_of(picture)
    assert len(faces) == 1
    face = faces[0]
    assert 48 <= face.width < 200
    rows = slice(face.top, face.top + face.height)
    columns = slice(face.left, face.left + face.width)
    smeared = picture.copy()
    smeared[rows, columns] = picture[rows, columns].mean((0, 1))
    apart = profile_of([score(picture, smeared, faces=faces)])
    assert apart.faces is not None
    assert apart.faces < -0.9
    assert apart.edges.value > -0.3
    assert profile_of([score(picture, smeared)]).faces is None
    assert faces_of(chart()) == faces_of(picture[:20, :20]) == ()


def test_one_colour_alone() -> None:
    grey = np.full((64, 64, 3), 128, np.uint8)
    assert score(scenes(1)[0], grey).is_flat
    assert not score(grey, grey).is_flat


def test_a_score_survives_its_journal() -> None:
    found = score(*scenes(2))
    assert score_of_fields(json.loads(json.dumps(found.fields()))) == found
    assert score_of_fields(without_picture(is_nan=True).fields()).distance == NO_PICTURE
    for broken in ([], [1] * 10, [*found.fields()[:-1], 1, 2], [float("nan"), *found.fields()[1:]]):
        with pytest.raises((ValueError, TypeError)):
            score_of_fields(broken)


def test_the_chart_is_the_same_on_every_machine() -> None:
    assert chart().shape == (SIDE, SIDE, 3)
    assert chart_hash() == "81fd382ef3b3dc5ff51240686c0fad774be22dd1d76ea0d82aff86d12f00c813"


def test_the_largest_difference_of_any_channel() -> None:
    one, other = scenes(2)
    wanted = np.abs(one.astype(int) - other).max(2)
    assert np.array_equal(difference([one, other]), wanted)
