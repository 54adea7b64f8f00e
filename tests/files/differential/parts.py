"""Files of torch.save, taken apart and put together again, with any field of the zip archive as one likes."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

DATA = "data.pkl"


@dataclass(frozen=True)
class Member:
    """One file of an archive, with the values in its headers."""

    name: str
    content: bytes
    local_name: str | None = None
    """Name in the local header, if that differs."""
    packed: bool = False
    flags: int = 0x800
    size: int | None = None
    """Size in the central directory, if that is wrong."""
    extra: bytes = b""
    local_extra: bytes = b""
    is_wide: bool = False
    """Sizes and position are stored in 64 bits."""
    shift: int = 0
    """Shift of its position in the table."""
    crc: int | None = None


@dataclass(frozen=True)
class Archive:
    """The parts of an archive besides its members."""

    before: bytes = b""
    between: bytes = b""
    """In front of the table."""
    comment: bytes = b""
    count: int | None = None
    is_wide: bool = False
    hidden: Sequence[Member] = ()
    """Members that no table names."""


@dataclass(frozen=True)
class Parts:
    """A zip file's pickle and members, or a legacy file's five pickles and storages."""

    pickles: tuple[bytes, ...]
    members: tuple[Member, ...] = ()
    archive: Archive = field(default_factory=Archive)
    tail: bytes = b""
    head: bytes = b""
    """In front of all."""

    @property
    def is_zip(self) -> bool:
        return len(self.pickles) == 1

    @property
    def root(self) -> bytes:
        """The pickle that holds the tensors."""
        return self.pickles[0 if self.is_zip else 3]

    def with_pickle(self, index: int, code: bytes) -> Parts:
        return replace(self, pickles=(*self.pickles[:index], code, *self.pickles[index + 1 :]))


def taken_apart(data: bytes) -> Parts:
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = tuple(Member(name, archive.read(name)) for name in archive.namelist())
        (code,) = (member.content for member in members if member.name.endswith(f"/{DATA}"))
        return Parts((code,), members)
    file, pickles = io.BytesIO(data), []
    for _ in range(5):
        start = file.tell()
        _Skipping(file).load()
        pickles.append(data[start : file.tell()])
    return Parts(tuple(pickles), tail=data[file.tell() :])


class _Skipping(pickle.Unpickler):
    """Unpickler that only finds the ends of harmless pickles."""

    def find_class(self, module: str, name: str) -> object:
        return _Anything

    def persistent_load(self, identity: object) -> object:
        return None


class _Anything:
    def __new__(cls, *_: object) -> _Anything:
        return object.__new__(cls)

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def put_together(parts: Parts) -> bytes:
    if not parts.is_zip:
        return parts.head + b"".join(parts.pickles) + parts.tail
    members = [
        replace(member, content=parts.pickles[0]) if member.name.endswith(f"/{DATA}") else member
        for member in parts.members
    ]
    return parts.head + written(members, parts.archive)


def written(members: Sequence[Member], archive: Archive) -> bytes:
    data, table = bytearray(archive.before), bytearray()
    for member in archive.hidden:
        _add(data, member)
    for member in members:
        at = len(data)
        table += _table_entry(member, at + member.shift, _add(data, member))
    data += archive.between
    start, count = len(data), len(members) if archive.count is None else archive.count
    data += table
    if archive.is_wide:
        end = len(data)
        data += struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(table), start)
        data += struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    fields = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF) if archive.is_wide else (count, count, len(table), start)
    length = len(archive.comment)
    return bytes(data) + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *fields, length) + archive.comment


def _stored(member: Member) -> bytes:
    if not member.packed:
        return member.content
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(member.content) + packer.flush()


def _sums(member: Member) -> int:
    return zlib.crc32(member.content) if member.crc is None else member.crc


def _add(data: bytearray, member: Member) -> bytes:
    name = (member.name if member.local_name is None else member.local_name).encode()
    stored = _stored(member)
    method = 8 if member.packed else 0
    sizes = (_sums(member), len(stored), len(member.content))
    data += struct.pack(
        "<4s5H3L2H", b"PK\3\4", 20, member.flags, method, 0, 0, *sizes, len(name), len(member.local_extra)
    )
    data += name + member.local_extra + stored
    return stored


def _table_entry(member: Member, at: int, stored: bytes) -> bytes:
    name, method = member.name.encode(), 8 if member.packed else 0
    size = len(member.content) if member.size is None else member.size
    packed = len(stored) if member.size is None or member.packed else member.size
    extra, place = member.extra, at % 2**32
    if member.is_wide:
        extra = struct.pack("<2H3Q", 1, 24, size, packed, at % 2**64) + extra
        size = packed = place = 0xFFFFFFFF
    fields = (20, 20, member.flags, method, 0, 0, _sums(member), packed % 2**32, size % 2**32)
    return struct.pack("<4s6H3L5H2L", b"PK\1\2", *fields, len(name), len(extra), 0, 0, 0, 0, place) + name + extra
