"""Names, dtypes and shapes of a file's tensors, without their places in the file.

Most files of a library hold one of a few sets of tensors. Equal tables are one object, so ten thousand records need the
memory of a few dozen tables, and a function of a table can be cached.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol
from weakref import WeakValueDictionary

from .headers import DTYPE_BYTES
from .json_text import parse_json, text, whole

__all__ = ["TORCH_DTYPES", "Described", "TensorSpec", "TensorTable"]


TORCH_DTYPES: Final = MappingProxyType(
    {
        "F64": "float64",
        "F32": "float32",
        "F16": "float16",
        "BF16": "bfloat16",
        "F8_E4M3": "float8_e4m3fn",
        "F8_E5M2": "float8_e5m2",
    }
)
"""Torch's names of the dtypes that weights come in."""


MAX_TABLE_BYTES: Final = 16 << 20
"""A checkpoint of 20,000 tensors has a table of 2 MB."""
MAX_TABLE_DEPTH: Final = 4


class Described(Protocol):
    """A tensor of which dtype and shape are known, such as `TensorInfo`."""

    @property
    def dtype(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...


class TensorSpec(NamedTuple):
    """Dtype and shape of one tensor."""

    dtype: str
    """A key of `DTYPE_BYTES`."""
    shape: tuple[int, ...]

    @property
    def length(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * DTYPE_BYTES[self.dtype]


class TensorTable(Mapping[str, TensorSpec]):
    """An immutable table, sorted by name. Made by `of` and `from_json` only: equal tables are the same object."""

    __slots__ = ("__weakref__", "_specs", "digest")

    _specs: Mapping[str, TensorSpec]
    digest: str
    """SHA-256 of the table, in lower-case hexadecimal."""

    @classmethod
    def of(cls, tensors: Mapping[str, Described]) -> TensorTable:
        """Return the table of `tensors`."""
        if isinstance(tensors, TensorTable):
            return tensors
        specs = {name: TensorSpec(info.dtype, tuple(info.shape)) for name, info in sorted(tensors.items())}
        digest = hashlib.sha256(_written(specs)).hexdigest()
        with _LOCK:
            known = _TABLES.get(digest)
            if known is None:
                known = cls()
                known._specs, known.digest = MappingProxyType(specs), digest
                _TABLES[digest] = known
        return known

    @classmethod
    def known(cls, digest: str) -> TensorTable | None:
        """Return the table of this digest, if it is in memory."""
        with _LOCK:
            return _TABLES.get(digest)

    @classmethod
    def from_json(cls, data: bytes) -> TensorTable:
        """Read what `to_json` wrote. Raises ValueError for anything else."""
        root = parse_json(data, max_bytes=MAX_TABLE_BYTES, max_depth=MAX_TABLE_DEPTH)
        try:
            return cls.of({_name(name): _spec(dtype, shape) for name, dtype, shape in root})
        except TypeError as error:
            raise ValueError("no table of tensors") from error

    def to_json(self) -> bytes:
        """Return the table as JSON in ASCII: a list of name, dtype and shape."""
        return _written(self._specs)

    def __getitem__(self, name: str) -> TensorSpec:
        return self._specs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def __eq__(self, other: object) -> bool:
        return self is other if isinstance(other, TensorTable) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"TensorTable({len(self)} tensors, {self.digest[:8]})"


_LOCK: Final = threading.Lock()
_TABLES: Final[WeakValueDictionary[str, TensorTable]] = WeakValueDictionary()


def _written(specs: Mapping[str, TensorSpec]) -> bytes:
    rows = [[name, spec.dtype, list(spec.shape)] for name, spec in specs.items()]
    return json.dumps(rows, separators=(",", ":")).encode("ascii")


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("no name of a tensor")
    return value


def _spec(dtype: Any, shape: Any) -> TensorSpec:
    if text(dtype) not in DTYPE_BYTES or not isinstance(shape, list):
        raise ValueError("no tensor")
    return TensorSpec(dtype, tuple(whole(side) for side in shape))
