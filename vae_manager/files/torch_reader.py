"""Reader of torch's files, zipped and old. It runs no code of the file.

It reads the table of contents of a zip archive, as torch writes it, without trusting any part of it. Python's zipfile
repairs invalid archives, in other ways than torch does; a file that two readers read differently is how hostile ones
pass a check. So this reader accepts only archives without any ambiguity.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final, NamedTuple

from ..errors import BrokenFileError
from ..messages import Message, megabytes, msg
from .allowlist import LEGACY_ID, ZIP_ID
from .headers import DTYPE_BYTES, Header, TensorInfo, disk_error
from .pickle_values import DAMAGED, UNSAFE, DictItems, EndOfDataError, RejectedError, Storage, Tensor, printable_name
from .pickle_vm import Machine

__all__ = [
    "BAD_ZIP",
    "MAX_PICKLE_BYTES",
    "TAR_BLOCK",
    "ByteRange",
    "ZipEntry",
    "begins_like_tar",
    "build_header",
    "data_start",
    "is_torch_file",
    "read_entries",
    "read_legacy",
    "read_open_torch",
    "read_torch",
    "read_zip",
]


BAD_ZIP: Final = "bad-zip"
MAX_TABLE_BYTES: Final = 32 << 20
"""Bytes. A checkpoint's table has some 200,000."""
MAX_ENTRIES: Final = 200_000

_END_RECORD: Final = struct.Struct("<4s4H2LH")
_END_RECORD64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64: Final = struct.Struct("<4sLQL")
_TABLE_RECORD: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL_HEADER: Final = struct.Struct("<4s5H3L2H")
_ZIP64_MARK: Final = 0xFFFFFFFF
_FOLDER: Final = 0x10
_UNREADABLE_FLAGS: Final = 0x0001 | 0x0020 | 0x0040 | 0x2000
"""Flags of encrypted, patched, strongly encrypted files and hidden tables, which torch does not read."""

STATE_DICT: Final = "state_dict"
WRAPPERS: Final = ("model_state_dict", "params_ema", "params", "ema", "model", "module", "weights", "vae")
"""Names under which training code stores the weights, beside its own state."""
MAX_WRAPPERS: Final = 3
"""Most levels of nested wrappers."""
MAX_TENSORS: Final = 20_000
"""A checkpoint of SDXL has 2,600."""

_FIRST_TENSORS: Final = ("encoder.conv_in.weight", "decoder.conv_in.weight")
_VAE_TENSOR: Final = re.compile(r"(?:^|\.)(?:encoder|decoder|quant_conv|post_quant_conv|bn)\.")
"""In the names of the tensors of a VAE with any prefix."""

MAX_EXPANSION: Final = 8
"""Most times the file's own size for all its tensors: they can share storage, and repeat it."""

MAGIC_NUMBER: Final = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION: Final = 1001
COUNT_BYTES: Final = 8
"""Bytes of a storage's count of numbers."""
FIRST_READ_BYTES: Final = 1 << 17
"""Bytes that contain the pickles of a VAE."""

MAX_PICKLE_BYTES: Final = 64 << 20
"""Bytes. That of a checkpoint of 7 GB has some 300,000."""

_KNOWN_ENTRY: Final = re.compile(
    r"([^/\x00-\x1f]+)/(?:data\.pkl|data/[0-9]+|version|byteorder|\.data/serialization_id|\.format_version|\.storage_alignment)"
)
SMALL_ENTRY_BYTES: Final[Mapping[str, int]] = MappingProxyType(
    {"version": 16, "byteorder": 16, ".format_version": 16, ".storage_alignment": 16, ".data/serialization_id": 64}
)
"""torch's own small entries, and their most bytes."""
_SMALL_ENTRY_CONTENT: Final[Mapping[str, re.Pattern[bytes]]] = MappingProxyType(
    {
        "version": re.compile(rb"(?:[1-9]|10)\n?"),
        "byteorder": re.compile(rb"little"),
        ".format_version": re.compile(rb"[0-9]+"),
        ".storage_alignment": re.compile(rb"[1-9][0-9]{0,8}"),
        ".data/serialization_id": re.compile(rb"[ -~]*"),
    }
)
"""The known entries besides the weights, with their allowed contents."""

TAR_BLOCK: Final = 512
_CHECKSUM: Final = slice(148, 156)
_MAGIC: Final = slice(257, 262)

_ZIP: Final = b"PK\x03\x04"
_PICKLE: Final = re.compile(rb"\x80[\x02-\x05]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One file of the archive."""

    name: str
    size: int
    """Stored bytes."""
    header_offset: int
    """Position of its local header in the file."""
    is_stored: bool
    """True if it is not compressed."""


def read_entries(file: BinaryIO, size: int) -> Mapping[str, ZipEntry]:
    """Return all entries by name, of the archive that spans `file` from first byte to last. Raises RejectedError."""
    start, length, count = _table_location(file, size)
    if length > MAX_TABLE_BYTES or count > MAX_ENTRIES:
        raise _table_error()
    file.seek(start)
    entries: dict[str, ZipEntry] = {}
    for entry in _parse_table(file.read(length)):
        if entry.name in entries:
            raise RejectedError(BAD_ZIP, msg("it has something twice in it.", code="duplicate-part"))
        entries[entry.name] = entry
    if len(entries) != count:
        raise _table_error()
    _check_ranges(entries.values(), start)
    return entries


def data_start(file: BinaryIO, entry: ZipEntry) -> int:
    """Return the offset of the bytes of `entry`. Raises RejectedError."""
    if not entry.is_stored:
        raise _compressed_error()
    file.seek(entry.header_offset)
    raw = file.read(_LOCAL_HEADER.size)
    if len(raw) < _LOCAL_HEADER.size or not raw.startswith(b"PK\3\4"):
        raise _table_error()
    _, _, flags, method, *_, name_length, extra_length = _LOCAL_HEADER.unpack(raw)
    if method or flags & _UNREADABLE_FLAGS or file.read(name_length) != entry.name.encode("utf-8"):
        raise _table_error()
    return entry.header_offset + _LOCAL_HEADER.size + int(name_length) + int(extra_length)


def _table_location(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Return the table's offset, its bytes and its entries, from the record at the very end of the file."""
    tail_start = max(0, size - _END_RECORD.size - 0xFFFF)
    file.seek(tail_start)
    tail = file.read(size - tail_start)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END_RECORD.size:
        raise RejectedError("truncated", msg("it ends too early. The download was probably cut off; get it again."))
    _, disk, first_disk, here, count, length, start, comment = _END_RECORD.unpack_from(tail, at)
    if at + _END_RECORD.size + comment != len(tail):
        raise _table_error()
    end = tail_start + at
    locator = _read_at(file, end - _LOCATOR64.size, _LOCATOR64.size)
    if locator.startswith(b"PK\6\7"):
        _, _, end, _ = _LOCATOR64.unpack(locator)
        wide = _read_at(file, end, _END_RECORD64.size)
        if len(wide) < _END_RECORD64.size or not wide.startswith(b"PK\6\6"):
            raise _table_error()
        _, record, _, _, disk, first_disk, here, count, length, start = _END_RECORD64.unpack(wide)
        if record != _END_RECORD64.size - 12 or end + _END_RECORD64.size != tail_start + at - _LOCATOR64.size:
            raise _table_error()
    if disk or first_disk or here != count or start + length != end:
        raise _table_error()
    return start, length, count


def _read_at(file: BinaryIO, at: int, count: int) -> bytes:
    if not 0 <= at < 2**62:
        return b""
    file.seek(at)
    return file.read(count)


def _parse_table(table: bytes) -> Iterator[ZipEntry]:
    at = 0
    while at < len(table):
        if len(table) - at < _TABLE_RECORD.size or table[at : at + 4] != b"PK\1\2":
            raise _table_error()
        fields = _TABLE_RECORD.unpack_from(table, at)
        flags, method, compressed, size = fields[3], fields[4], fields[8], fields[9]
        attributes, offset = fields[15:]
        name_length, extra_length, comment_length, disk = fields[10:14]
        at += _TABLE_RECORD.size
        name, extra = table[at : at + name_length], table[at + name_length : at + name_length + extra_length]
        at += name_length + extra_length + comment_length
        if at > len(table) or disk or attributes & _FOLDER:  # torch would silently read an empty value for a folder
            raise _table_error()
        if flags & _UNREADABLE_FLAGS:
            raise _table_error()
        size, compressed, offset = _zip64_values((size, compressed, offset), extra)
        is_stored = not method
        if is_stored and compressed != size:
            raise _table_error()
        yield ZipEntry(_entry_name(name), compressed, offset, is_stored)


def _entry_name(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _table_error() from None


def _zip64_values(narrow: tuple[int, int, int], extra: bytes) -> tuple[int, int, int]:
    """Return size, compressed size and offset; the extra field has 64-bit ones, in order, for those beyond 32 bits."""
    if _ZIP64_MARK not in narrow:
        return narrow
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            if at + 4 + length > len(extra):
                raise _table_error()
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
            size, compressed, offset = (next(wide, _ZIP64_MARK) if value == _ZIP64_MARK else value for value in narrow)
            return size, compressed, offset
        at += 4 + length
    return narrow


def _check_ranges(entries: Iterable[ZipEntry], end: int) -> None:
    """Raise RejectedError unless each entry ends before the next one begins, and the last before the table at `end`."""
    at = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < at:
            raise RejectedError(BAD_ZIP, msg("parts of it overlap.", code="overlapping-parts"))
        at = entry.header_offset + _LOCAL_HEADER.size + len(entry.name.encode("utf-8")) + entry.size
    if at > end:
        raise RejectedError(BAD_ZIP, msg("parts of it lie outside the file."))


def _compressed_error() -> RejectedError:
    return RejectedError(BAD_ZIP, msg("it is compressed, which PyTorch's files are not.", code="compressed-part"))


def _table_error() -> RejectedError:
    return RejectedError(BAD_ZIP, msg("its table of contents makes no sense."))


class ByteRange(NamedTuple):
    """Bytes of the file, from `start` up to `end`."""

    start: int
    end: int


def build_header(root: object, locate: Callable[[Storage], ByteRange], size: int) -> Header:
    """Return the weights of a file of `size` bytes whose pickle holds `root`. Values that are no tensors are left out.

    A "state_dict" is entered, as in the WebUI; so is another wrapper of training code, if no tensor is beside it.
    Beside a VAE, a tensor of a kind of number that safetensors has no name for is left out. Raises RejectedError.
    """
    weights = _without_unrelated(_weights(root))
    if len(weights) > MAX_TENSORS:
        raise RejectedError(DAMAGED, msg("it has more tensors than any checkpoint."))
    total = 0
    ranges: dict[str, ByteRange] = {}
    tensors: dict[str, TensorInfo] = {}
    for name, tensor in weights.items():
        key = tensor.storage.key
        if key not in ranges:
            ranges[key] = locate(tensor.storage)
        tensors[name] = _tensor_info(name, tensor, ranges[key])
        total += math.prod(tensor.shape) * DTYPE_BYTES[tensors[name].dtype]
        if total > MAX_EXPANSION * size:
            raise RejectedError(DAMAGED, msg("its tensors have far more numbers than the file."))
    return Header(MappingProxyType(tensors), data_start=0)


def _weights(root: object) -> dict[str, Tensor]:
    for _ in range(MAX_WRAPPERS):
        latest = _last_values(root)
        tensors = {name: value for name, value in latest.items() if isinstance(value, Tensor)}
        if STATE_DICT in latest:
            root = latest[STATE_DICT]
        elif tensors or (wrapped := next(filter(None, map(latest.get, WRAPPERS)), None)) is None:
            return tensors
        elif isinstance(wrapped, DictItems):
            root = wrapped
        else:
            return {}
    return {}


def _without_unrelated(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave out tensors beside a VAE that have no known kind of number; in other files they may be needed."""
    if not any(tensor.dtype is not None and name.endswith(_FIRST_TENSORS) for name, tensor in weights.items()):
        return weights
    return {
        name: tensor
        for name, tensor in weights.items()
        if tensor.dtype is not None or _VAE_TENSOR.search(name) is not None
    }


def _last_values(root: object) -> dict[str, object]:
    """Return the values by their names; the last one of each name counts, as for torch."""
    if not isinstance(root, DictItems):
        raise RejectedError("not-a-model", msg("it holds something else than tensors by their names."))
    return {key: value for key, value in root if isinstance(key, str)}


def _tensor_info(name: str, tensor: Tensor, byte_range: ByteRange) -> TensorInfo:
    dtype, storage = tensor.dtype, tensor.storage
    if dtype is None:
        raise RejectedError(
            DAMAGED,
            msg(
                "its tensor {name} has a kind of number that is not known.",
                code="unknown-dtype",
                name=printable_name(name),
            ),
        )
    item = DTYPE_BYTES[dtype]
    shape, strides, first = tensor.shape, tensor.strides, byte_range.start + storage.start
    if 0 in shape:
        return TensorInfo(dtype, shape, first, first)
    start = first + tensor.offset * item
    # The stride of an axis of length one is unused, and may exceed 64 bits when counted in bytes.
    strides = tuple(stride if size > 1 else 0 for size, stride in zip(shape, strides, strict=True))
    end = start + item * (1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)))
    return TensorInfo(dtype, shape, start, end, None if _is_contiguous(shape, strides) else strides)


def _is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    step = 1
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size != 1:
            if stride != step:
                return False
            step *= size
    return True


def read_legacy(file: BinaryIO, size: int, *, checks_weights: bool = True) -> Header:
    """Read a file that begins like a pickle, otherwise as `read_zip`. Raises RejectedError."""
    machine = Machine(b"", lambda: _read_more(file, machine.data))
    try:
        root, keys = _run_pickles(machine)
    except EndOfDataError:
        if len(machine.data) == size:
            cut = msg("it ends too early. The download was probably cut off; get it again.")
            raise RejectedError("truncated", cut) from None
        raise RejectedError(DAMAGED, msg("what holds its tensors is far too large.")) from None
    ranges = _legacy_ranges(machine, keys, size)
    if checks_weights:
        _check_counts(file, machine, ranges)
    return build_header(root, lambda storage: ranges[storage.key], size)


def _read_more(file: BinaryIO, data: bytes) -> bytes:
    """Return the bytes that follow `data`, twice as many each time: the pickles' end is unknown until it is reached."""
    file.seek(len(data))
    return file.read(min(max(FIRST_READ_BYTES, len(data)), MAX_PICKLE_BYTES - len(data)))


def _run_pickles(machine: Machine) -> tuple[object, list[str]]:
    """Return the value with the tensors, and the keys of the storages. Each pickle is checked before the next one."""
    if machine.run() != MAGIC_NUMBER or machine.run() != PROTOCOL_VERSION:
        raise RejectedError("not-a-model", msg("it is a pickle that PyTorch did not write."))
    facts = machine.run()
    if not isinstance(facts, DictItems):
        raise RejectedError("not-a-model", msg("it is a pickle that PyTorch did not write."))
    if any(isinstance(key, str) and key == "little_endian" and value is False for key, value in facts):
        raise RejectedError(DAMAGED, msg("its numbers are of a big-endian machine."))
    root, keys = machine.run(LEGACY_ID), machine.run()
    if type(keys) is not list or not all(isinstance(key, str) for key in keys):
        raise RejectedError(DAMAGED, msg("its instructions make no sense."))
    return root, keys


def _legacy_ranges(machine: Machine, keys: list[str], size: int) -> dict[str, ByteRange]:
    """Return the position of each storage: in the order of `keys`, each after its count, behind the pickles."""
    if len(set(keys)) != len(keys) or set(keys) != machine.storages.keys():
        raise RejectedError(DAMAGED, msg("the numbers of one of its tensors are missing."))
    ranges: dict[str, ByteRange] = {}
    at = machine.position
    for key in keys:
        storage = machine.storages[key]
        ranges[key] = ByteRange(at + COUNT_BYTES, at + COUNT_BYTES + storage.count * storage.width)
        at = ranges[key].end
    if at > size:
        raise RejectedError(
            "truncated",
            msg(
                "{missing} of {total} are missing at its end. The download was probably cut off; get it again.",
                code="cut-in-data",
                missing=megabytes(at - size),
                total=megabytes(at),
            ),
        )
    return ranges


def _check_counts(file: BinaryIO, machine: Machine, ranges: Mapping[str, ByteRange]) -> None:
    """Raise RejectedError unless each storage begins with its count of numbers."""
    for key, byte_range in ranges.items():
        file.seek(byte_range.start - COUNT_BYTES)
        if int.from_bytes(file.read(COUNT_BYTES), "little") != machine.storages[key].count:
            raise RejectedError("bad-offsets", msg("the numbers of one of its tensors are cut off."))


def read_zip(file: BinaryIO, size: int, *, checks_weights: bool = True) -> Header:
    """Return the weights of a file that begins like a zip archive. Raises RejectedError.

    Without `checks_weights`, the local headers of the weights, which lie between them, are not read, and the positions
    in the result are those of these headers.
    """
    entries = read_entries(file, size)
    folder = _archive_folder(entries)
    _check_small_entries(file, entries, folder)
    machine = Machine(_read_entry(file, entries[f"{folder}/data.pkl"], MAX_PICKLE_BYTES))
    try:
        root = machine.run(ZIP_ID)
    except EndOfDataError:
        raise RejectedError(DAMAGED, msg("its data.pkl ends too early.")) from None
    # All of them: torch reads each named storage at once, of a weight or not.
    ranges = {
        key: _zip_range(file if checks_weights else None, size, entries, folder, storage)
        for key, storage in machine.storages.items()
    }
    return build_header(root, lambda storage: ranges[storage.key], size)


def _check_small_entries(file: BinaryIO, entries: Mapping[str, ZipEntry], folder: str) -> None:
    found = {
        name: _read_entry(file, entries[f"{folder}/{name}"], limit)
        for name, limit in SMALL_ENTRY_BYTES.items()
        if f"{folder}/{name}" in entries
    }
    if found.get("byteorder", b"little") != b"little":
        raise RejectedError(DAMAGED, msg("its numbers are of a big-endian machine."))
    if (
        not all(_SMALL_ENTRY_CONTENT[name].fullmatch(content) for name, content in found.items())
        or "version" not in found
    ):
        raise RejectedError(BAD_ZIP, msg("it is of a newer form than is known, or damaged."))


def _archive_folder(entries: Mapping[str, ZipEntry]) -> str:
    """Return the one folder with all entries.

    An archive with other content than that of torch.save is refused, as in the WebUI: an archive of TorchScript has
    code in it, which torch.load would run.
    """
    if not any(name.rpartition("/")[2].lower() == "data.pkl" for name in entries):  # torch finds it in any case
        raise RejectedError("zip-without-model", msg("it is a zip archive without a model in it."))
    folders = set()
    for name in entries:
        found = _KNOWN_ENTRY.fullmatch(name)
        if found is None:
            raise RejectedError(BAD_ZIP, msg("it has {name} in it, which no file of weights has.", name=name[:100]))
        folders.add(found[1])
    if len(folders) != 1:
        raise RejectedError(BAD_ZIP, msg("it holds several files of PyTorch's."))
    return folders.pop()


def _read_entry(file: BinaryIO, entry: ZipEntry, limit: int) -> bytes:
    if entry.size > limit:
        raise RejectedError(BAD_ZIP, msg("a small part of it is said to be far too large."))
    start = data_start(file, entry)
    file.seek(start)
    content = file.read(entry.size)
    if len(content) < entry.size:
        raise RejectedError(BAD_ZIP, msg("parts of it lie outside the file."))
    return content


def _zip_range(
    file: BinaryIO | None, size: int, entries: Mapping[str, ZipEntry], folder: str, storage: Storage
) -> ByteRange:
    """Return the position of a storage; without `file`, that of its local header. Raises RejectedError."""
    entry = entries.get(f"{folder}/data/{storage.key}")
    if entry is None:
        raise RejectedError(DAMAGED, msg("the numbers of one of its tensors are missing."))
    length = storage.count * storage.width
    if entry.size != length:  # old versions of torch read the bytes that exist, newer ones refuse
        raise RejectedError("bad-offsets", msg("the numbers of one of its tensors are cut off."))
    if file is None and not entry.is_stored:
        raise _compressed_error()
    start = data_start(file, entry) if file is not None else entry.header_offset
    if start + length > size:
        raise RejectedError(BAD_ZIP, msg("parts of it lie outside the file."))
    return ByteRange(start, start + length)


def begins_like_tar(head: bytes) -> bool:
    """Return True if Python's `tarfile` could take a file that begins with `head` for an archive.

    It checks the block's checksum alone, as a number in octal digits or in bytes, of signed or unsigned bytes. The
    magic word, which it ignores, counts here as well.
    """
    if head[_MAGIC] == b"ustar":
        return True
    if len(head) < TAR_BLOCK:
        return False
    block = head[:TAR_BLOCK]
    rest = block[: _CHECKSUM.start] + b" " * 8 + block[_CHECKSUM.stop :]
    unsigned = sum(rest)
    signed = unsigned - 256 * sum(byte > 127 for byte in rest)
    return _octal_or_binary(block[_CHECKSUM]) in (unsigned, signed)


def _octal_or_binary(field: bytes) -> int | None:
    if field[0] in (0o200, 0o377):
        return int.from_bytes(field[1:], "big") - (256 ** (len(field) - 1) if field[0] == 0o377 else 0)
    try:
        return int(field.partition(b"\0")[0].decode("ascii").strip() or "0", 8)
    except ValueError:
        return None


def is_torch_file(head: bytes) -> bool:
    """Return True if `read_torch` reads a file that begins with `head`, as torch decides; 512 bytes are enough."""
    return head.startswith(_ZIP) or _PICKLE.match(head) is not None or begins_like_tar(head)


def read_torch(path: Path) -> Header:
    """Read the tensors of `path`; their bytes are not read, and their offsets are those in the file.

    Raises `BrokenFileError`, with the code `unsafe-pickle` if the file asks to run code; `NotFoundError` and
    `DiskError`.
    """
    try:
        with path.open("rb") as file:
            return read_open_torch(file, file.seek(0, 2), path.name)
    except OSError as error:
        raise disk_error(path, error) from error


def read_open_torch(file: BinaryIO, size: int, name: str, *, checks_weights: bool = True) -> Header:
    """Read the tensors of an open file of `size` bytes; `name` is for errors.

    Without `checks_weights`, nothing between the weights is read, so a file that is damaged there passes, and the
    offsets of the tensors are not exact. Raises `BrokenFileError`, and the errors of `file`.
    """
    try:
        file.seek(0)
        head = file.read(TAR_BLOCK)
        if begins_like_tar(head):  # torch tries that before it tries a pickle
            raise RejectedError(
                "old-torch", msg("it is a tar archive, as PyTorch wrote them before 2018. Get a newer one.")
            )
        read = read_zip if head.startswith(_ZIP) else read_legacy
        return read(file, size, checks_weights=checks_weights)
    except RejectedError as refused:
        raise BrokenFileError(_rejection_message(name, refused), refused.code) from None


def _rejection_message(name: str, refused: RejectedError) -> Message:
    if refused.code == UNSAFE:
        return msg(
            "{file} asks for {what} to be run when it is loaded. It was not, and it is not used.",
            file=name,
            what=refused.reason,
        )
    return msg("{file} cannot be used: {reason}", file=name, reason=refused.reason)
