"""What a pickle is made of, as inert data: nothing here is hashed, compared or called, whatever a file says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ...sentences import Sentence, say

__all__ = [
    "DAMAGED",
    "UNSAFE",
    "Bag",
    "Ended",
    "Global",
    "Inert",
    "Ordered",
    "Pairs",
    "Refused",
    "Storage",
    "Tensor",
    "is_key",
    "misused",
    "shown",
]

DAMAGED: Final = "bad-pickle"
UNSAFE: Final = "unsafe-pickle"
LONGEST_KEY: Final = 16
"""Parts of a tuple that is a key."""


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


class Ordered(Pairs):
    """An OrderedDict: unlike a dict, it may be given attributes."""


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

    kind: str = ""
    """`dtype`, `text` (a dtype too) and `array` of numpy's, `module` of torch's: those that may be given a state."""
    item: int = 0
    """Bytes of one number of such a dtype or array."""


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
    """None for a kind of number that safetensors has no word for."""
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def shown(text: str) -> str:
    """`text` as a sentence may hold it: short, and without characters that cannot be seen."""
    return ascii(text[:100])[1:-1]


def is_key(value: object) -> bool:
    """Return True if `value` can be a key, for the kinds of keys in torch files; no value is hashed for that."""
    return _is_leaf(value) or (type(value) is tuple and len(value) <= LONGEST_KEY and all(map(_is_leaf, value)))


def _is_leaf(value: object) -> bool:
    return value is None or isinstance(value, (str, bytes, int, float, Global))


def misused() -> Refused:
    return Refused(DAMAGED, say("it uses a name of PyTorch's as PyTorch does not."))
