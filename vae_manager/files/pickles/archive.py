"""The table of contents of a zip archive, as torch writes it: what is where, without trusting any of it.

Python's zipfile tries to make sense of what is wrong, in other ways than torch does; a file that two readers read
differently is how hostile ones get past a check. So this one takes only archives in which there is nothing to guess.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from ...sentences import say
from .pickle_values import Refused

__all__ = ["BAD_ZIP", "Entry", "data_start", "read_entries"]

BAD_ZIP: Final = "bad-zip"
LARGEST_TABLE: Final = 32 << 20
"""Bytes. A checkpoint's has some 200,000."""
MOST_ENTRIES: Final = 200_000

_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64: Final = struct.Struct("<4sLQL")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_WIDE: Final = 0xFFFFFFFF
_FOLDER: Final = 0x10
_ENCRYPTED: Final = 0x0001 | 0x0020 | 0x0040 | 0x2000
"""Flags of encrypted, patched, strongly encrypted files and hidden tables, which torch does not read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the archive."""

    name: str
    size: int
    """Bytes, as they are stored."""
    header: int
    """Where its local header stands in the file."""
    plain: bool
    """Stored as it is: not compressed."""


def read_entries(file: BinaryIO, size: int) -> Mapping[str, Entry]:
    """All entries by name, of the archive that `file` is from its first byte to its last, `size`. Raises Refused."""
    start, length, count = _table(file, size)
    if length > LARGEST_TABLE or count > MOST_ENTRIES:
        raise _bad()
    file.seek(start)
    entries: dict[str, Entry] = {}
    for entry in _entries(file.read(length)):
        if entry.name in entries:
            raise Refused(BAD_ZIP, say("it has something twice in it."))
        entries[entry.name] = entry
    if len(entries) != count:
        raise _bad()
    _check_places(entries.values(), start)
    return entries


def data_start(file: BinaryIO, entry: Entry) -> int:
    """Where the bytes of `entry` begin. Raises Refused."""
    if not entry.plain:
        raise Refused(BAD_ZIP, say("it is compressed, which PyTorch's files are not."))
    file.seek(entry.header)
    raw = file.read(_LOCAL.size)
    if len(raw) < _LOCAL.size or not raw.startswith(b"PK\3\4"):
        raise _bad()
    _, _, flags, method, *_, name, more = _LOCAL.unpack(raw)
    if method or flags & _ENCRYPTED or file.read(name) != entry.name.encode("utf-8"):
        raise _bad()
    return entry.header + _LOCAL.size + int(name) + int(more)


def _table(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Where the table begins, its bytes and its entries, from the record at the very end of the file."""
    tail_start = max(0, size - _END.size - 0xFFFF)
    file.seek(tail_start)
    tail = file.read(size - tail_start)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        raise Refused("truncated", say("it ends too early. The download was probably cut off; get it again."))
    _, disk, first_disk, here, count, length, start, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail):
        raise _bad()
    end = tail_start + at
    locator = _read_at(file, end - _LOCATOR64.size, _LOCATOR64.size)
    if locator.startswith(b"PK\6\7"):
        _, _, end, _ = _LOCATOR64.unpack(locator)
        wide = _read_at(file, end, _END64.size)
        if len(wide) < _END64.size or not wide.startswith(b"PK\6\6"):
            raise _bad()
        _, record, _, _, disk, first_disk, here, count, length, start = _END64.unpack(wide)
        if record != _END64.size - 12 or end + _END64.size != tail_start + at - _LOCATOR64.size:
            raise _bad()
    if disk or first_disk or here != count or start + length != end:
        raise _bad()
    return start, length, count


def _read_at(file: BinaryIO, at: int, count: int) -> bytes:
    if not 0 <= at < 2**62:
        return b""
    file.seek(at)
    return file.read(count)


def _entries(table: bytes) -> Iterator[Entry]:
    at = 0
    while at < len(table):
        if len(table) - at < _ENTRY.size or table[at : at + 4] != b"PK\1\2":
            raise _bad()
        fields = _ENTRY.unpack_from(table, at)
        flags, method, packed, size = fields[3], fields[4], fields[8], fields[9]
        attributes, header = fields[15:]
        name_length, more_length, comment_length, disk = fields[10:14]
        at += _ENTRY.size
        name, more = table[at : at + name_length], table[at + name_length : at + name_length + more_length]
        at += name_length + more_length + comment_length
        if at > len(table) or disk or attributes & _FOLDER:  # of a folder torch would read nothing, and not say so
            raise _bad()
        if flags & _ENCRYPTED:
            raise _bad()
        size, packed, header = _widened((size, packed, header), more)
        plain = not method
        if plain and packed != size:
            raise _bad()
        yield Entry(_name(name), packed, header, plain)


def _name(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad() from None


def _widened(narrow: tuple[int, int, int], more: bytes) -> tuple[int, int, int]:
    """Size, packed size and place; of those that do not fit 32 bits, the extra field has the 64-bit ones in order."""
    if _WIDE not in narrow:
        return narrow
    at = 0
    while at + 4 <= len(more):
        kind, length = struct.unpack_from("<2H", more, at)
        if kind == 1:
            if at + 4 + length > len(more):
                raise _bad()
            wide = iter(struct.unpack_from(f"<{length // 8}Q", more, at + 4))
            size, packed, header = (next(wide, _WIDE) if value == _WIDE else value for value in narrow)
            return size, packed, header
        at += 4 + length
    return narrow


def _check_places(entries: Iterable[Entry], end: int) -> None:
    """Each entry must end before the next one begins, and the last before the table at `end`."""
    at = 0
    for entry in sorted(entries, key=lambda entry: entry.header):
        if entry.header < at:
            raise Refused(BAD_ZIP, say("parts of it overlap."))
        at = entry.header + _LOCAL.size + len(entry.name.encode("utf-8")) + entry.size
    if at > end:
        raise Refused(BAD_ZIP, say("parts of it lie outside the file."))


def _bad() -> Refused:
    return Refused(BAD_ZIP, say("its table of contents makes no sense."))
