"""The latent test tells the two latent spaces of the tiny VAEs apart, and leaves the model as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("torch")

import torch

from tests.failing import fails_with
from tests.vaes import BASE, OTHER, TUNED
from tests.vaes.autoencoder import AutoencoderKL, load
from vae_manager.errors import IntegrityError
from vae_manager.swap import named_tensors
from vae_manager.swap.weights import latent_test, sample_picture

from .nets import copied, same

PATHS = {"base": BASE, "tuned": TUNED, "other": OTHER}
PICTURE = sample_picture(128)


@pytest.fixture
def module() -> AutoencoderKL:
    """A model that has `base` in it."""
    return load(BASE)


def weights(name: str) -> dict[str, torch.Tensor]:
    return copied(load(PATHS[name]))


@pytest.mark.parametrize("own", ["base", "tuned", "other"])
@pytest.mark.parametrize("candidate", ["base", "tuned", "other"])
def test_two_spaces_are_told_apart(module: AutoencoderKL, own: str, candidate: str) -> None:
    before = copied(module)
    result = latent_test(module, weights(own), weights(candidate), PICTURE)
    assert result.is_same_space is ((own == "other") == (candidate == "other"))
    assert result.own_db > 20
    assert same(module, before)


def _raises(_: object) -> torch.Tensor:
    raise RuntimeError("CUDA out of memory")


@pytest.mark.parametrize("method", ["encode", "decode"])
def test_the_model_is_as_it_was_whatever_raises(
    module: AutoencoderKL, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    before, at = copied(module), {name: place.data_ptr() for name, place in named_tensors(module).items()}
    monkeypatch.setattr(module, method, _raises)
    with pytest.raises(RuntimeError, match="out of memory"):
        latent_test(module, weights("other"), weights("tuned"), PICTURE)
    assert same(module, before)
    assert {name: place.data_ptr() for name, place in named_tensors(module).items()} == at


def _broken(part: str) -> dict[str, torch.Tensor]:
    tensors = weights("base")
    tensors[part][0] = float("nan")
    return tensors


def test_a_candidate_that_gives_no_numbers_is_of_no_use(module: AutoencoderKL) -> None:
    result = latent_test(module, weights("base"), _broken("decoder.conv_out.bias"), PICTURE)
    assert (result.is_same_space, result.found_db) == (False, 0.0)


def test_without_numbers_from_its_own_vae_nothing_is_said(module: AutoencoderKL) -> None:
    with fails_with(IntegrityError, "no-picture"):
        latent_test(module, _broken("encoder.conv_in.bias"), weights("tuned"), PICTURE)
    assert same(module, weights("base"))


class _Distribution:
    """As ldm's encode gives it."""

    def __init__(self, mean: torch.Tensor) -> None:
        self._mean = mean

    def mode(self) -> torch.Tensor:
        return self._mean


@pytest.mark.parametrize("form", [_Distribution, lambda latent: latent], ids=["ldm", "sgm"])
def test_both_forms_of_an_encoded_picture(
    module: AutoencoderKL, monkeypatch: pytest.MonkeyPatch, form: Callable[[torch.Tensor], object]
) -> None:
    plain = latent_test(module, weights("base"), weights("tuned"), PICTURE)
    encode = module.encode
    monkeypatch.setattr(module, "encode", lambda picture: form(encode(picture)))
    assert latent_test(module, weights("base"), weights("tuned"), PICTURE) == plain


def test_the_picture_is_the_same_each_time_and_fills_the_range() -> None:
    picture = sample_picture()
    assert picture.shape == (1, 3, 256, 256)
    assert torch.equal(picture, sample_picture())
    assert (float(picture.min()), float(picture.max())) == (-1, 1)
