"""Safetensors files, nearly right."""

from __future__ import annotations

import json
import math
import struct
from random import Random
from typing import Any

from tests.vaes import BASE

from .mutations import mutated

WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}
NAMES = ("a", "b", "decoder.conv_in.weight", "", "é", "\U0001f600", "__metadata__", 'x"y', "a\\", "\x00")
SIZES: tuple[Any, ...] = (
    0, 1, 2, 3, 2**31, 2**32, 2**53 + 1, 2**63, 2**64 - 1, 2**64, -1, 1.0, 1.5, -0.0, None, "1", True, [], {},
)  # fmt: skip
EXTRA: tuple[Any, ...] = (None, [], {}, 1e308, "x", [[[]]], {"a": {"b": 1}}, -(2**63), 2**70)
PIECES = tuple(
    piece.encode()
    for piece in (
        *("1e999", "-0", "1E2", "0x1", "01", "1.", "NaN", "Infinity", "true", "null", "[]", "{}", '"F32"', '"\\ud800"'),
        *('"\\ud83d\\ude00"', '"\\u0000"', "\ufeff", "[" * 200, '{"a":' * 130, " " * 9, "\t\r\n", "\x0b", "\x00"),
        *('"dtype":', '"shape":', '"data_offsets":', '"__metadata__":', '{"a":1,"a":2}', "18446744073709551615"),
    )
)


def _real() -> tuple[bytes, ...]:
    """The header of a real VAE, shortened to its first tensors, and files of our own."""
    raw = BASE.read_bytes()
    whole = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    first = sorted(
        ((name, info) for name, info in whole.items() if name != "__metadata__"),
        key=lambda item: item[1]["data_offsets"][0],
    )[:3]
    size = max(info["data_offsets"][1] for _, info in first)
    return (
        _file(json.dumps(dict(first)).encode(), size),
        _file(
            b'{"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},'
            b'"b":{"dtype":"U8","shape":[],"data_offsets":[16,17]}}',
            17,
        ),
        _file(b'{"__metadata__":{"k":"v"},"x":{"dtype":"F16","shape":[3],"data_offsets":[0,6]}}', 6),
        _file(b"{}", 0),
    )


def _file(raw: bytes, size: int) -> bytes:
    return struct.pack("<Q", len(raw)) + raw + bytes(size)


REAL = _real()


def a_header(chance: Random) -> bytes:
    """One file."""
    kind = chance.choice((0, 1, 1, 2, 2, 3))
    if kind == 0:
        return mutated(chance, chance.choice(REAL), REAL)
    if kind == 1:  # damage in the JSON alone, and a length that fits it
        data = chance.choice(REAL)
        end = 8 + int.from_bytes(data[:8], "little")
        raw = mutated(chance, data[8:end], PIECES)
        return struct.pack("<Q", len(raw)) + raw + data[end:]
    header, size = _sound(chance) if kind == 2 else _strange(chance)
    raw = json.dumps(header, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    if chance.random() < 0.1:  # two names become one, or a number another
        raw = raw.replace(*chance.choice(((b'"b"', b'"a"'), (b'"decoder.conv_in.weight"', b'"a"'), (b"[0", b"[1"))))
    raw += chance.choice((b"", b"", b"", b"", b" ", b"\n   ", b"\0", b"x"))
    return _file(raw, max(0, size + chance.choice((0, 0, 0, 0, 1, -1))))


def _sound(chance: Random) -> tuple[dict[str, object], int]:
    """A header that is right most of the time, and the bytes that it describes."""
    header: dict[str, object] = {}
    at = 0
    for name in chance.sample(NAMES, chance.randrange(5)):
        if name == "__metadata__":
            header[name] = chance.choice(({}, {"format": "pt"}, None, 1, {"a": None}, [], "x"))
            continue
        dtype = chance.choice(tuple(WIDTHS))
        shape = [chance.choice((0, 1, 2, 3)) for _ in range(chance.randrange(4))]
        size = math.prod(shape) * WIDTHS[dtype] + chance.choice((0,) * 30 + (1, -1))
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        if chance.random() < 0.1:
            header[name] = {**header[name], "extra": chance.choice(EXTRA)}  # type: ignore[dict-item]
        at += size if chance.random() < 0.98 else 0
    items = list(header.items())
    chance.shuffle(items)
    return dict(items), at


def _strange(chance: Random) -> tuple[dict[str, object], int]:
    """A header whose values are of any kind."""

    def some(most: int) -> list[object]:
        return [chance.choice(SIZES) for _ in range(chance.randrange(most + 1))]

    header: dict[str, object] = {}
    for name in chance.sample(NAMES, chance.randrange(4)):
        header[name] = chance.choice(
            (
                {"dtype": chance.choice((*WIDTHS, "f32", "X", 1, None)), "shape": some(3), "data_offsets": some(3)},
                {"dtype": "U8", "shape": [], "data_offsets": [0, chance.choice(SIZES)]},
                {"dtype": "F32", "shape": some(2)},
                chance.choice(SIZES),
            )
        )
    return header, chance.choice((0, 1, 4, 8, 40))
