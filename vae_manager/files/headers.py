"""Headers: the safetensors header, and the table of a file's tensors.

The header of a safetensors file has the name, shape and byte range of each tensor. The file's parts are: 8 bytes, the
header's length (little endian); the header, a JSON object; then the tensors' bytes, without gaps.

The reader accepts the headers that the safetensors library accepts (its SafeTensors::read_metadata and
Metadata::validate) with these exceptions. It refuses a duplicate key, of which the library uses the last. It refuses a
tensor written as a JSON list, or a dtype as an object, which the library's decoder happens to accept. It allows an
ignored extra value of a tensor to be nested deeper than the library's 125 levels. It refuses kinds of numbers that only
the library's newest versions support (F4, F6, C64, …), as the WebUI's version does. It limits a header to 2 MB; the
library allows 100 MB, of which Python would make gigabytes, with a long pause.

A table has the names, dtypes and shapes of a file's tensors, without their positions in the file. Most files of a
library have one of a few tables. Equal tables are one object, so ten thousand records need the memory of a few dozen
tables, and a function of a table can be cached.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Final, NamedTuple, Protocol, TypeGuard
from weakref import WeakValueDictionary

from ..errors import BrokenFileError, DiskError, NotFoundError, VaeManagerError
from ..messages import Message, megabytes, msg
from .state_file import parse_json, text, whole

__all__ = [
    "BLOCK_DTYPES",
    "DTYPE_BYTES",
    "DTYPE_NAMES",
    "MAX_HEADER",
    "TORCH_DTYPES",
    "TORCH_DTYPE_NAMES",
    "Header",
    "TensorDescription",
    "TensorInfo",
    "TensorSpec",
    "TensorTable",
    "begins_like_safetensors",
    "bytes_of",
    "disk_error",
    "read_beginning",
    "read_header",
    "read_open_header",
]


MAX_HEADER: Final = 2_000_000
"""Bytes. A VAE's header has some 25,000, a checkpoint's 400,000."""

DTYPE_BYTES: Final[Mapping[str, int]] = MappingProxyType(
    {
        **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3"), 1),
        **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
        **dict.fromkeys(("I32", "U32", "F32"), 4),
        **dict.fromkeys(("I64", "U64", "F64"), 8),
    }
)
"""Bytes of one number, by dtype."""
BLOCK_DTYPES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "Q4_0": (32, 18),
        "Q4_1": (32, 20),
        "Q5_0": (32, 22),
        "Q5_1": (32, 24),
        "Q8_0": (32, 34),
        "Q8_1": (32, 40),
        "Q2_K": (256, 84),
        "Q3_K": (256, 110),
        "Q4_K": (256, 144),
        "Q5_K": (256, 176),
        "Q6_K": (256, 210),
        "Q8_K": (256, 292),
        "IQ1_S": (256, 50),
        "IQ1_M": (256, 56),
        "IQ2_XXS": (256, 66),
        "IQ2_XS": (256, 74),
        "IQ2_S": (256, 82),
        "IQ3_XXS": (256, 98),
        "IQ3_S": (256, 110),
        "IQ4_NL": (32, 18),
        "IQ4_XS": (256, 136),
        "TQ1_0": (256, 54),
        "TQ2_0": (256, 66),
        "MXFP4": (32, 17),
    }
)
"""Quantised dtypes of GGUF: the numbers of one block, and its bytes. No safetensors file has them."""

_U64: Final = 2**64 - 1
_SHOWN: Final = 100
"""Characters of a tensor's name in a message."""
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER: Final = b"0" * 20
"""The text of a long number with all digits replaced by zeros."""
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")

DTYPE_NAMES: Final = MappingProxyType(
    {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16", "F8_E4M3": "fp8", "F8_E5M2": "fp8"}
)
"""Names by which people know the dtypes of weights."""
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
"""Torch's names of them."""
TORCH_DTYPE_NAMES: Final = MappingProxyType(
    {f"torch.{TORCH_DTYPES[dtype]}": DTYPE_NAMES[dtype] for dtype in DTYPE_NAMES}
)
"""Names by which people know a tensor's dtype, by its text."""

MAX_TABLE_BYTES: Final = 16 << 20
"""A checkpoint of 20,000 tensors has a table of 2 MB."""
MAX_TABLE_DEPTH: Final = 4

_LOCK: Final = threading.Lock()
_TABLES: Final[WeakValueDictionary[str, TensorTable]] = WeakValueDictionary()


class TensorInfo(NamedTuple):
    """One tensor. Its bytes are `start:end` of the data, which begins at `Header.data_start` of the file.

    A tuple, since a thousand headers make 250,000 of them.
    """

    dtype: str
    """A key of `DTYPE_BYTES`."""
    shape: tuple[int, ...]
    start: int
    end: int
    strides: tuple[int, ...] | None = None
    """Elements from one index to the next, along each axis, of a tensor in a pickle whose rows are not contiguous; None
    for contiguous rows."""


@dataclass(frozen=True)
class Header:
    """All tensors by name, in the order of the file's header, and the free text that its maker added."""

    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str] = field(default_factory=dict)
    data_start: int = 8


class _MalformedError(Exception):
    """A violation of the format, with the reason and its code."""

    def __init__(self, reason: Message, code: str = "bad-header") -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.code = code


def begins_like_safetensors(head: bytes) -> bool:
    """Return True for a possible header length, then a JSON object (the library allows white space before it)."""
    return int.from_bytes(head[:8], "little") <= MAX_HEADER and head[8:].lstrip()[:1] == b"{"


def read_header(path: Path) -> Header:
    """Read and check the header of `path`; the tensors' bytes are not read.

    Raises `BrokenFileError` if it is not a whole, well-formed safetensors file; `NotFoundError` and `DiskError`.
    """
    try:
        with path.open("rb") as file:
            return read_open_header(file, file.seek(0, 2), path.name)
    except OSError as error:
        raise disk_error(path, error) from error


def read_open_header(file: BinaryIO, size: int | None, name: str) -> Header:
    """Read and check the header of an open file of `size` bytes, None if its end is unknown; `name` is for errors.

    Raises `BrokenFileError`, and the errors of `file`.
    """
    file.seek(0)
    try:
        length = _header_length(file.read(8), MAX_HEADER + 8 if size is None else size)
        return _parse(file.read(length), None if size is None else size - 8 - length)
    except _MalformedError as error:
        raise _broken(name, error) from None


def read_beginning(path: Path, count: int) -> Header | None:
    """Read the header of a file of which only the first `count` bytes are there; None if the header is incomplete.

    Raises `BrokenFileError` if the header itself is malformed; `NotFoundError` and `DiskError`.
    """
    try:
        with path.open("rb") as file:
            length = _header_length(file.read(8), MAX_HEADER + 8)
            if count < 8 + length:
                return None
            return _parse(file.read(length), None)
    except OSError as error:
        raise disk_error(path, error) from error
    except _MalformedError as error:
        raise _broken(path.name, error) from None


def _broken(name: str, error: _MalformedError) -> BrokenFileError:
    message = msg("{file} is not a whole safetensors file: {reason}", file=name, reason=error.reason)
    return BrokenFileError(message, error.code)


def disk_error(path: Path, error: OSError) -> VaeManagerError:
    """Return the project's error for a failure to read `path`."""
    if isinstance(error, FileNotFoundError):
        return NotFoundError(msg("There is no file {path}.", code="no-such-file", path=path))
    return DiskError(
        msg("{path} cannot be read: {reason}.", code="unreadable", path=path, reason=error.strerror or error)
    )


def _header_length(first: bytes, size: int) -> int:
    if len(first) < 8:
        raise _MalformedError(msg("it has only {count} bytes.", code="too-short", count=size), "truncated")
    length = int.from_bytes(first, "little")
    if length > MAX_HEADER:
        raise _MalformedError(msg("it does not begin like one.", code="impossible-length"), "header-too-long")
    if length > size - 8:
        raise _MalformedError(
            msg("it ends inside its header. The download was probably cut off; get it again.", code="cut-in-header"),
            "truncated",
        )
    return length


def _parse(raw: bytes, data_bytes: int | None) -> Header:
    """Read the JSON text `raw`; `data_bytes` is the number of bytes that follow it in the file, None if unknown."""
    root = _json(raw)
    if not isinstance(root, dict):
        raise _MalformedError(msg("its header is not a JSON object.", code="not-an-object"))
    metadata = _metadata(root.pop("__metadata__", None))
    tensors = {name: _tensor(name[:_SHOWN], value) for name, value in root.items()}
    described = _check_offsets(tensors.items())
    data_bytes = described if data_bytes is None else data_bytes
    if data_bytes < described:
        raise _MalformedError(
            msg(
                "{missing} of {total} are missing at its end. The download was probably cut off; get it again.",
                code="cut-in-data",
                missing=megabytes(described - data_bytes),
                total=megabytes(described),
            ),
            "truncated",
        )
    if data_bytes > described:
        more = data_bytes - described
        raise _MalformedError(
            msg("it has {count} bytes more than its header describes.", code="extra-bytes", count=more), "bad-offsets"
        )
    return Header(MappingProxyType(tensors), MappingProxyType(metadata), 8 + len(raw))


def _json(raw: bytes) -> object:
    has_strange_numbers = b"-" in raw or _LONG_NUMBER in raw.translate(_DIGITS)
    try:
        root: object = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_int=_integer if has_strange_numbers else None,  # Python's own is much quicker, with short ones
            parse_float=_finite,
            parse_constant=_finite,
        )
        if _SURROGATE.search(raw):  # Python accepts a lone surrogate; JSON in UTF-8 cannot hold one
            json.dumps(root, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise _MalformedError(msg("its header is not JSON that can be read.", code="not-json")) from None
    return root


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _MalformedError(msg("its header names something twice.", code="duplicate-key"), "duplicate-key")
    return found


def _integer(text: str) -> object:
    """Parse a JSON whole number as `int`, if it fits 64 bits; else as a float, which is no valid size."""
    if text != "-0" and len(text) <= 20 and -(2**63) <= int(text) <= _U64:
        return int(text)
    return _finite(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _metadata(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _MalformedError(msg("its metadata is not a list of texts.", code="bad-metadata"))
    return value


def _tensor(name: str, value: object) -> TensorInfo:
    if not isinstance(value, dict):
        raise _MalformedError(
            msg("its tensor {name} is not described as the format asks.", code="bad-description", name=name)
        )
    dtype, shape, offsets = value.get("dtype"), value.get("shape"), value.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise _MalformedError(
            msg("its tensor {name} has a kind of number that is not known.", code="unknown-dtype", name=name)
        )
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise _MalformedError(
            msg("its tensor {name} is not described as the format asks.", code="bad-description", name=name)
        )
    return TensorInfo(dtype, tuple(shape), offsets[0], offsets[1])


def _are_sizes(value: object) -> TypeGuard[list[int]]:
    if not isinstance(value, list):
        return False
    for item in value:  # noqa: SIM110 - a file has a thousand of them, and this is three times as quick
        if type(item) is not int or item < 0:
            return False
    return True


def _check_offsets(tensors: Iterable[tuple[str, TensorInfo]]) -> int:
    """Return the bytes of all tensors. They must follow each other without gap or overlap, as long as their shapes."""
    at = 0
    for full_name, tensor in sorted(tensors, key=lambda item: (item[1].start, item[1].end)):
        name = full_name[:_SHOWN]
        if tensor.start != at or tensor.end < tensor.start:
            code = "overlapping" if tensor.start < at else "bad-offsets"
            raise _MalformedError(
                msg("its tensor {name} overlaps another, or leaves a gap.", code="not-contiguous", name=name), code
            )
        if tensor.end - tensor.start != _bytes_of(name, tensor):
            raise _MalformedError(
                msg("its tensor {name} is not as long as its shape.", code="wrong-length", name=name), "bad-offsets"
            )
        at = tensor.end
    return at


def _bytes_of(name: str, tensor: TensorInfo) -> int:
    count = 1
    for size in (*tensor.shape, DTYPE_BYTES[tensor.dtype]):
        count *= size
        if count > _U64:  # at each step, as the library does: [2**63, 2**63, 0] is refused
            raise _MalformedError(
                msg("its tensor {name} is not as long as its shape.", code="wrong-length", name=name), "bad-offsets"
            )
    return count


def bytes_of(dtype: str, shape: tuple[int, ...]) -> int:
    """Return the bytes of a tensor's numbers; its last row is padded to whole blocks."""
    count = math.prod(shape)
    numbers, size = BLOCK_DTYPES.get(dtype) or (1, DTYPE_BYTES[dtype])
    return -(-count // numbers) * size


class TensorDescription(Protocol):
    """A tensor with a known dtype and shape, such as `TensorInfo`."""

    @property
    def dtype(self) -> str:
        """The number format, a key of `DTYPE_BYTES`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of its axes, slowest first; empty for a single number."""


class TensorSpec(NamedTuple):
    """Dtype and shape of one tensor."""

    dtype: str
    """A key of `DTYPE_BYTES` or `BLOCK_DTYPES`."""
    shape: tuple[int, ...]

    @property
    def length(self) -> int:
        """Bytes."""
        return bytes_of(self.dtype, self.shape)


class TensorTable(Mapping[str, TensorSpec]):
    """An immutable table, sorted by name. Made by `of` and `from_json` only: equal tables are the same object."""

    __slots__ = ("__weakref__", "_specs", "digest")

    _specs: Mapping[str, TensorSpec]
    digest: str
    """SHA-256 of the table, in lower-case hexadecimal."""

    @classmethod
    def of(cls, tensors: Mapping[str, TensorDescription]) -> TensorTable:
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
        """Read the output of `to_json`. Raises ValueError for any other data."""
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


def _written(specs: Mapping[str, TensorSpec]) -> bytes:
    rows = [[name, spec.dtype, list(spec.shape)] for name, spec in specs.items()]
    return json.dumps(rows, separators=(",", ":")).encode("ascii")


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("no name of a tensor")
    return value


def _spec(dtype: Any, shape: Any) -> TensorSpec:
    if (text(dtype) not in DTYPE_BYTES and dtype not in BLOCK_DTYPES) or not isinstance(shape, list):
        raise ValueError("no tensor")
    return TensorSpec(dtype, tuple(whole(side) for side in shape))
