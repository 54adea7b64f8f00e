"""Reader of the header of a GGUF file: names, shapes and dtypes of its tensors, and its texts. No weight is read.

GGUF is the format of llama.cpp, in which text encoders and diffusion models are published in quantised form. The file's
parts, little endian: the magic, the version, the numbers of tensors and of values; the values, each a key, a type and
its bytes; the descriptions of the tensors; then the tensors' bytes, aligned.

All numbers of the file are checked before they are used: nothing is allocated by a number that the file states, and the
whole header is limited. A text encoder's header has its vocabulary in it, some 10 MB, which is walked over.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final

from ..errors import BrokenFileError
from ..messages import Message, megabytes, msg
from .headers import Header, TensorInfo, bytes_of, disk_error

__all__ = ["GGUF_MAGIC", "read_gguf"]

GGUF_MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)

MAX_HEADER_BYTES: Final = 32 << 20
MAX_TENSORS: Final = 1 << 16
MAX_VALUES: Final = 1 << 14
MAX_NAME_BYTES: Final = 1024
"""Of a tensor's name and of a key."""
MAX_TEXTS: Final = 1 << 20
"""Texts of all arrays; the largest vocabularies have 262,144, and as many merges."""
MAX_KEPT_BYTES: Final = 2000
"""Of a text that is kept; longer ones, such as a chat template, are left out."""
MAX_AXES: Final = 8
MAX_SIDE: Final = 1 << 40
MAX_ALIGNMENT: Final = 1 << 20

_BUFFER: Final = 1 << 18
_SHOWN: Final = 100
"""Characters of a tensor's name in a message."""

_TYPE_BYTES: Final = MappingProxyType({0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8})
"""Bytes of a value of fixed size, by its type."""
_U32, _I32, _TEXT, _ARRAY = 4, 5, 8, 9

_DTYPES: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "F32",
        1: "F16",
        2: "Q4_0",
        3: "Q4_1",
        6: "Q5_0",
        7: "Q5_1",
        8: "Q8_0",
        9: "Q8_1",
        10: "Q2_K",
        11: "Q3_K",
        12: "Q4_K",
        13: "Q5_K",
        14: "Q6_K",
        15: "Q8_K",
        16: "IQ2_XXS",
        17: "IQ2_XS",
        18: "IQ3_XXS",
        19: "IQ1_S",
        20: "IQ4_NL",
        21: "IQ3_S",
        22: "IQ2_S",
        23: "IQ4_XS",
        24: "I8",
        25: "I16",
        26: "I32",
        27: "I64",
        28: "F64",
        29: "IQ1_M",
        30: "BF16",
        34: "TQ1_0",
        35: "TQ2_0",
        39: "MXFP4",
    }
)
"""Keys of `DTYPE_BYTES` and `BLOCK_DTYPES`, by ggml's numbers."""

_ORIGINAL_SHAPE: Final = "comfy.gguf.orig_shape."
"""Key of the true shape of a tensor that had to be folded to four axes, as Wan's first convolution; Neo reads it
(backend/loader_gguf.py get_orig_shape)."""
_ALIGNMENT: Final = "general.alignment"


class _MalformedError(Exception):
    """A violation of the format, or of a limit of this reader."""

    def __init__(self, code: str = "bad-header", reason: Message | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason if reason is not None else msg("its header is not as the format asks.", code="bad-gguf")


def read_gguf(path: Path) -> Header:
    """Read and check the header of `path`; shapes have the order of torch, the slowest axis first.

    Raises `BrokenFileError` if it is not a whole GGUF file that can be read; `NotFoundError` and `DiskError`.
    """
    try:
        with path.open("rb", buffering=_BUFFER) as file:
            size = file.seek(0, 2)
            file.seek(0)
            return _Reader(file, size).header()
    except OSError as error:
        raise disk_error(path, error) from error
    except _MalformedError as error:
        message = msg("{file} is not a whole GGUF file: {reason}", file=path.name, reason=error.reason)
        raise BrokenFileError(message, error.code) from None


class _Reader:
    """A position in the header."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._at = 0
        self._texts: dict[str, str] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._alignment = 32
        self._texts_left = MAX_TEXTS

    def header(self) -> Header:
        if self._take(4) != GGUF_MAGIC or self._u32() not in _VERSIONS:
            raise _MalformedError
        tensors, values = self._count(MAX_TENSORS), self._count(MAX_VALUES)
        for _ in range(values):
            self._value()
        described = [self._tensor() for _ in range(tensors)]
        start = -(-self._at // self._alignment) * self._alignment
        found = {name: self._placed(name, info) for name, info in described}
        if len(found) != len(described):
            raise _MalformedError("duplicate-key")
        self._check_end(start, max((info.end for info in found.values()), default=0))
        return Header(MappingProxyType(found), MappingProxyType(self._texts), start)

    # Bytes

    def _advance(self, count: int) -> None:
        self._at += count
        if self._at > self._size:
            raise _cut_in_header()
        if self._at > MAX_HEADER_BYTES:
            raise _MalformedError("header-too-long")

    def _take(self, count: int) -> bytes:
        self._advance(count)
        data = self._file.read(count)
        if len(data) != count:  # the file became shorter meanwhile
            raise _cut_in_header()
        return data

    def _skip(self, count: int) -> None:
        self._advance(count)
        self._file.seek(self._at)

    def _u32(self) -> int:
        return int.from_bytes(self._take(4), "little")

    def _u64(self) -> int:
        return int.from_bytes(self._take(8), "little")

    def _count(self, limit: int) -> int:
        count = self._u64()
        if count > limit:
            raise _MalformedError
        return count

    def _name(self) -> str:
        try:
            return self._take(self._count(MAX_NAME_BYTES)).decode("utf-8")
        except UnicodeDecodeError:
            raise _MalformedError from None

    # Values

    def _value(self) -> None:
        """Read one value: the texts, the alignment and shapes are kept."""
        key, kind = self._name(), self._u32()
        if kind == _TEXT:
            self._text(key)
        elif kind == _ARRAY:
            self._array(key)
        elif kind not in _TYPE_BYTES:
            raise _MalformedError
        elif key == _ALIGNMENT and kind == _U32:
            self._align(self._u32())
        else:
            self._skip(_TYPE_BYTES[kind])

    def _text(self, key: str) -> None:
        length = self._u64()
        if length > MAX_KEPT_BYTES:
            self._skip(min(length, MAX_HEADER_BYTES + 1))
            return
        self._texts[key] = self._take(length).decode("utf-8", "replace")

    def _array(self, key: str) -> None:
        kind, count = self._u32(), self._u64()
        if kind == _TEXT:
            self._texts_left -= count
            if self._texts_left < 0:
                raise _MalformedError
            for _ in range(count):
                self._skip_text()
        elif kind not in _TYPE_BYTES:  # an array of arrays: no writer makes one
            raise _MalformedError
        elif key.startswith(_ORIGINAL_SHAPE) and kind == _I32 and count <= MAX_AXES:
            sides = struct.unpack(f"<{count}i", self._take(4 * count))
            self._shapes[key.removeprefix(_ORIGINAL_SHAPE)] = sides
        else:
            self._skip(min(count, MAX_HEADER_BYTES + 1) * _TYPE_BYTES[kind])

    def _skip_text(self) -> None:
        """Skip a text of a vocabulary; reading short ones is quicker than a seek, which empties the buffer."""
        length = self._u64()
        if length > MAX_NAME_BYTES:
            self._skip(min(length, MAX_HEADER_BYTES + 1))
        else:
            self._take(length)

    def _align(self, alignment: int) -> None:
        if not 0 < alignment <= MAX_ALIGNMENT:
            raise _MalformedError
        self._alignment = alignment

    # Tensors

    def _tensor(self) -> tuple[str, TensorInfo]:
        name, axes = self._name(), self._u32()
        if axes > MAX_AXES:
            raise _MalformedError
        shape = tuple(reversed([self._count(MAX_SIDE) for _ in range(axes)]))
        kind, start = self._u32(), self._u64()
        if kind not in _DTYPES:
            unknown = msg(
                "its tensor {name} has a kind of number that is not known.", code="unknown-dtype", name=name[:_SHOWN]
            )
            raise _MalformedError("bad-header", unknown)
        return name, TensorInfo(_DTYPES[kind], shape, start, start + bytes_of(_DTYPES[kind], shape))

    def _placed(self, name: str, info: TensorInfo) -> TensorInfo:
        """Return the tensor with its true shape, if the file states one of as many numbers."""
        shape = self._shapes.get(name)
        if shape is None:
            return info
        if min(shape, default=1) < 0 or math.prod(shape) != math.prod(info.shape):
            raise _MalformedError
        return info._replace(shape=shape)

    def _check_end(self, start: int, length: int) -> None:
        missing = start + length - self._size
        if length and missing > 0:
            raise _MalformedError(
                "truncated",
                msg(
                    "{missing} of {total} are missing at its end. The download was probably cut off; get it again.",
                    code="cut-in-data",
                    missing=megabytes(missing),
                    total=megabytes(length),
                ),
            )


def _cut_in_header() -> _MalformedError:
    reason = msg("it ends inside its header. The download was probably cut off; get it again.", code="cut-in-header")
    return _MalformedError("truncated", reason)
