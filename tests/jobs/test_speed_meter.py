"""Speed and time left, on a clock that the test turns."""

from __future__ import annotations

import pytest

from vae_manager.jobs import WINDOW_SECONDS, SpeedMeter


def paced(*points: tuple[float, int]) -> SpeedMeter:
    pace = SpeedMeter()
    for now, done in points:
        pace.add(now, done)
    return pace


@pytest.mark.parametrize("points", [(), ((5.0, 100),), ((5.0, 100), (5.0, 200))])
def test_no_speed_before_there_is_a_span_of_time(points: tuple[tuple[float, int], ...]) -> None:
    assert paced(*points).speed is None
    assert paced(*points).seconds_left(1000) is None


def test_speed_and_time_left() -> None:
    pace = paced((100.0, 0), (101.0, 50), (102.0, 100))
    assert pace.speed == 50
    assert pace.seconds_left(350) == 5


def test_kept_bytes_are_not_counted_as_speed() -> None:
    pace = paced((0.0, 9_000), (1.0, 9_100))
    assert pace.speed == 100
    assert pace.seconds_left(10_000) == 9


def test_without_a_total_there_is_no_time_left() -> None:
    assert paced((0.0, 0), (1.0, 50)).seconds_left(None) is None


def test_what_stands_still_has_a_speed_but_no_time_left() -> None:
    pace = paced((0.0, 50), (1.0, 50))
    assert pace.speed == 0
    assert pace.seconds_left(100) is None


def test_time_left_is_never_negative() -> None:
    assert paced((0.0, 0), (1.0, 200)).seconds_left(100) == 0


def test_a_start_over_forgets_what_came_before() -> None:
    pace = paced((0.0, 0), (1.0, 1_000), (2.0, 0))
    assert pace.speed is None
    pace.add(3.0, 10)
    assert pace.speed == 10


def test_it_follows_a_line_that_slows_down_within_the_window() -> None:
    pace = paced(*((float(second), 100 * second) for second in range(10)))
    assert pace.speed == 100
    for second in range(10, 10 + int(WINDOW_SECONDS) + 1):
        pace.add(float(second), 900 + second - 9)
    assert pace.speed == 1


def test_one_slow_moment_inside_the_window_does_not_make_it_jump() -> None:
    pace = paced(*((second / 10, 10 * second) for second in range(30)))
    pace.add(3.4, 290)
    assert pace.speed == pytest.approx(290 / 3.4)


def test_reports_that_are_further_apart_than_the_window_still_give_a_speed() -> None:
    assert paced((0.0, 0), (60.0, 600), (120.0, 1_800)).speed == 20


def test_no_more_is_kept_than_the_window_needs() -> None:
    pace = paced(*((number / 100, number) for number in range(100_000)))
    assert len(pace._points) <= 100 * WINDOW_SECONDS + 2


def test_a_moment_is_too_short_to_tell() -> None:
    pace = paced((0.0, 0), (0.1, 1_000_000))
    assert pace.speed is None
    pace.add(0.5, 1_200_000)
    assert pace.speed == 2_400_000
