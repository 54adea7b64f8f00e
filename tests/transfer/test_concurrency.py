"""How many connections pay, on lines of which we know."""

from __future__ import annotations

import pytest

from vae_manager.transfer.range_requests import FIRST_CONNECTIONS, ConcurrencyController
from vae_manager.transfer.scheduler import Limiter

MB = 1_000_000


def run(controller: ConcurrencyController, speed_of: object, seconds: float = 20.0) -> int:
    """Let the ramp look every 10 ms at a line that gives so many connections that speed; return how many it wants."""
    done = 0.0
    for tick in range(int(seconds * 100)):
        done += speed_of(controller.wanted) / 100  # type: ignore[operator]
        controller.update(tick / 100, int(done), controller.wanted, 0.01)
    return controller.wanted


def test_it_begins_alone() -> None:
    controller = ConcurrencyController(16)
    assert run(controller, lambda count: count * 40 * MB) == 1
    controller.open_up()
    assert controller.wanted == FIRST_CONNECTIONS


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (lambda count: count * 40 * MB, 16),  # a limit for each connection
        (lambda count: min(count * 20, 100) * MB, 16),  # and one for all, which four do not reach
        (lambda count: 50 * MB, FIRST_CONNECTIONS),  # one for all
        (lambda count: 0.2 * MB, FIRST_CONNECTIONS),  # a slow line
    ],
)
def test_more_connections_while_they_bring_more(line: object, expected: int) -> None:
    controller = ConcurrencyController(16)
    controller.open_up()
    assert run(controller, line) == expected


def test_never_more_than_allowed() -> None:
    for most in (1, 2, 6):
        controller = ConcurrencyController(most)
        controller.open_up()
        assert run(controller, lambda count: count * MB) == most


def test_a_pause_of_the_line_does_not_decide() -> None:
    controller = ConcurrencyController(16)
    controller.open_up()
    done, pauses = 0, iter([False] * 12 + [True] * 6 + [False] * 200)
    for tick, pause in enumerate(pauses):
        done += 0 if pause else controller.wanted * 4 * MB // 10
        controller.update(tick / 100, done, controller.wanted, 0.01)
    assert controller.wanted == 16


def test_a_refused_connection_is_the_end_of_growing() -> None:
    controller = ConcurrencyController(16)
    controller.open_up()
    controller.stay_at(3)
    assert run(controller, lambda count: count * 40 * MB) == 3
    controller.stay_at(0)
    assert controller.wanted == 1
    controller.stay_at(3)
    assert controller.wanted == 1, "the whole that comes over one connection stays alone"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Gone:
    """An event that nobody sets, on which waiting lets the clock go on."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def wait(self, seconds: float) -> bool:
        self.clock.now += seconds
        return False


def test_the_limit_holds_over_any_while() -> None:
    clock = Clock()
    limiter = Limiter(2 * MB, clock)
    done = 0
    while done < 10 * MB:
        amount = limiter.portion(1 << 18)
        done += amount
        limiter.wait(amount, Gone(clock))  # type: ignore[arg-type]
        assert done <= 2 * MB * (clock.now - 100.0) + 2 * MB * 0.2
    assert clock.now - 100.0 == pytest.approx(5, rel=0.05)


def test_no_limit_is_no_wait() -> None:
    clock = Clock()
    limiter = Limiter(None, clock)
    assert limiter.portion(1 << 18) == 1 << 18
    limiter.wait(1 << 30, Gone(clock))  # type: ignore[arg-type]
    assert clock.now == 100.0
