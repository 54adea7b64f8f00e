"""Who brings what: each byte is handed out once, whatever happens on the way."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vae_manager.transfer.range_requests import (
    MAX_SEGMENT_BYTES,
    MIN_SEGMENT_BYTES,
    MIN_SPEED_SECONDS,
    SLOW_FACTOR,
    USUAL_SEGMENT_BYTES,
    Segment,
    Segments,
)
from vae_manager.transfer.resume_journal import ByteRanges, add_range, missing_ranges

MIB = 1 << 20
FILE = 300 * MIB


def under_way(segment: Segment, *, since: float = 0.0, brought: int = 0) -> Segment:
    segment.began = since
    segment.at += brought
    return segment


def test_segments_come_in_the_files_order_and_become_smaller() -> None:
    segments = Segments.of(((0, FILE),))
    taken = []
    while segment := segments.take(16, now=0.0):
        taken.append(segment)
    assert [segment.at for segment in taken] == [0, *(segment.end for segment in taken[:-1])]
    sizes = [segment.left for segment in taken]
    assert sizes[:-1] == sorted(sizes[:-1], reverse=True)  # type: ignore[type-var]
    assert sizes[0] == USUAL_SEGMENT_BYTES
    assert sizes[-1] is not None
    assert MIN_SEGMENT_BYTES <= sizes[-1] < 2 * MIN_SEGMENT_BYTES


def test_they_are_larger_where_each_request_takes_long() -> None:
    segments = Segments.of(((0, FILE),))
    segments.active.append(under_way(Segment(FILE, FILE + 40 * MIB), brought=20 * MIB))
    for quick, size in ((0.0, USUAL_SEGMENT_BYTES), (0.04, 8 * MIB), (1.0, MAX_SEGMENT_BYTES)):
        segment = segments.take(4, now=1.0, quick=quick)
        assert segment is not None
        assert segment.left == pytest.approx(size, rel=0.01) or quick == 1.0


def test_a_small_file_is_one_segment() -> None:
    segments = Segments.of(((0, MIN_SEGMENT_BYTES + 5),))
    assert segments.take(16, now=0.0) is not None
    assert segments.take(16, now=0.0) is None


def test_what_is_given_back_is_handed_out_again_first() -> None:
    segments = Segments.of(((0, FILE),))
    first = segments.take(4, now=0.0)
    assert first is not None
    segments.take(4, now=0.0)
    first.at += 100
    segments.give_back(first, now=0.0)
    again = segments.take(4, now=0.0)
    assert again is not None
    assert (again.at, again.end) == (100, first.end)


def test_a_free_connection_takes_half_of_the_slowest_segment() -> None:
    slow, fast = (
        under_way(Segment(0, 40 * MIB), brought=10 * MIB),
        under_way(Segment(40 * MIB, 80 * MIB), brought=30 * MIB),
    )
    segments = Segments([], [slow, fast])
    stolen = segments.take(4, now=1.0)
    assert stolen is not None
    assert (slow.end, stolen.at, stolen.end) == (25 * MIB, 25 * MIB, 40 * MIB)


def test_and_all_of_one_that_crawls() -> None:
    crawling = under_way(Segment(0, 10 * MIB), brought=1000)
    quick = under_way(Segment(10 * MIB, 40 * MIB), brought=29 * MIB)
    stolen = Segments([], [crawling, quick]).take(4, now=SLOW_FACTOR * 1.0)
    assert stolen is not None
    assert (crawling.left, stolen.at, stolen.end) == (0, 1000, 10 * MIB)


def test_what_is_not_worth_a_request_is_left() -> None:
    def stolen(left: int, quick: float) -> Segment | None:
        segment = under_way(Segment(0, 10 * MIB), brought=10 * MIB - left)
        return Segments([], [segment]).take(4, now=1.0, quick=quick)

    assert stolen(left=MIN_SEGMENT_BYTES - 1, quick=0.0) is None
    assert stolen(left=4 * MIB, quick=1.0) is None, "half of it would come in the time of the request"
    assert stolen(left=4 * MIB, quick=0.01) is not None


def test_nothing_is_taken_over_before_speeds_can_be_told() -> None:
    assert Segments([], [under_way(Segment(0, 10 * MIB), brought=5)]).take(4, now=MIN_SPEED_SECONDS / 2) is None
    assert Segments([], [Segment(0, 10 * MIB)]).take(4, now=9.0) is None
    assert Segments([], [under_way(Segment(0, None), brought=5)]).take(4, now=9.0) is None, "its end is not known"


STEPS = st.lists(
    st.tuples(st.sampled_from(["take", "bring", "give back"]), st.integers(0, 9), st.integers(1, 20 * MIB)),
    max_size=80,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, FILE), st.integers(0, FILE)), max_size=4), STEPS)
def test_every_missing_byte_is_brought_once(kept: list[tuple[int, int]], steps: list[tuple[str, int, int]]) -> None:
    there: ByteRanges = ()
    for start, end in kept:
        there = add_range(there, start, end)
    segments, brought, now = Segments.of(missing_ranges(there, FILE)), there, 0.0

    def bring(segment: Segment, amount: int) -> None:
        nonlocal brought
        end = min(segment.at + amount, segment.end or 0)
        if end > segment.at:
            assert all(stop <= segment.at or start >= end for start, stop in brought), "brought twice"
        brought = add_range(brought, segment.at, end)
        segment.at = end

    for step, which, amount in steps:
        now += 0.1
        if step == "take":
            if (segment := segments.take(4, now, 0.001)) is not None:
                segment.began = now
        elif segments.active:
            segment = segments.active[which % len(segments.active)]
            bring(segment, amount) if step == "bring" else segments.give_back(segment, now)
    while segments.waiting or any(segment.left for segment in segments.active):
        segments.take(4, now)
        for segment in tuple(segments.active):
            bring(segment, FILE)
            segments.give_back(segment, now)
    assert brought == ((0, FILE),)
