"""What the three trained files promise, on pictures that no training has seen."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

pytest.importorskip("torch", reason="the tiny VAEs run on torch")
pytest.importorskip("safetensors", reason="the tiny VAEs are safetensors files")

import torch
from safetensors.torch import load_file

from tests.vaes import BASE, OTHER, TUNED
from tests.vaes.autoencoder import SCALE, load
from tests.vaes.figures import Figures, mean_psnr, measure
from tests.vaes.pictures import pictures
from tests.vaes.train import HELD_OUT

pytestmark = pytest.mark.torch

GOOD_DB = 25.0
NOISE_DB = 12.0
BYTES = 4_000_000
"""What the three files together stay under."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small gain nothing from more threads, and on a busy machine they lose a great deal."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=[(64, 64), (8, 128)], ids=["64x64", "128x128"])
def figures(request: pytest.FixtureRequest, one_thread: None) -> Figures:
    count, size = request.param
    return measure(load(BASE), load(TUNED), load(OTHER), pictures(count, size, seed=HELD_OUT[1]))


def test_each_file_reconstructs(figures: Figures) -> None:
    assert min(figures.base_db, figures.tuned_db, figures.other_db) >= GOOD_DB


def test_another_latent_space_decodes_to_noise(figures: Figures) -> None:
    assert max(figures.base_by_other_db, figures.other_by_base_db) <= NOISE_DB


def test_tuned_is_visibly_more_vivid(figures: Figures) -> None:
    assert figures.tuned_vividness >= figures.base_vividness + 0.05


def test_latents_are_of_unit_scale(figures: Figures) -> None:
    assert 0.7 < figures.base_spread < 1.3
    assert 0.7 < figures.other_spread < 1.3


@torch.no_grad()
def test_a_sampled_latent_decodes_as_well_as_the_mean() -> None:
    base, held_out = load(BASE), pictures(16, 64, seed=HELD_OUT[2])
    posterior = base.posterior(held_out)
    assert posterior.std.mean() * SCALE < 0.1
    assert mean_psnr(base.decode(posterior.sample(torch.Generator().manual_seed(1))), held_out) >= GOOD_DB


def test_keys_shapes_and_types_are_the_same() -> None:
    base, tuned, other = ({k: (v.shape, v.dtype) for k, v in load_file(p).items()} for p in (BASE, TUNED, OTHER))
    assert base == tuned == other


def test_only_the_decoder_of_tuned_differs() -> None:
    base, tuned = load_file(BASE), load_file(TUNED)
    changed = {name for name in base if not torch.equal(base[name], tuned[name])}
    assert changed
    assert all(name.startswith(("decoder.", "post_quant_conv.")) for name in changed)


def test_every_number_is_finite() -> None:
    for path in (BASE, TUNED, OTHER):
        assert all(tensor.isfinite().all() for tensor in load_file(path).values())


def test_the_files_are_small_and_tell_nothing_but_their_format() -> None:
    assert sum(path.stat().st_size for path in (BASE, TUNED, OTHER)) < BYTES
    for path in (BASE, TUNED, OTHER):
        content = path.read_bytes()
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        assert header["__metadata__"] == {"format": "pt"}
