"""How fast work goes and how long the rest will take, from what was done at which moment."""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 4.0
SHORTEST_SECONDS = 0.5
"""Over less than this, a single block of data that came or did not come would be most of the speed."""


class Pace:
    """Speed over the last few seconds, so that it follows a line that slows down but does not jump.

    It is the plain average over the window, from its first point to its last: the figure that anybody else gets who
    counts the same bytes over the same seconds.
    """

    def __init__(self) -> None:
        self._points: deque[tuple[float, int]] = deque()

    def add(self, now: float, done: int) -> None:
        """`done` units stood done at the moment `now` (seconds on any monotonic clock)."""
        if self._points and done < self._points[-1][1]:
            self._points.clear()  # started over
        self._points.append((now, done))
        while len(self._points) > 2 and now - self._points[1][0] >= WINDOW_SECONDS:
            self._points.popleft()

    @property
    def speed(self) -> float | None:
        """Units a second; None before there is a span of time to measure over."""
        if len(self._points) < 2:
            return None
        (first, before), (last, after) = self._points[0], self._points[-1]
        return (after - before) / (last - first) if last - first >= SHORTEST_SECONDS else None

    def seconds_left(self, total: int | None, now: float | None = None) -> float | None:
        """Seconds from `now` (else from the last point) until `total` is reached at this speed; None where that cannot
        be told."""
        if total is None or not self.speed:
            return None
        last, done = self._points[-1]
        return max(0.0, (total - done) / self.speed - (0.0 if now is None else now - last))
