"""Bytes of weights: small, finite and different numbers in every dtype."""

from __future__ import annotations

import random


def filling(size: int, seed: int = 0) -> bytes:
    """Return bytes in which no float of any width is NaN, infinite or large, and no long run is zero."""
    data = bytearray(random.Random(seed).randbytes(size))
    data[0::2] = data[0::2].translate(_EVEN)
    data[1::2] = data[1::2].translate(_ODD)
    return bytes(data)


_EVEN = bytes(byte & 0x6F for byte in range(256))
"""Mantissas, and numbers of 8 bits: no exponent is full."""
_ODD = bytes(0x30 | byte & 0x0F for byte in range(256))
"""Exponents of 16, 32 and 64 bits: 2**-31 to 1."""
