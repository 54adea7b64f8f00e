"""How many connections pay: a few at first, more while more of them bring more."""

from __future__ import annotations

from dataclasses import dataclass

FIRST = 4
GROWTH = 4
"""As many times the connections are tried next: one step from the first number to the usual most."""
WINDOW = 0.03
"""Seconds at least over which the speed of so many connections is taken."""
LONGEST_WINDOW = 1.0
ENOUGH = 2_000_000
"""Bytes after which a window may end before it is longest."""
WORTH = 1.1
"""As many times the speed of before must more connections bring to be kept."""


@dataclass
class Ramp:
    """The number of connections that are wanted, from what came with fewer.

    One connection, until its answer tells that the file can be had in parts; then `FIRST`; then `GROWTH` times as many
    each time, up to `most`, as long as that brings at least `WORTH` times the bytes per second; else as many as before.
    """

    most: int
    wanted: int = 1
    _speed: float = 0.0
    _before: int = FIRST
    _since: float | None = None
    _done: int = 0
    _doubted: bool = False
    _settled: bool = False

    @property
    def is_growing(self) -> bool:
        return not self._settled and self.wanted > 1

    def open_up(self) -> None:
        """The file can be had in parts."""
        self.wanted = min(FIRST, self.most)

    def stay_at(self, count: int) -> None:
        """A connection was refused or has brought nothing: no more than this, and never more than before."""
        self.most = self.wanted = max(1, min(count, self.wanted))
        self._settled = True

    def look(self, now: float, done: int, running: int, quick: float) -> None:
        """Take note that `done` bytes have come until `now`, and that `running` connections are bringing more.

        `quick` is the number of seconds that a request takes before its first byte.
        """
        if not self.is_growing or running < self.wanted:
            self._since = None
            return
        if self._since is None:
            self._since, self._done = now, done
            return
        span, came = now - self._since, done - self._done
        if span < max(WINDOW, quick / 2) or (came < ENOUGH and span < LONGEST_WINDOW):
            return
        speed = came / span
        if speed < WORTH * self._speed:
            self._settled, self._doubted = self._doubted, True  # one window may have fallen into a pause of the line
            self._since = None
            if self._settled:
                self.wanted = self._before
            return
        self._speed, self._since, self._doubted, self._before = speed, None, False, self.wanted
        self._settled = self.wanted == self.most
        self.wanted = min(GROWTH * self.wanted, self.most)
