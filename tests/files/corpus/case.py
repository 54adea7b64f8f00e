"""One file of the corpus, and how such files are made."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..filling import filling
from ..samples import encode, header_of, ldm
from ..torch_files import Made, as_legacy, as_zip, mapping, state_dict, storage, tensor

Shapes = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Case:
    """One file, and what an inspection answers."""

    id: str
    data: bytes
    container: str
    layout: str = "unknown"
    channels: int | None = None
    dtype: str | None = None
    halves: str = ""
    """`e` for an encoder, `d` for a decoder."""
    code: str | None = None
    """Of the verdict's reason on A1111; None for a file that is used as it is."""
    convertible: bool = False
    name: str = "x.vae.pt"


def tensors(shapes: Shapes, dtype: str = "F32", **metadata: str) -> bytes:
    """A safetensors file."""
    header, size = header_of({label: tuple(shape) for label, shape in shapes.items()}, dtype)
    return encode({**header, **({"__metadata__": metadata} if metadata else {})}, filling(size))


def zipped(shapes: Shapes, kind: str = "Float", wrapped: bool = False, **more: bytes) -> bytes:
    return as_zip(state_dict(shapes, kind, wrapped), "archive", zipfile.ZIP_STORED, **more)


def legacy(shapes: Shapes, kind: str = "Float", wrapped: bool = False) -> bytes:
    return as_legacy(state_dict(shapes, kind, wrapped))


def pickled(code: bytes, **storages: bytes) -> bytes:
    """A zip file of torch with these instructions."""
    return as_zip(Made(b"\x80\x02" + code + b".", storages))


def half(part: str) -> Shapes:
    return {label: shape for label, shape in ldm().items() if label.startswith(part)}


def below(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + label: shape for label, shape in shapes.items()}


def plain_zip(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for label in names:
            archive.writestr(label, b"hello")
    return target.getvalue()


def with_entry(data: bytes, name: bytes, at: int, new: bytes) -> bytes:
    """A zip with some bytes of one entry of its table replaced, `at` bytes from where that entry begins."""
    entry = data.rindex(b"PK\1\2", 0, data.rindex(name))
    return data[: entry + at] + new + data[entry + at + len(new) :]


def nested() -> bytes:
    """A zip of two storages, of which one lies inside the other."""
    inner = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 4, 4, 14, 0) + b"archive/data/1"
    outer = inner + bytes(4)
    codes = {"a": tensor(storage("Byte", "0", len(outer)), (len(outer),)), "b": tensor(storage("Byte", "1", 4), (4,))}
    data = pickled(mapping(codes), **{"0": outer, "1": bytes(4)})
    return with_entry(data, b"archive/data/1", 42, struct.pack("<I", data.index(inner)))


def patched(data: bytes, old: bytes, new: bytes, which: int = 0) -> bytes:
    """`data` with one occurrence of `old` replaced by `new`, of the same length."""
    at = -1
    for _ in range(which + 1):
        at = data.index(old, at + 1)
    assert len(old) == len(new)
    return data[:at] + new + data[at + len(old) :]
