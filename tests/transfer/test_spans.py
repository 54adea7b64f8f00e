"""Spans, held against plain sets of bytes."""

from __future__ import annotations

import doctest

from hypothesis import given
from hypothesis import strategies as st

from vae_manager.transfer import resume_journal as module
from vae_manager.transfer.resume_journal import Spans, added, are_sound, contiguous_end, count, cut, missing

SIZE = 30
PLACE = st.integers(0, SIZE)


def bytes_of(byte_ranges: Spans) -> set[int]:
    return {place for start, end in byte_ranges for place in range(start, end)}


@st.composite
def some_spans(draw: st.DrawFn) -> Spans:
    byte_ranges: Spans = ()
    for start, end in draw(st.lists(st.tuples(PLACE, PLACE), max_size=6)):
        byte_ranges = added(byte_ranges, start, end)
    return byte_ranges


@given(some_spans(), PLACE, PLACE)
def test_added(byte_ranges: Spans, start: int, end: int) -> None:
    now = added(byte_ranges, start, end)
    assert bytes_of(now) == bytes_of(byte_ranges) | set(range(start, end))
    assert are_sound(now)


@given(some_spans())
def test_missing_count_and_front(byte_ranges: Spans) -> None:
    there = bytes_of(byte_ranges)
    assert bytes_of(missing(byte_ranges, SIZE)) == set(range(SIZE)) - there
    assert count(byte_ranges) == len(there)
    assert contiguous_end(byte_ranges) == next(place for place in range(SIZE + 1) if place not in there)


@given(some_spans(), PLACE)
def test_cut(byte_ranges: Spans, size: int) -> None:
    assert bytes_of(cut(byte_ranges, size)) == bytes_of(byte_ranges) & set(range(size))


def test_spans_that_cannot_be() -> None:
    for byte_ranges in (((5, 3),), ((0, 5), (4, 9)), ((0, 5), (5, 9)), ((-1, 4),), ((3, 3),)):
        assert not are_sound(byte_ranges)


def test_the_examples_of_the_module() -> None:
    assert doctest.testmod(module).failed == 0
