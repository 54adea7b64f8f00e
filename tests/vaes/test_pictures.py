"""The generated pictures: bounded, repeatable, all different."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the pictures are torch tensors")

import torch

from tests.vaes.pictures import pictures

pytestmark = pytest.mark.torch


def test_pictures_are_floats_in_minus_one_to_one() -> None:
    drawn = pictures(32, 48, seed=5)
    assert drawn.shape == (32, 3, 48, 48)
    assert drawn.dtype == torch.float32
    assert drawn.abs().max() <= 1.0
    assert drawn.std() > 0.3


def test_a_seed_gives_the_same_pictures_however_many_are_asked_for() -> None:
    assert torch.equal(pictures(3, 32, seed=5), pictures(20, 32, seed=5)[:3])


def test_pictures_differ_from_each_other_and_from_seed_to_seed() -> None:
    drawn = torch.cat([pictures(4, 32, seed=5), pictures(4, 32, seed=6)])
    assert len({picture.numpy().tobytes() for picture in drawn}) == len(drawn)


def test_the_same_scene_comes_at_every_size() -> None:
    small, large = pictures(4, 32, seed=5), pictures(4, 64, seed=5)
    assert (torch.nn.functional.avg_pool2d(large, 2) - small).abs().mean() < 0.02


def test_pictures_drawn_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = pictures(5, 32, seed=5)
    monkeypatch.setattr("tests.vaes.pictures.CHUNK", 2 * 32 * 32)
    assert torch.equal(pictures(5, 32, seed=5), at_once)
