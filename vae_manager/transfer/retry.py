"""Trying again: which errors, how often, after how long."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ..errors import Cancelled, NetworkError, TransientNetworkError
from ..sentences import say

T = TypeVar("T")

PROGRESS = 1_000_000
"""As many bytes between two failures make the second one count as the first: a line that drops often still finishes."""


@dataclass(frozen=True)
class Patience:
    """How often one source is tried, and the waits between."""

    tries: int = 5
    first_wait: float = 1.0
    """Seconds; doubled after each further failure."""
    longest_wait: float = 30.0
    longest_wish: float = 120.0
    """A server that wants a longer wait than this is given up at once."""

    def wait_after(self, failures: int, wish: float | None) -> float:
        """Return the seconds to wait after so many failures in a row, never less than the server's own wish.

        Up to half of the wait is left to chance, so that many machines which failed together do not come back together.
        """
        wait = min(self.first_wait * 2.0 ** (failures - 1), self.longest_wait)
        return max(wait * (1 - random.random() / 2), (wish or 0.0) * (1 + random.random() / 10))


def keep_trying(attempt: Callable[[], T], arrived: Callable[[], int], patience: Patience, stop: threading.Event) -> T:
    """Call `attempt` until it succeeds, repeating it only after a `TransientNetworkError`.

    `arrived` counts the bytes that there are so far. The waits end at once when `stop` is set.
    """
    failures = 0
    while True:
        before = arrived()
        try:
            return attempt()
        except TransientNetworkError as error:
            failures = 1 if arrived() - before >= PROGRESS else failures + 1
            wish = error.retry_after
            if failures >= patience.tries or (wish or 0.0) > patience.longest_wish:
                raise NetworkError(error.sentence) from None
            if stop.wait(patience.wait_after(failures, wish)):
                raise Cancelled(say("Stopped.")) from None
