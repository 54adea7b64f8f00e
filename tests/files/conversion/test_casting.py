"""Numbers of another kind, against torch, bit for bit; what is known without it, everywhere."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.failing import fails_with
from vae_manager.errors import IntegrityError, RefusedError
from vae_manager.files.conversion import cast

if TYPE_CHECKING:
    import torch

MOST = 2.0**128 - 2.0**104
"""Of fp32."""


def pieces(data: bytes, size: int = 1 << 20) -> Iterator[memoryview]:
    for start in range(0, len(data), size):
        yield memoryview(data)[start : start + size]


def turned(data: bytes, before: str, after: str, size: int = 1 << 20) -> bytes:
    return b"".join(bytes(piece) for piece in cast(pieces(data, size), before, after, file="x.pt", tensor="a.weight"))


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


# -- against torch ---------------------------------------------------------------------------------------------------
def kinds() -> dict[str, torch.dtype]:
    torch = pytest.importorskip("torch")
    return {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def torchs(data: bytes, before: str, after: str) -> bytes:
    import torch

    numbers = torch.frombuffer(bytearray(data), dtype=kinds()[before])
    return bytes(numbers.to(kinds()[after]).view(torch.uint8).numpy())


def finite(numbers: torch.Tensor, after: str) -> torch.Tensor:
    return numbers[numbers.isfinite() & numbers.to(kinds()[after]).isfinite()]


def raw(numbers: torch.Tensor) -> bytes:
    import torch

    return bytes(numbers.contiguous().view(torch.uint8).numpy())


@pytest.mark.parametrize("before", ["F16", "BF16"])
@pytest.mark.parametrize("after", ["F32", "F16", "BF16"])
def test_all_numbers_of_sixteen_bits(before: str, after: str) -> None:
    torch = pytest.importorskip("torch")
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(kinds()[before])
    data = raw(finite(every, after))
    assert len(data) > 60_000
    assert turned(data, before, after) == torchs(data, before, after)


@pytest.mark.parametrize("after", ["F16", "BF16"])
def test_numbers_of_thirty_two_bits(after: str) -> None:
    """Each exponent, and around each tie: the bits that are rounded away are all but half, half, and more."""
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(1)
    upper = torch.arange(2**16, dtype=torch.int64) << 16
    lower = torch.tensor([0, 1, 0xFFF, 0x1000, 0x1001, 0x3000, 0x7FFF, 0x8000, 0x8001, 0xFFFF])
    near_ties = (upper[:, None] | lower).flatten()
    random = torch.randint(0, 2**32, (2_000_000,), generator=generator)
    bits = torch.cat([near_ties, random])
    every = torch.where(bits >= 2**31, bits - 2**32, bits).to(torch.int32).view(torch.float32)
    data = raw(finite(every, after))
    assert turned(data, "F32", after) == torchs(data, "F32", after)


@pytest.mark.parametrize("after", ["F32", "F16", "BF16"])
def test_numbers_of_sixty_four_bits(after: str) -> None:
    """By way of fp32, where what was rounded once is rounded again."""
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(2)
    scales = 2.0 ** torch.randint(-160, 16, (500_000,), generator=generator).double()
    values = torch.randn(500_000, generator=generator, dtype=torch.float64) * scales
    twice = torch.tensor([1 + 2**-11 - 2**-40, 1 + 2**-11 + 2**-40, 1 + 2**-8 + 2**-40, 2**-25 + 2**-60])
    data = raw(finite(torch.cat([values, twice.double(), -twice.double()]), after))
    assert turned(data, "F64", after) == torchs(data, "F64", after)


# -- known without it ------------------------------------------------------------------------------------------------
def test_ties_go_to_even_and_small_numbers_to_subnormal_ones() -> None:
    values = floats(1 + 2**-11, 1 + 3 * 2**-11, 2**-24, 2**-25, 3 * 2**-25, -(2.0**-30), -0.0)
    assert turned(values, "F32", "F16").hex(" ", 2) == "003c 023c 0100 0000 0200 0080 0080"
    values = floats(1 + 2**-8, 1 + 3 * 2**-8, -0.0)
    assert turned(values, "F32", "BF16").hex(" ", 2) == "803f 823f 0080"


@pytest.mark.parametrize("size", [1, 3, 4, 5, 7, 4096])
def test_pieces_may_end_within_a_number(size: int) -> None:
    values = floats(*range(100))
    assert turned(values, "F32", "F16", size) == turned(values, "F32", "F16")


def test_no_numbers() -> None:
    assert turned(b"", "F32", "F16") == b""


@pytest.mark.parametrize(
    ("most", "after"),
    [(65519.99, "F16"), (-65519.99, "F16"), (MOST - 2.0**119, "BF16")],
)
def test_the_largest_that_fits(most: float, after: str) -> None:
    turned(floats(1.0, most), "F32", after)


@pytest.mark.parametrize(
    ("data", "before", "after", "largest", "limit"),
    [
        (floats(65520.0), "F32", "F16", "65520", "65504"),
        (floats(1.0, -70000.0, 123456.0, 2.0), "F32", "F16", "123456", "65504"),
        (floats(MOST), "F32", "BF16", "3.40282e.38", "3.38953e.38"),
        (struct.pack("<d", 1e300), "F64", "F32", "1e.300", "3.40282e.38"),
        (struct.pack("<d", 1e300), "F64", "F16", "1e.300", "65504"),
        (b"\x80\x47", "BF16", "F16", "65536", "65504"),
    ],
)
def test_what_would_become_infinite_is_refused(data: bytes, before: str, after: str, largest: str, limit: str) -> None:
    with pytest.raises(RefusedError, match=rf"a\.weight is {largest}, and .* ends at {limit}"):
        turned(data, before, after, 4)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("after", ["F16", "BF16", "F32"])
def test_what_is_no_number_is_damage(value: float, after: str) -> None:
    with fails_with(IntegrityError, "nan", file="x.pt", name="a.weight"):
        turned(struct.pack("<2d", 1.0, value), "F64", after)
