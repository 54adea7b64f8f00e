"""Spans, held against plain sets of bytes."""

from __future__ import annotations

import doctest

from hypothesis import given
from hypothesis import strategies as st

from vae_manager.transfer import resume_journal as module
from vae_manager.transfer.resume_journal import Spans, added, are_sound, count, cut, front, missing

SIZE = 30
PLACE = st.integers(0, SIZE)


def bytes_of(spans: Spans) -> set[int]:
    return {place for start, end in spans for place in range(start, end)}


@st.composite
def some_spans(draw: st.DrawFn) -> Spans:
    spans: Spans = ()
    for start, end in draw(st.lists(st.tuples(PLACE, PLACE), max_size=6)):
        spans = added(spans, start, end)
    return spans


@given(some_spans(), PLACE, PLACE)
def test_added(spans: Spans, start: int, end: int) -> None:
    now = added(spans, start, end)
    assert bytes_of(now) == bytes_of(spans) | set(range(start, end))
    assert are_sound(now)


@given(some_spans())
def test_missing_count_and_front(spans: Spans) -> None:
    there = bytes_of(spans)
    assert bytes_of(missing(spans, SIZE)) == set(range(SIZE)) - there
    assert count(spans) == len(there)
    assert front(spans) == next(place for place in range(SIZE + 1) if place not in there)


@given(some_spans(), PLACE)
def test_cut(spans: Spans, size: int) -> None:
    assert bytes_of(cut(spans, size)) == bytes_of(spans) & set(range(size))


def test_spans_that_cannot_be() -> None:
    for spans in (((5, 3),), ((0, 5), (4, 9)), ((0, 5), (5, 9)), ((-1, 4),), ((3, 3),)):
        assert not are_sound(spans)


def test_the_examples_of_the_module() -> None:
    assert doctest.testmod(module).failed == 0
