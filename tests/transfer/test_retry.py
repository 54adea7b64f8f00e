"""What is tried again, how often, and after how long."""

from __future__ import annotations

import threading

import pytest

from vae_manager.errors import Cancelled, NetworkError, NotFoundError, TransientNetworkError
from vae_manager.messages import msg
from vae_manager.transfer.request import PROGRESS_BYTES, RetryPolicy, retry


class Waits(threading.Event):
    """A stop button that nobody presses, and that writes down how long it was watched."""

    def __init__(self, pressed_after: int | None = None) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.pressed_after = pressed_after

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.seconds.append(timeout)
        return len(self.seconds) == self.pressed_after


@pytest.fixture(autouse=True)
def _no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)


class Failing:
    """Fails so often, bringing some bytes each time."""

    def __init__(self, failures: int, bytes_each: int = 0, wish: float | None = None) -> None:
        self.failures, self.bytes_each, self.wish = failures, bytes_each, wish
        self.calls = self.arrived = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls > self.failures:
            return "done"
        self.arrived += self.bytes_each
        raise TransientNetworkError(msg("No luck."), self.wish)


def run(attempt: Failing, waits: Waits, patience: RetryPolicy) -> str:
    return retry(attempt, lambda: attempt.arrived, patience, waits)


def test_waits_double_up_to_the_longest() -> None:
    waits = Waits()
    assert run(Failing(5), waits, RetryPolicy(max_attempts=6, first_delay=1, max_delay=5)) == "done"
    assert waits.seconds == [1, 2, 4, 5, 5]


def test_the_last_failure_is_final_and_no_longer_transient() -> None:
    attempt, waits = Failing(9), Waits()
    with pytest.raises(NetworkError, match="No luck") as caught:
        run(attempt, waits, RetryPolicy(max_attempts=3))
    assert not isinstance(caught.value, TransientNetworkError)
    assert (attempt.calls, waits.seconds) == (3, [1, 2])


def test_failures_with_progress_between_them_do_not_add_up() -> None:
    waits = Waits()
    assert run(Failing(20, bytes_each=PROGRESS_BYTES), waits, RetryPolicy(max_attempts=2)) == "done"
    assert waits.seconds == [1] * 20


def test_a_servers_wish_is_kept() -> None:
    waits = Waits()
    assert run(Failing(1, wish=7), waits, RetryPolicy()) == "done"
    assert waits.seconds == [7]


def test_some_of_each_wait_is_left_to_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.5)
    assert [RetryPolicy(first_delay=1).delay_after(failures, None) for failures in (1, 2)] == [0.75, 1.5]
    assert RetryPolicy(first_delay=1).delay_after(1, 100) == pytest.approx(105), "never sooner than the server wants"


def test_a_wish_beyond_patience_is_not_waited_for() -> None:
    waits = Waits()
    with pytest.raises(NetworkError):
        run(Failing(1, wish=3600), waits, RetryPolicy())
    assert waits.seconds == []


def test_stop_ends_a_wait() -> None:
    attempt = Failing(9)
    with pytest.raises(Cancelled):
        run(attempt, Waits(pressed_after=2), RetryPolicy())
    assert attempt.calls == 2


def test_only_transient_errors_are_tried_again() -> None:
    calls = []

    def attempt() -> None:
        calls.append(1)
        raise NotFoundError(msg("Not there."))

    with pytest.raises(NotFoundError):
        retry(attempt, lambda: 0, RetryPolicy(), threading.Event())
    assert len(calls) == 1
