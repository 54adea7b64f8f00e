"""What a pickle is made of, as inert data: nothing here is hashed, compared or called, whatever a file says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ...sentences import Sentence

__all__ = ["DAMAGED", "UNSAFE", "Bag", "Ended", "Global", "Inert", "Pairs", "Refused", "Storage", "Tensor", "shown"]

DAMAGED: Final = "bad-pickle"
UNSAFE: Final = "unsafe-pickle"


class Refused(Exception):
    """Why a file is not read. `reason` is a clause that follows the file's name, but for an unsafe one, where it is
    what the file asks to be run."""

    def __init__(self, code: str, reason: Sentence | str) -> None:
        super().__init__(str(reason))
        self.code = code
        self.reason = reason


class Ended(Exception):
    """The bytes at hand end in the middle of a pickle."""


class Pairs(list[tuple[object, object]]):
    """A dict, in the order in which it was filled: keys are never hashed, so none can be made to collide."""


class Bag(list[object]):
    """A set, unhashed too."""


@dataclass(frozen=True, slots=True)
class Global:
    """The name of a thing that an ordinary unpickler would import."""

    module: str
    name: str

    def __str__(self) -> str:
        return shown(f"{self.module}.{self.name}")


@dataclass(frozen=True, slots=True)
class Inert:
    """What a harmless call would have made, where it does not matter to us: a device, a number of numpy's."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A piece of memory that stands elsewhere in the file."""

    key: str
    dtype: str | None
    """In safetensors' words; None for plain bytes, and for numbers that safetensors has no word for."""
    width: int
    """Bytes of one number; 1 for plain bytes."""
    count: int
    """Numbers."""
    first: int = 0
    """Where a view of a larger piece begins, in numbers."""
    view: int | None = None
    """How many numbers of it the view has."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A storage seen as an array. Offset and strides are in numbers."""

    storage: Storage
    dtype: str | None
    """None for a kind of number that safetensors has no word for."""
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def shown(text: str) -> str:
    """`text` as a sentence may hold it: short, and without characters that cannot be seen."""
    return ascii(text[:100])[1:-1]
