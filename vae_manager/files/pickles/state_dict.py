"""From what a torch pickle holds to a header: which of its tensors are weights, and where their bytes lie."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Final, NamedTuple

from ...sentences import say
from ..headers import DTYPE_BYTES, Header, TensorInfo
from .pickle_values import DAMAGED, Pairs, Refused, Storage, Tensor, shown

__all__ = ["Place", "header_of"]

STATE_DICT: Final = "state_dict"
WRAPPERS: Final = ("model_state_dict", "params_ema", "params", "ema", "model", "module", "weights", "vae")
"""Names under which training code keeps the weights, beside its own state."""
MAX_WRAPPERS: Final = 3
"""Wrappers in one another that are looked into."""
MOST_TENSORS: Final = 20_000
"""A checkpoint of SDXL has 2,600."""

_FIRST_TENSORS: Final = ("encoder.conv_in.weight", "decoder.conv_in.weight")
_OF_A_VAE: Final = re.compile(r"(?:^|\.)(?:encoder|decoder|quant_conv|post_quant_conv|bn)\.")
"""In the names of the tensors of a VAE, whatever their prefix."""

MOST_TIMES: Final = 8
"""How many times the file's own size its tensors may have in all: they can share storage, and repeat it."""


class Place(NamedTuple):
    """Bytes `start` to `end` of the file."""

    start: int
    end: int


def header_of(root: object, place: Callable[[Storage], Place], size: int) -> Header:
    """Return the weights of a file of `size` bytes whose pickle holds `root`. Values that are no tensors are left out.

    A "state_dict" is looked into, as the WebUI does; so is another wrapper that training code writes, if no tensor lies
    beside it. Beside a VAE, a tensor of a kind of number that safetensors has no word for is left out. Raises Refused.
    """
    weights = _without_leftovers(_weights(root))
    if len(weights) > MOST_TENSORS:
        raise Refused(DAMAGED, say("it has more tensors than any checkpoint."))
    total = 0
    places: dict[str, Place] = {}
    tensors: dict[str, TensorInfo] = {}
    for name, tensor in weights.items():
        key = tensor.storage.key
        if key not in places:
            places[key] = place(tensor.storage)
        tensors[name] = _placed(name, tensor, places[key])
        total += math.prod(tensor.shape) * DTYPE_BYTES[tensors[name].dtype]
        if total > MOST_TIMES * size:
            raise Refused(DAMAGED, say("its tensors have far more numbers than the file."))
    return Header(MappingProxyType(tensors), data_start=0)


def _weights(root: object) -> dict[str, Tensor]:
    for _ in range(MAX_WRAPPERS):
        latest = _latest(root)
        tensors = {name: value for name, value in latest.items() if isinstance(value, Tensor)}
        if STATE_DICT in latest:
            root = latest[STATE_DICT]
        elif tensors or (wrapped := next(filter(None, map(latest.get, WRAPPERS)), None)) is None:
            return tensors
        elif isinstance(wrapped, Pairs):
            root = wrapped
        else:
            return {}
    return {}


def _without_leftovers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave out what lies beside a VAE and has no known kind of number; in other files it may be needed."""
    if not any(tensor.dtype is not None and name.endswith(_FIRST_TENSORS) for name, tensor in weights.items()):
        return weights
    return {
        name: tensor
        for name, tensor in weights.items()
        if tensor.dtype is not None or _OF_A_VAE.search(name) is not None
    }


def _latest(root: object) -> dict[str, object]:
    """Return the values by their names; the last one of each name counts, as for torch."""
    if not isinstance(root, Pairs):
        raise Refused("not-a-model", say("it holds something else than tensors by their names."))
    return {key: value for key, value in root if isinstance(key, str)}


def _placed(name: str, tensor: Tensor, place: Place) -> TensorInfo:
    dtype, storage = tensor.dtype, tensor.storage
    if dtype is None:
        raise Refused(DAMAGED, say("its tensor {name} has a kind of number that is not known.", name=shown(name)))
    item = DTYPE_BYTES[dtype]
    shape, strides, first = tensor.shape, tensor.strides, place.start + storage.start
    if 0 in shape:
        return TensorInfo(dtype, shape, first, first)
    start = first + tensor.offset * item
    # The stride of an axis of length one is unused, and may exceed 64 bits when counted in bytes.
    strides = tuple(stride if size > 1 else 0 for size, stride in zip(shape, strides, strict=True))
    end = start + item * (1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)))
    return TensorInfo(dtype, shape, start, end, None if _is_row_after_row(shape, strides) else strides)


def _is_row_after_row(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    step = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1:
            if stride != step:
                return False
            step *= size
    return True
