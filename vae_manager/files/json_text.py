"""JSON that somebody else may have written: bounded in size and depth, and read value by value.

Python's own reader accepts NaN, and numbers and nesting of any size. Its result is therefore never used directly: each
value goes through one of the functions here, which raise `ValueError` for an invalid one.
"""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any, Final

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "TooDeepError",
    "TooLongError",
    "finite",
    "hexadecimal",
    "parse_json",
    "path_of",
    "text",
    "whole",
]

MAX_BYTES: Final = 64 << 20
"""The library's index of 100,000 files has some 50 MB, and is the longest of all."""
MAX_DEPTH: Final = 32
MAX_WHOLE: Final = 2**63 - 1
MAX_DIGITS: Final = 4000
MAX_PATH: Final = 32_767
"""Characters; Windows takes so many, other systems fewer."""
MAX_NAME_BYTES: Final = 255

_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
_LONG_NUMBER: Final = re.compile(rb"[0-9]{20}")


class TooLongError(ValueError):
    """Text longer than any that this program writes."""


class TooDeepError(ValueError):
    """A text nests deeper than any that this program writes."""


def parse_json(data: bytes | bytearray, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """Read JSON, with a byte order mark or in UTF-16 too, as editors save it.

    Raises:
        TooLongError: More than `max_bytes`.
        TooDeepError: Lists or objects in one another, more than `max_depth` of them.
        ValueError: The text is not JSON.
    """
    if len(data) > max_bytes:
        raise TooLongError
    # Versions of Python before 3.10.7 take hours for a number of a million digits, and later ones refuse it.
    as_number = _number if _LONG_NUMBER.search(data) else None
    try:
        root = json.loads(bytes(data).decode(json.detect_encoding(data)), parse_int=as_number)
    except RecursionError:
        raise TooDeepError from None
    _check_depth(root, max_depth)
    return root


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_DIGITS else float(digits)


def _check_depth(root: Any, max_depth: int) -> None:
    level = [root]
    for _ in range(max_depth + 1):
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise TooDeepError


def whole(value: Any, most: int = MAX_WHOLE) -> int:
    """A number that counts something: whole, and from 0 to `most`."""
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError("no whole number")
    return value


def finite(value: Any) -> float:
    """Check a number: neither NaN nor infinite, and within the range of a measurement."""
    if type(value) not in (int, float) or not -1e18 < value < 1e18 or not math.isfinite(value):
        raise ValueError("no finite number")
    return float(value)


def text(value: Any) -> str:
    """A text that can be part of a path or be sent: no NUL, no half of a character but those that stand for a byte of a
    name that is not UTF-8."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("no text")
    value.encode("utf-8", "surrogateescape")
    return value


def hexadecimal(value: Any) -> str:
    """Check a SHA-256. It becomes part of the name of a partial file, so no other text may pass."""
    found = text(value)
    if not _SHA256.fullmatch(found):
        raise ValueError("no SHA-256")
    return found


def path_of(value: Any) -> Path:
    """Return a path that the system accepts; the file need not exist."""
    found = text(value)
    parts = found.replace("\\", "/").split("/")
    if not found or len(found) > MAX_PATH or any(len(os.fsencode(part)) > MAX_NAME_BYTES for part in parts):
        raise ValueError("no path")
    return Path(found)
