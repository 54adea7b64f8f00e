"""From what a torch pickle holds to a header: which of its tensors are weights, and where their bytes lie."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import MappingProxyType
from typing import Final, NamedTuple

from ...sentences import say
from ..headers import DTYPE_BYTES, Header, TensorInfo
from .values import DAMAGED, Pairs, Refused, Storage, Tensor, shown

__all__ = ["Place", "header_of"]

MOST_TENSORS: Final = 20_000
"""A checkpoint of SDXL has 2,600."""

MOST_TIMES: Final = 8
"""How many times the file's own size its tensors may have in all: they can share storage, and repeat it."""


class Place(NamedTuple):
    """Bytes `start` to `end` of the file."""

    start: int
    end: int


def header_of(root: object, place: Callable[[Storage], Place], size: int) -> Header:
    """The weights of a file of `size` bytes whose pickle holds `root`, as the WebUI takes them: a "state_dict" at the
    top is looked into, once; what is no tensor, or lies deeper, is none. Raises Refused.
    """
    weights = _weights(root)
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
    if not isinstance(root, Pairs):
        raise Refused("not-a-model", say("it holds something else than tensors by their names."))
    inner = [value for key, value in root if isinstance(key, str) and key == "state_dict"]
    if inner:
        root = inner[-1]
        if not isinstance(root, Pairs):
            raise Refused("not-a-model", say("it holds something else than tensors by their names."))
    latest = {key: value for key, value in root if isinstance(key, str)}
    return {name: value for name, value in latest.items() if isinstance(value, Tensor)}


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
