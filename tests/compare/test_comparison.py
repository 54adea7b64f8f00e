"""Candidates one after the other; what is in the model is the same afterwards."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.failing import fails_with, has
from tests.swap.nets import copied, same
from tests.vaes.pictures import pictures
from vae_manager.compare import Candidate, ComparisonStep, Decoded, Encoder
from vae_manager.compare.comparison import decode_all, to_pixels, unchanged
from vae_manager.errors import Cancelled, IntegrityError
from vae_manager.swap import named_tensors

from .models import PROBLEM, bad, candidate, in_use, latent, model_of, plain, weights


def test_each_is_what_a_model_with_it_would_make_bit_for_bit() -> None:
    z = latent()
    made = list(decode_all(model_of(), z, [in_use(), candidate("tuned"), candidate("other"), candidate("base")]))
    assert [one.error for one in made] == [None] * 4
    for one, name in zip(made, ("base", "tuned", "other", "base"), strict=True):
        assert one.pixels is not None
        assert np.array_equal(one.pixels, plain(name, z)), name
    assert all(one.seconds > 0 and one.peak is None and not one.nan for one in made)


def test_pixels_are_cut_off_as_the_webui_does() -> None:
    picture = torch.tensor([-2.0, -1.0, 0.0, 0.9999, 1.0, 3.0]).reshape(1, 1, 6).expand(3, 1, 6)
    assert to_pixels(picture)[0, :, 0].tolist() == [0, 0, 127, 254, 255, 255]


def test_the_model_is_the_same_at_each_moment_and_afterwards() -> None:
    model = model_of()
    before, at = copied(model.module), {name: place.data_ptr() for name, place in named_tensors(model.module).items()}
    for _ in decode_all(model, latent(), [candidate("tuned"), bad(), candidate("other")]):
        assert same(model.module, before)
    assert same(model.module, before)
    assert {name: place.data_ptr() for name, place in named_tensors(model.module).items()} == at


def test_one_that_fails_stops_no_other() -> None:
    made = list(decode_all(model_of(), latent(), [in_use(), bad(), candidate("tuned")]))
    assert [one.pixels is None for one in made] == [False, True, False]
    assert made[1].error == PROBLEM


def test_how_far_it_is() -> None:
    steps: list[ComparisonStep] = []
    list(decode_all(model_of(), latent(), [in_use(), candidate("tuned")], report=steps.append))
    assert steps == [(0, 2, "in use"), (1, 2, "tuned"), (2, 2, "")]


def test_stopped_in_the_middle() -> None:
    model, stop, made = model_of(), threading.Event(), list[Decoded]()
    before = copied(model.module)
    with pytest.raises(Cancelled):
        for one in decode_all(model, latent(), [in_use(), candidate("tuned")], stop=stop):
            made.append(one)
            stop.set()
    assert [one.vae for one in made] == ["in use"]
    assert same(model.module, before)


class Interrupted(BaseException):
    """Nobody catches it."""


@pytest.mark.parametrize("error", [RuntimeError("no kernel"), TypeError("odd"), Interrupted()])
def test_whatever_a_decode_raises(error: BaseException) -> None:
    model = model_of()
    before = copied(model.module)

    def raises(_: torch.Tensor) -> torch.Tensor:
        raise error

    broken = replace(model, decode=raises)
    if isinstance(error, RuntimeError):
        [one] = decode_all(broken, latent(), [candidate("tuned")])
        assert one.error is not None and one.error.code == "cannot-decode"
        assert has(one.error, error="RuntimeError: no kernel")
    else:
        with pytest.raises(type(error)):
            list(decode_all(broken, latent(), [candidate("tuned")]))
    assert same(model.module, before)


def test_a_vae_in_use_that_has_changed_is_not_kept_quiet() -> None:
    model = model_of()
    with fails_with(IntegrityError, "vae-not-restored"), unchanged(model):
        next(iter(named_tensors(model.module).values())).data[0] += 1


def _without_numbers(name: str) -> Candidate:
    tensors = weights(name)
    tensors["decoder.conv_out.bias"] = torch.full((3,), float("nan"))
    return Candidate("nan", lambda: tensors)


def test_a_vae_that_gives_no_numbers() -> None:
    [one] = decode_all(model_of(), latent(), [_without_numbers("base")])
    assert (one.pixels, one.nan, one.error and one.error.code) == (None, True, "no-picture")


def test_nan_in_few_bits_is_decoded_anew_with_more() -> None:
    """As the WebUI does: the weights that it has, in another dtype."""
    model = model_of()
    decode = model.decode

    def narrow(z: torch.Tensor) -> torch.Tensor:
        wide = decode(z) if z.dtype == torch.float64 else decode(z).fill_(float("nan"))
        return wide.to(z.dtype)

    model = replace(model, decode=narrow, better=torch.float64)
    z = latent()
    made = list(decode_all(model, z, [in_use(), candidate("tuned")]))
    assert [one.nan for one in made] == [True, True]
    assert all(one.note is not None for one in made)
    assert {place.dtype for place in named_tensors(model.module).values()} == {torch.float32}
    assert np.abs(made[1].pixels.astype(int) - plain("tuned", z)).max() <= 1  # type: ignore[union-attr]


@pytest.mark.parametrize("each", [False, True], ids=["by the one in use", "each by itself"])
def test_a_picture_is_encoded_and_comes_back_in_its_size(each: bool) -> None:
    picture = to_pixels(pictures(1, 64, seed=5)[0])[:61, :50]
    made = list(decode_all(model_of(), Encoder(picture, each), [in_use(), candidate("tuned"), candidate("other")]))
    far = [np.abs(one.pixels.astype(int) - picture).mean() for one in made]  # type: ignore[union-attr]
    assert [one.pixels.shape for one in made] == [(61, 50, 3)] * 3  # type: ignore[union-attr]
    assert far[0] < 16
    assert far[1] < 24
    assert bool(far[2] < 24) is each, "another latent space, unless it encodes by itself"
