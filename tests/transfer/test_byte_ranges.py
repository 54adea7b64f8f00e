"""Spans, held against plain sets of bytes."""

from __future__ import annotations

import doctest

from hypothesis import given
from hypothesis import strategies as st

from vae_manager.transfer import resume_journal as module
from vae_manager.transfer.resume_journal import (
    ByteRanges,
    add_range,
    are_valid_ranges,
    clip_ranges,
    contiguous_end,
    count_bytes,
    missing_ranges,
)

SIZE = 30
PLACE = st.integers(0, SIZE)


def bytes_of(byte_ranges: ByteRanges) -> set[int]:
    return {place for start, end in byte_ranges for place in range(start, end)}


@st.composite
def some_spans(draw: st.DrawFn) -> ByteRanges:
    byte_ranges: ByteRanges = ()
    for start, end in draw(st.lists(st.tuples(PLACE, PLACE), max_size=6)):
        byte_ranges = add_range(byte_ranges, start, end)
    return byte_ranges


@given(some_spans(), PLACE, PLACE)
def test_added(byte_ranges: ByteRanges, start: int, end: int) -> None:
    now = add_range(byte_ranges, start, end)
    assert bytes_of(now) == bytes_of(byte_ranges) | set(range(start, end))
    assert are_valid_ranges(now)


@given(some_spans())
def test_missing_count_and_front(byte_ranges: ByteRanges) -> None:
    there = bytes_of(byte_ranges)
    assert bytes_of(missing_ranges(byte_ranges, SIZE)) == set(range(SIZE)) - there
    assert count_bytes(byte_ranges) == len(there)
    assert contiguous_end(byte_ranges) == next(place for place in range(SIZE + 1) if place not in there)


@given(some_spans(), PLACE)
def test_cut(byte_ranges: ByteRanges, size: int) -> None:
    assert bytes_of(clip_ranges(byte_ranges, size)) == bytes_of(byte_ranges) & set(range(size))


def test_ranges_that_cannot_be() -> None:
    for byte_ranges in (((5, 3),), ((0, 5), (4, 9)), ((0, 5), (5, 9)), ((-1, 4),), ((3, 3),)):
        assert not are_valid_ranges(byte_ranges)


def test_the_examples_of_the_module() -> None:
    assert doctest.testmod(module).failed == 0
