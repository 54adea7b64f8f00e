"""The first block of a tar archive: torch's oldest form, which it tries before any other."""

from __future__ import annotations

from typing import Final

__all__ = ["TAR_BLOCK", "begins_like_tar"]

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
