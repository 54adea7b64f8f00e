"""The exchange itself: all of a module's weights, or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .weights import Tensors

if TYPE_CHECKING:
    import torch


def places(module: torch.nn.Module) -> Tensors:
    """The parameters and buffers of `module` themselves, by name: what a VAE file has to bring.

    As `module.state_dict(keep_vars=True)`, which takes two to three times as long: it makes an entry of metadata and
    calls hooks for each of some 150 modules, and a swap asks for this before anything else.
    """
    found: dict[str, torch.Tensor] = {}
    _collect(module, "", found)
    return found


def _collect(module: torch.nn.Module, prefix: str, found: dict[str, torch.Tensor]) -> None:
    for name, parameter in module._parameters.items():
        if parameter is not None:
            found[prefix + name] = parameter
    for name, buffer in module._buffers.items():
        if buffer is not None and name not in module._non_persistent_buffers_set:
            found[prefix + name] = buffer
    for name, child in module._modules.items():
        if child is not None:
            _collect(child, f"{prefix}{name}.", found)


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


@contextmanager
def lent(models: Tensors, tensors: Tensors) -> Iterator[None]:
    """Give each of a module's `places` the storage of `tensors` for as long as this lasts, whatever raises.

    A model that the WebUI moves to the GPU part by part (--medvram) may be elsewhere by now than when the tensors were
    fitted to it, and elsewhere again at the end: what is lent, and what it had, follow it.
    """
    here = {name: tensors[name].to(place.device) for name, place in models.items()}
    with exchanged(models, here) as old:
        try:
            yield
        finally:
            for name, data in old.items():
                models[name].data = data.to(models[name].device)
