"""Values that a pickle describes, and the reasons to refuse one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeGuard

from ..messages import Message, msg

__all__ = [
    "DAMAGED",
    "UNSAFE",
    "DictItems",
    "EndOfDataError",
    "Global",
    "Inert",
    "OrderedDictItems",
    "RejectedError",
    "SetItems",
    "Storage",
    "Tensor",
    "array_with_state",
    "conflict_error",
    "dtype_with_state",
    "is_key",
    "limit_error",
    "malformed_error",
    "misuse_error",
    "numpy_array",
    "numpy_dtype",
    "numpy_scalar",
    "printable_name",
    "unknown_instruction_error",
]


DAMAGED: Final = "bad-pickle"
UNSAFE: Final = "unsafe-pickle"
MAX_KEY_LENGTH: Final = 16
"""Parts of a tuple that is a key."""

MAX_AXES: Final = 32
_NUMBERS: Final = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"})
_TEXTS: Final = re.compile(r"([SU])([1-9][0-9]{0,4})")
_BYTES_OF_CHARACTER: Final = {"S": 1, "U": 4}

Arguments = tuple[object, ...]

_RUNNING: Final[Mapping[int, str]] = {
    ord("i"): "INST",
    ord("o"): "OBJ",
    ord("P"): "PERSID",
    0x82: "EXT1",
    0x83: "EXT2",
    0x84: "EXT4",
    0x92: "NEWOBJ_EX",
}
"""Further functions that call others, which no file of torch uses."""

_STRANGE: Final[Mapping[int, str]] = {
    ord("F"): "FLOAT",
    ord("I"): "INT",
    ord("L"): "LONG",
    ord("S"): "STRING",
    ord("V"): "UNICODE",
    ord("d"): "DICT",
    ord("l"): "LIST",
    ord("g"): "GET",
    ord("p"): "PUT",
    0x91: "FROZENSET",
    0x96: "BYTEARRAY8",
    0x97: "NEXT_BUFFER",
    0x98: "READONLY_BUFFER",
}


class RejectedError(Exception):
    """A refusal to read a file.

    `reason` is a clause that follows the file's name; for an unsafe file, it is the code that the file asks to run.
    """

    def __init__(self, code: str, reason: Message | str) -> None:
        super().__init__(str(reason))
        self.code = code
        self.reason = reason


class EndOfDataError(Exception):
    """The end of the available bytes in the middle of a pickle."""


class DictItems(list[tuple[object, object]]):
    """A dict, in the order in which it was filled: keys are never hashed, so that no file can make them collide."""


class OrderedDictItems(DictItems):
    """An OrderedDict: unlike a dict, it may be given attributes."""


class SetItems(list[object]):
    """A set, unhashed too."""


@dataclass(frozen=True, slots=True)
class Global:
    """A name that an ordinary unpickler would import."""

    module: str
    name: str

    def __str__(self) -> str:
        return printable_name(f"{self.module}.{self.name}")


@dataclass(frozen=True, slots=True)
class Inert:
    """The result of a harmless call that is not needed here: a device, a number of numpy's."""

    kind: str = ""
    """`dtype`, `text` (a dtype too) and `array` of numpy's, `module` of torch's: the kinds that may get a state."""
    item: int = 0
    """Bytes of one number of such a dtype or array."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A piece of memory elsewhere in the file."""

    key: str
    dtype: str | None
    """The name in safetensors; None for plain bytes, and for numbers that safetensors has no name for."""
    width: int
    """Bytes of one number; 1 for plain bytes."""
    count: int
    """Numbers."""
    first: int = 0
    """Start of a view of a larger piece, in numbers."""
    view: int | None = None
    """Count of the view's numbers."""

    @property
    def start(self) -> int:
        """The first byte of the view."""
        return self.first * self.width

    @property
    def length(self) -> int:
        """Bytes of the view, or of the whole storage without a view."""
        return self.width * (self.count if self.view is None else self.view)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A storage seen as an array. Offset and strides are in numbers."""

    storage: Storage
    dtype: str | None
    """None for a kind of number that safetensors has no name for."""
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def printable_name(text: str) -> str:
    """Return `text` for a message: short, and without invisible characters."""
    return ascii(text[:100])[1:-1]


def is_key(value: object) -> bool:
    """Return True if `value` can be a key, for the kinds of keys in torch files; no value is hashed for that."""
    return _is_leaf(value) or (type(value) is tuple and len(value) <= MAX_KEY_LENGTH and all(map(_is_leaf, value)))


def _is_leaf(value: object) -> bool:
    return value is None or isinstance(value, (str, bytes, int, float, Global))


def misuse_error() -> RejectedError:
    """Return the refusal of an allowed name that is used in a form that torch, numpy and pickle never write."""
    return RejectedError(DAMAGED, msg("it uses a name of PyTorch's as PyTorch does not."))


def numpy_dtype(arguments: Arguments) -> Inert:
    """Make a dtype from (name, False, True)."""
    name = arguments[0] if arguments else None
    if arguments[1:] != (False, True) or not isinstance(name, str):  # 0 and 1 are the same here, and to numpy
        raise misuse_error()
    if name in _NUMBERS:
        return Inert("dtype", int(name[1:]))
    text = _TEXTS.fullmatch(name)
    if text is None:
        raise misuse_error()
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
    """Make a scalar from (dtype, bytes)."""
    if len(arguments) != 2 or not _is_dtype(dtype := arguments[0]):
        raise misuse_error()
    if not isinstance(arguments[1], bytes) or len(arguments[1]) != dtype.item:
        raise misuse_error()
    return Inert()


def numpy_array(arguments: Arguments) -> Inert:
    """Make an empty array from (ndarray, (0,), b"b"), which then gets its state."""
    shape = arguments[1] if len(arguments) == 3 else None
    # False and 0.0 equal 0, but numpy accepts only an int as a size.
    is_empty = type(shape) is tuple and shape == (0,) and type(shape[0]) is int
    if not is_empty or arguments != (Global("numpy", "ndarray"), shape, b"b"):
        raise misuse_error()
    return Inert("array")


def array_with_state(_: Inert, state: object) -> bool:
    """Apply (1, shape, dtype, True for columns first, bytes)."""
    if type(state) is not tuple or len(state) != 5 or type(state[0]) is not int or type(state[3]) is not bool:
        return False
    shape, dtype, content = state[1], state[2], state[4]
    if type(shape) is not tuple or len(shape) > MAX_AXES or not _is_dtype(dtype) or not isinstance(content, bytes):
        return False
    if state[0] != 1 or not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        return False
    return len(content) == math.prod(shape) * dtype.item


def _is_dtype(value: object) -> TypeGuard[Inert]:
    return isinstance(value, Inert) and value.kind in ("dtype", "text")


def unknown_instruction_error(code: int) -> RejectedError:
    """Return the refusal of an instruction without a handler: unsafe if it calls code, else damaged."""
    if code in _RUNNING:
        return RejectedError(UNSAFE, msg("something, by the instruction {name},", name=_RUNNING[code]))
    if code in _STRANGE:
        name = _STRANGE[code]
        return RejectedError(DAMAGED, msg("it has the instruction {name}, which PyTorch does not write.", name=name))
    return malformed_error()


def malformed_error() -> RejectedError:
    """Return the refusal of instructions that do not fit the stack, the memo or each other."""
    return RejectedError(DAMAGED, msg("its instructions make no sense."))


def limit_error() -> RejectedError:
    """Return the refusal of a pickle whose cost exceeds `MAX_STEPS`."""
    return RejectedError(DAMAGED, msg("it has more instructions than any checkpoint needs."))


def conflict_error() -> RejectedError:
    """Return the refusal of two descriptions of one storage, or of one view, that differ."""
    return RejectedError(DAMAGED, msg("it describes a storage in two ways."))
