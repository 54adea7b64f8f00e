"""The optimiser of the training: what it makes of a gradient, and that it descends."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="the optimiser works on torch tensors")

import torch
from torch import nn

from tests.vaes.optimiser import OrthogonalMomentum, orthogonalised

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("shape", [(16, 16), (16, 144), (48, 16)])
def test_singular_values_become_about_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonalised(matrix))
    assert values.max() < 1.3
    assert values.median() > 0.6


def test_it_descends() -> None:
    weight = nn.Parameter(torch.zeros(8, 4, 3, 3))
    wanted = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    optimiser = OrthogonalMomentum([weight])
    for step in range(300):
        weight.grad = weight.detach() - wanted
        optimiser.step(rate=0.2 * (1 - step / 300))
    assert (weight.detach() - wanted).square().mean() < 0.05


def test_a_weight_without_gradient_stays() -> None:
    weight = nn.Parameter(torch.ones(4, 4))
    OrthogonalMomentum([weight]).step(rate=0.1)
    assert torch.equal(weight.detach(), torch.ones(4, 4))
