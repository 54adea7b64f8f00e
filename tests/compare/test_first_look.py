"""First looks: the part with the most detail, decoded alone by each VAE before the whole pictures."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event

import numpy as np
import pytest
import torch

from tests.failing import fails_with
from tests.swap.nets import copied, same
from vae_manager.compare import Candidate, ComparisonStep, Decoded, FirstLook, Model
from vae_manager.compare.comparison import decode_all
from vae_manager.compare.first_look import LEAST_GAIN, MARGIN, SIDE, Part, error_of, look_at, part_of
from vae_manager.errors import Cancelled

from .models import bad, candidate, in_use, latent, model_of
from .test_decoding import blocks

LARGE = 96
"""Side of a latent that is large enough for a first look."""


def noise(height: int = LARGE, width: int = LARGE) -> torch.Tensor:
    return torch.rand(1, 4, height, width, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def always_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_manager.compare.comparison.WORTH_S", 0.0)


@pytest.mark.parametrize("shape", [(LARGE, LARGE), (200, 50), (SIDE, 1000)])
def test_part_has_the_detail(shape: tuple[int, int]) -> None:
    z = torch.zeros(1, 4, *shape)
    top, left = shape[0] - SIDE, shape[1] - SIDE
    z[..., top:, left:] = noise(SIDE, SIDE)
    part = part_of(z)
    assert part is not None
    assert abs(part.top - top) < 4
    assert abs(part.left - left) < 4
    assert part.top + SIDE <= shape[0]
    assert part.left + SIDE <= shape[1]


@pytest.mark.parametrize("shape", [(64, 64), (8, 4096), (90, 91)])
def test_small_picture_has_no_first_look(shape: tuple[int, int]) -> None:
    assert part_of(noise(*shape)) is None


@pytest.mark.parametrize("content", [float("nan"), float("inf"), 0.0])
def test_latent_without_detail_has_a_part(content: float) -> None:
    assert part_of(torch.full((1, 16, LARGE, LARGE), content)) is not None


@pytest.mark.parametrize("place", [(0, 0), (40, 3), (LARGE - SIDE, LARGE - SIDE)])
def test_part_of_a_decoder_without_surroundings_is_exact(place: tuple[int, int]) -> None:
    z = noise() * 2 - 1
    look = look_at("a", blocks, z, Part(*place))
    assert look is not None
    assert look.pixels.shape == (8 * SIDE, 8 * SIDE, 3)
    assert (look.top, look.left) == (8 * place[0], 8 * place[1])
    whole = look_at("a", blocks, z, Part(0, 0, LARGE))
    assert whole is not None
    assert error_of(look, whole.pixels) == 0
    assert error_of(look, whole.pixels[: look.top + 9, : look.left + 70]) == 0  # padding was cut off
    changed = whole.pixels.copy()
    changed[look.top + 5, look.left + 7, 1] ^= 64
    assert error_of(look, changed) == 64


def test_margin_is_decoded_too_and_gains_are_counted_with_it() -> None:
    seen: list[Sequence[int]] = []

    def decode(z: torch.Tensor) -> torch.Tensor:
        seen.append(z.shape[2:])
        return blocks(z)

    look_at("a", decode, noise(), Part(40, 0))
    assert seen == [(SIDE + 2 * MARGIN, SIDE + MARGIN)]
    assert Part(40, 40).gain(noise()) == LARGE**2 / (SIDE + 2 * MARGIN) ** 2 > LEAST_GAIN


def test_part_with_nan_is_no_look() -> None:
    assert look_at("a", lambda z: blocks(z) * float("nan"), noise(), Part(0, 0)) is None


def run(
    model: Model, z: torch.Tensor, candidates: Sequence[Candidate], stop: Event | None = None
) -> list[FirstLook | Decoded]:
    order: list[FirstLook | Decoded] = []
    order.extend(decode_all(model, z, candidates, look=order.append, stop=stop))
    return order


def test_looks_come_before_all_whole_pictures_and_are_nearly_their_parts() -> None:
    model, z = model_of(), latent(8 * LARGE)
    before = copied(model.module)
    order = run(model, z, [in_use(), bad(), candidate("other")])
    looks = [one for one in order if isinstance(one, FirstLook)]
    wholes = {one.vae: one for one in order if isinstance(one, Decoded)}
    assert [one.vae for one in looks] == ["in use", "other"]
    assert order[: len(looks)] == looks
    assert list(wholes) == ["in use", "bad", "other"]
    assert same(model.module, before)
    for look in looks:
        whole = wholes[look.vae].pixels
        assert whole is not None
        part = whole[look.top : look.top + 8 * SIDE, look.left : look.left + 8 * SIDE]
        assert np.abs(part.astype(int) - look.pixels).mean() < 8
    first, other = looks
    assert np.abs(first.pixels.astype(int) - other.pixels).mean() > 8  # each look is of its own VAE


def cheap_model() -> Model:
    return model_of(decode=lambda z: blocks(z)[None])


def test_quick_decodes_have_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae_manager.compare.comparison.WORTH_S", 1e6)
    order = run(cheap_model(), noise(), [in_use(), candidate("tuned")])
    assert [type(one) for one in order] == [FirstLook, Decoded, Decoded]


def test_no_look_unless_asked() -> None:
    steps: list[ComparisonStep] = []
    made = list(decode_all(cheap_model(), noise(), [in_use()], report=steps.append))
    assert [one.vae for one in made] == ["in use"]
    assert len(steps) == 2


def test_a_stop_between_looks() -> None:
    model, stop = cheap_model(), Event()
    before = copied(model.module)
    seen: list[FirstLook] = []

    def look(one: FirstLook) -> None:
        seen.append(one)
        stop.set()

    with fails_with(Cancelled, "comparison-stopped"):
        list(decode_all(model, noise(), [in_use(), candidate("tuned")], look=look, stop=stop))
    assert len(seen) == 1
    assert same(model.module, before)
