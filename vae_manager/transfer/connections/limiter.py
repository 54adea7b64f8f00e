"""The bandwidth that a person allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

STEP = 0.1
"""Seconds of the line that may be used at once, and after which a waiting thread looks around."""


class Limiter:
    """Holds all connections together to a number of bytes per second."""

    def __init__(self, bandwidth: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._bandwidth = bandwidth
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = clock()

    def portion(self, wanted: int) -> int:
        """Return how many bytes of `wanted` to read at once, so that the line is used evenly."""
        if self._bandwidth is None:
            return wanted
        return max(1, min(wanted, int(self._bandwidth * STEP / 4)))

    def wait(self, count: int, gone: threading.Event) -> None:
        """Sleep until `count` more bytes may be read, or `gone` is set."""
        if self._bandwidth is None:
            return
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now - STEP) + count / self._bandwidth
            until = self._free_at
        while (left := until - self._clock()) > 0 and not gone.wait(min(left, STEP)):
            pass
