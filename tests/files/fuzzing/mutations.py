"""Damage of the kinds that downloads, disks and attackers do."""

from __future__ import annotations

from random import Random

INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, *b'"{}[]:,.0-\\e()')


def mutated(chance: Random, data: bytes, others: tuple[bytes, ...] = ()) -> bytes:
    """`data` with a few changes; pieces of `others` may come into it."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        _change(chance, changed, others)
    return bytes(changed)


def _change(chance: Random, data: bytearray, others: tuple[bytes, ...]) -> None:
    at = chance.randrange(len(data) + 1)
    end = min(len(data), at + chance.choice((1, 1, 2, 4, 8, 40)))
    kind = chance.randrange(8)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << chance.randrange(8)
    elif kind == 1 and at < len(data):
        data[at] = chance.choice(INTERESTING)
    elif kind == 2:
        data[at:at] = bytes(chance.choices(INTERESTING, k=chance.choice((1, 2, 9))))
    elif kind == 3:
        del data[at:end]
    elif kind == 4:
        data[at:at] = data[at:end]
    elif kind == 5 and others:
        other = chance.choice(others)
        start = chance.randrange(len(other) + 1)
        data[at:end] = other[start : start + chance.choice((1, 4, 16, 60))]
    elif kind == 6:
        del data[at:]
    elif at + 4 <= len(data):
        data[at : at + 4] = chance.choice((0, 1, 2**31 - 1, 2**31, 2**32 - 1)).to_bytes(4, "little")
