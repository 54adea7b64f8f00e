"""The exchange itself: all of a module's weights, or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .weights import Tensors

if TYPE_CHECKING:
    import torch


def places(module: torch.nn.Module) -> Tensors:
    """The parameters and buffers of `module` themselves, by name: what a VAE file has to bring."""
    tensors: Tensors = module.state_dict(keep_vars=True)
    return tensors


@contextmanager
def exchanged(models: Tensors, new: Tensors) -> Iterator[Tensors]:
    """Give each of a module's `places` the storage of `new`; gives what they had.

    No byte is copied and no object is replaced, so whoever holds a parameter goes on holding it. What is done inside
    belongs to it: whatever raises meanwhile, an interrupt too, the module has again what it had before.
    """
    old: dict[str, torch.Tensor] = {}
    try:
        for name, place in models.items():
            old[name] = place.data
            place.data = new[name]
        yield old
    except BaseException:
        for name, data in old.items():
            models[name].data = data
        raise
