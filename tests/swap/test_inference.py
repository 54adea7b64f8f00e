"""Models that were made in torch's inference mode, as Forge's and reForge's can be, take weights all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch")

import torch

from vae_manager.swap import named_tensors
from vae_manager.swap.weights import exchanged, fitted

pytestmark = pytest.mark.torch


@pytest.fixture(params=[False, True], ids=["plain", "inference"])
def module(request: pytest.FixtureRequest) -> Iterator[torch.nn.Module]:
    with torch.inference_mode(request.param):
        made = torch.nn.Conv2d(2, 2, 1)
    yield made


@pytest.mark.parametrize("tensors", [False, True], ids=["plain tensors", "inference tensors"])
@pytest.mark.parametrize("mode", [False, True], ids=["outside", "in inference mode"])
def test_weights_go_in_and_are_used(module: torch.nn.Module, tensors: bool, mode: bool) -> None:
    models = named_tensors(module)
    with torch.inference_mode(tensors):
        new = {name: torch.full_like(place, 0.5, requires_grad=False) for name, place in models.items()}
    with torch.inference_mode(mode):
        ready = {name: fitted(tensor, models[name], torch.float32) for name, tensor in new.items()}
        with exchanged(models, ready):
            pass
    for outside in (False, True):
        with torch.inference_mode(outside), torch.no_grad():
            assert float(module(torch.ones(1, 2, 1, 1)).sum()) == 3.0
