"""Numbers and arrays of numpy in a pickle of torch: no weights, but some files hold them, and they run no code.

They are taken as numpy itself writes them. Arrays of objects are refused: what they hold is a list of anything.
"""

from __future__ import annotations

import math
import re
from typing import Final, TypeGuard

from .values import Global, Inert, misused

__all__ = ["array_with_state", "dtype_with_state", "numpy_array", "numpy_dtype", "numpy_scalar"]

MOST_AXES: Final = 32
_NUMBERS: Final = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"})
_TEXTS: Final = re.compile(r"([SU])([1-9][0-9]{0,4})")
_BYTES_OF_CHARACTER: Final = {"S": 1, "U": 4}

Arguments = tuple[object, ...]


def numpy_dtype(arguments: Arguments) -> Inert:
    """(name, False, True)"""
    name = arguments[0] if arguments else None
    if arguments[1:] != (False, True) or not isinstance(name, str):  # 0 and 1 are the same here, and to numpy
        raise misused()
    if name in _NUMBERS:
        return Inert("dtype", int(name[1:]))
    text = _TEXTS.fullmatch(name)
    if text is None:
        raise misused()
    return Inert("text", _BYTES_OF_CHARACTER[text[1]] * int(text[2]))


def dtype_with_state(dtype: Inert, state: object) -> bool:
    """Apply (3, byte order, None, None, None, size, alignment, flags); the last three are for texts alone."""
    if type(state) is not tuple or len(state) != 8 or state[0] != 3 or state[1] not in ("<", ">", "|", "="):
        return False
    if state[2:5] != (None, None, None) or not all(type(number) is int for number in (state[0], *state[5:])):
        return False
    if dtype.kind == "dtype":
        return state[5:] == (-1, -1, 0)
    return state[5] == dtype.item and state[6] in (1, 4) and state[7] in (0, 8)


def numpy_scalar(arguments: Arguments) -> Inert:
    """(dtype, bytes)"""
    if len(arguments) != 2 or not _is_dtype(dtype := arguments[0]):
        raise misused()
    if not isinstance(arguments[1], bytes) or len(arguments[1]) != dtype.item:
        raise misused()
    return Inert()


def numpy_array(arguments: Arguments) -> Inert:
    """(ndarray, (0,), b"b"): an empty one, which is given its state then."""
    shape = arguments[1] if len(arguments) == 3 else None
    # False and 0.0 equal 0, but numpy accepts only an int as a size.
    is_empty = type(shape) is tuple and shape == (0,) and type(shape[0]) is int
    if not is_empty or arguments != (Global("numpy", "ndarray"), shape, b"b"):
        raise misused()
    return Inert("array")


def array_with_state(_: Inert, state: object) -> bool:
    """(1, shape, dtype, whether columns come first, bytes)"""
    if type(state) is not tuple or len(state) != 5 or type(state[0]) is not int or type(state[3]) is not bool:
        return False
    shape, dtype, content = state[1], state[2], state[4]
    if type(shape) is not tuple or len(shape) > MOST_AXES or not _is_dtype(dtype) or not isinstance(content, bytes):
        return False
    if state[0] != 1 or not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        return False
    return len(content) == math.prod(shape) * dtype.item


def _is_dtype(value: object) -> TypeGuard[Inert]:
    return isinstance(value, Inert) and value.kind in ("dtype", "text")
