"""One file of torch.save, of either form, as a header."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO, Final

from ...errors import BrokenFileError
from ...sentences import Sentence, say
from ..headers import Header, disk_error
from .pickle_values import UNSAFE, Refused
from .torch_legacy import read_legacy
from .torch_zip import read_zip

__all__ = ["TAR_BLOCK", "begins_like_tar", "is_torch_file", "read_torch"]


TAR_BLOCK: Final = 512
_CHECKSUM: Final = slice(148, 156)
_MAGIC: Final = slice(257, 262)


def begins_like_tar(head: bytes) -> bool:
    """Return True if Python's `tarfile` could take a file that begins with `head` for an archive.

    It goes by the block's checksum alone, as a number in octal digits or in bytes, of signed or unsigned bytes. The
    magic word, which it does not ask for, counts here as well.
    """
    if head[_MAGIC] == b"ustar":
        return True
    if len(head) < TAR_BLOCK:
        return False
    block = head[:TAR_BLOCK]
    rest = block[: _CHECKSUM.start] + b" " * 8 + block[_CHECKSUM.stop :]
    unsigned = sum(rest)
    signed = unsigned - 256 * sum(byte > 127 for byte in rest)
    return _number(block[_CHECKSUM]) in (unsigned, signed)


def _number(field: bytes) -> int | None:
    if field[0] in (0o200, 0o377):
        return int.from_bytes(field[1:], "big") - (256 ** (len(field) - 1) if field[0] == 0o377 else 0)
    try:
        return int(field.partition(b"\0")[0].decode("ascii").strip() or "0", 8)
    except ValueError:
        return None


_ZIP: Final = b"PK\x03\x04"
_PICKLE: Final = re.compile(rb"\x80[\x02-\x05]", re.DOTALL)


def is_torch_file(head: bytes) -> bool:
    """Return True if `read_torch` reads a file that begins with `head`, as torch decides; 512 bytes are enough."""
    return head.startswith(_ZIP) or _PICKLE.match(head) is not None or begins_like_tar(head)


def read_torch(path: Path) -> Header:
    """Read what tensors `path` has; their bytes are not read, and are counted from the beginning of the file.

    Raises `BrokenFileError`, with the code `unsafe-pickle` where something would have to be run; `NotFoundError` and
    `DiskError`.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            return _read(file, size)
    except OSError as error:
        raise disk_error(path, error) from error
    except Refused as refused:
        raise BrokenFileError(_sentence(path.name, refused), refused.code) from None


def _read(file: BinaryIO, size: int) -> Header:
    file.seek(0)
    head = file.read(TAR_BLOCK)
    if begins_like_tar(head):  # torch tries that before it tries a pickle
        raise Refused("old-torch", say("it is a tar archive, as PyTorch wrote them before 2018. Get a newer one."))
    return read_zip(file, size) if head.startswith(_ZIP) else read_legacy(file, size)


def _sentence(name: str, refused: Refused) -> Sentence:
    if refused.code == UNSAFE:
        return say(
            "{file} asks for {what} to be run when it is loaded. It was not, and it is not used.",
            file=name,
            what=refused.reason,
        )
    return say("{file} cannot be used: {reason}", file=name, reason=refused.reason)
