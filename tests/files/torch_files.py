"""Files of torch.save written by hand, instruction by instruction, so that they need no torch and can be wrong."""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .filling import filling

MAGIC = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
PROTOCOL = b"\x80\x02M\xe9\x03."
WIDTHS = {"Double": 8, "Float": 4, "Half": 2, "BFloat16": 2, "Long": 8, "Byte": 1, "Untyped": 1, "ComplexFloat": 8}
EMPTY = b"}"


@dataclass(frozen=True)
class Made:
    """The instructions for a value, and the storages (their bytes by key) that it stands in."""

    code: bytes
    storages: Mapping[str, bytes]


def number(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if 0 <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def several(*codes: bytes) -> bytes:
    """A tuple."""
    return b"(" + b"".join(codes) + b"t"


def call(what: bytes, *arguments: bytes) -> bytes:
    return what + several(*arguments) + b"R"


def mapping(items: Mapping[str, bytes], start: bytes = EMPTY) -> bytes:
    return start + b"(" + b"".join(text(key) + code for key, code in items.items()) + b"u"


def ordered() -> bytes:
    return name("collections", "OrderedDict") + b")R"


def storage(kind: str, key: str, count: int, *more: bytes) -> bytes:
    module = "torch.storage" if kind == "Untyped" else "torch"
    return several(
        text("storage"), name(module, f"{kind}Storage"), text(key), text("cpu"), number(count), *more
    ) + b"Q"  # fmt: skip


def rows(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of what lies row after row."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def tensor(where: bytes, shape: Sequence[int], strides: Sequence[int] | None = None, offset: int = 0) -> bytes:
    strides = rows(shape) if strides is None else strides
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        where,
        number(offset),
        several(*map(number, shape)),
        several(*map(number, strides)),
        b"\x89",
        ordered(),
    )


def weights(shapes: Mapping[str, Sequence[int]], kind: str = "Float") -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The instructions for each tensor by its name, each with a storage of its own; and those."""
    codes, storages = {}, {}
    for key, (label, shape) in enumerate(shapes.items()):
        count = math.prod(shape)
        codes[label] = tensor(storage(kind, str(key), count), shape)
        storages[str(key)] = filling(count * WIDTHS[kind], key)
    return codes, storages


def state_dict(shapes: Mapping[str, Sequence[int]], kind: str = "Float", wrapped: bool = False) -> Made:
    """A whole pickle of tensors by their names; `wrapped` below "state_dict", as checkpoints have it."""
    codes, storages = weights(shapes, kind)
    code = mapping(codes, ordered())
    if wrapped:
        code = mapping({"epoch": number(3), "state_dict": code})
    return Made(b"\x80\x02" + code + b".", storages)


def as_zip(made: Made, folder: str = "archive", compression: int = zipfile.ZIP_STORED, **more: bytes) -> bytes:
    """As torch 1.6 to 2.0 wrote it; `more` are further entries, by their names (`__` for a slash)."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        archive.writestr(f"{folder}/data.pkl", made.code)
        for key, content in made.storages.items():
            archive.writestr(f"{folder}/data/{key}", content)
        archive.writestr(f"{folder}/version", b"3\n")
        for label, content in more.items():
            archive.writestr(f"{folder}/{label.replace('__', '/')}", content)
    return target.getvalue()


_ID_END = re.compile(rb"(K.|J.{4}|\x8a(?:\x04.{4}|\x05.{5}|\x06.{6}|\x07.{7}|\x08.{8}|\x09.{9}))tQ", re.DOTALL)
"""The count of a storage's numbers, and the end of its identity."""


def as_legacy(made: Made, facts: bytes | None = None, keys: bytes | None = None) -> bytes:
    """Build a file of torch before 1.6, whose storage identities had one more part: None, or a view of the storage.

    `facts` and `keys` are the instructions of other pickles in their places.
    """
    code = _ID_END.sub(rb"\1NtQ", made.code)
    if facts is None:
        facts = mapping({"protocol_version": number(1001), "little_endian": b"\x88"})
    if keys is None:
        keys = b"](" + b"".join(map(text, made.storages)) + b"e"
    head = MAGIC + PROTOCOL + b"\x80\x02" + facts + b"." + code + b"\x80\x02" + keys + b"."
    return head + b"".join(
        struct.pack("<q", len(content) // _width(made.code, key)) + content for key, content in made.storages.items()
    )


def _width(code: bytes, key: str) -> int:
    """Bytes of one number of a storage, read off the name that stands before its key; 1 where that is damaged."""
    kind = code.partition(text(key) + text("cpu"))[0].rpartition(b"Storage\n")[0].rpartition(b"\n")[2]
    return WIDTHS.get(kind.decode("latin-1"), 1)


def write_zip(path: Path, shapes: Mapping[str, Sequence[int]], kind: str = "Float", wrapped: bool = False) -> Path:
    path.write_bytes(as_zip(state_dict(shapes, kind, wrapped)))
    return path


def write_legacy(path: Path, shapes: Mapping[str, Sequence[int]], kind: str = "Float", wrapped: bool = False) -> Path:
    path.write_bytes(as_legacy(state_dict(shapes, kind, wrapped)))
    return path
