"""Tiles, where the memory does not suffice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.failing import fails_with
from tests.swap.nets import copied, same
from tests.vaes import BASE
from tests.vaes.autoencoder import load
from vae_manager.compare.comparison import decoded, encoded, in_tiles, largest_error
from vae_manager.errors import OutOfMemoryError

from .models import Small, latent, model_of, weights


def small(side: int, **changes: Any) -> tuple[Any, Small]:
    model = model_of(**changes)
    memory = Small(model.module, side)
    return replace(model, decode=memory.decode), memory


@torch.no_grad()
def whole(z: torch.Tensor) -> torch.Tensor:
    return load(BASE).decode_raw(z)[0]


def test_tiles_give_nearly_the_whole_and_say_how_nearly() -> None:
    model, memory = small(24)
    z = latent(256)
    before = copied(model.module)
    picture = decoded(model, None, z, torch.float32)
    assert same(model.module, before)
    assert memory.asked[0] == (32, 32)
    assert max(max(size) for size in memory.asked[1:]) == 24
    assert picture.tensor.shape == (3, 256, 256)
    assert picture.note is not None
    told = picture.note.fields["error"]
    assert isinstance(told, int)
    true = float((picture.tensor.clamp(-1, 1) - whole(z).clamp(-1, 1)).abs().max()) * 127.5
    mean = float((picture.tensor.clamp(-1, 1) - whole(z).clamp(-1, 1)).abs().mean()) * 127.5
    assert 0 < told <= 255
    assert mean < 8
    assert true <= 3 * told
    assert picture.note is not None and picture.note.code == "tiled"


def test_a_plain_decode_is_not_called_approximate() -> None:
    z = latent()
    picture = decoded(model_of(), weights("base"), z, torch.float32)
    assert picture.note is None
    assert torch.equal(picture.tensor, whole(z))


def test_no_memory_even_for_the_smallest() -> None:
    model, memory = small(8)
    before = copied(model.module)
    with fails_with(OutOfMemoryError, "not-even-in-tiles"):
        decoded(model, weights("tuned"), latent(256), torch.float32)
    assert same(model.module, before)
    assert memory.asked[-1] == (16, 16)


def test_no_memory_to_encode() -> None:
    model = model_of()

    def raises(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried …")

    with pytest.raises(OutOfMemoryError, match="encode"):
        encoded(replace(model, encode=raises), None, torch.zeros(1, 3, 8, 8), torch.float32)


def blocks(z: torch.Tensor) -> torch.Tensor:
    """A decoder without any sight beyond its pixel."""
    return z[:, :3].repeat_interleave(8, 2).repeat_interleave(8, 3)[0]


@pytest.mark.parametrize("shape", [(40, 40), (17, 64), (24, 9), (16, 16)])
@pytest.mark.parametrize("wraps", [False, True])
def test_tiles_fit_together(shape: tuple[int, int], wraps: bool) -> None:
    z = torch.rand(1, 4, *shape, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(in_tiles(blocks, z, 16, wraps and min(shape) >= 16), blocks(z), atol=1e-5)
    assert largest_error(blocks, z, 16) <= 1


def test_a_tile_does_not_see_its_own_other_edge_where_the_picture_wraps() -> None:
    """Circular padding joins the edges of whatever is decoded: right for the picture, wrong for a tile."""

    def blurred(z: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(blocks(z)[None], (8, 8, 8, 8), mode="circular")
        return torch.nn.functional.avg_pool2d(padded, 17, 1)[0]

    z = torch.linspace(-1, 1, 40).expand(1, 4, 40, 40)
    assert (in_tiles(blurred, z, 24, True) - blurred(z)).abs().max() < 0.07
    assert (in_tiles(blurred, z, 24) - blurred(z)).abs().max() > 0.3
