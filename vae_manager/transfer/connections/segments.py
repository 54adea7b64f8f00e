"""How many connections a file is fetched over, and which part each of them brings."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..partial.resume_journal import Spans

LEAST = 2 << 20
"""Bytes of the smallest share: less is not worth a request of its own."""
USUAL, MOST = 4 << 20, 16 << 20
"""Bytes of a share where requests cost nothing, and of the largest: so far may the front lie behind each connection."""
UNKNOWN = 4 << 20
"""Bytes of the first share of a file whose size only the answer tells."""
GUESSED = 20_000_000
"""Bytes per second of a connection of which nothing is known yet."""
TELLING = 0.3
"""Seconds of bytes that tell how fast a connection is."""
SHORTEST = 0.01
"""Seconds that a share takes at least, as far as its speed goes."""
WORTH, WORTHWHILE = 4, 10
"""As many times as long as the wait for its first byte must a share take to be worth a request, and should it take."""
CRAWL = 8
"""A connection that is so many times slower than the fastest loses its whole share to one that is free."""


@dataclass(eq=False)
class Share:
    """What one connection is to bring: the bytes from `at` up to `end`."""

    at: int
    end: int | None
    """None: up to the end of the body, wherever that is."""
    began: float | None = None
    """When its first byte came, on the clock of whoever uses it."""
    start: int = field(init=False)

    def __post_init__(self) -> None:
        self.start = self.at

    @property
    def left(self) -> int | None:
        return None if self.end is None else self.end - self.at

    def speed(self, now: float) -> float | None:
        """Return bytes per second; None as long as that cannot be told."""
        if self.began is None or now - self.began < TELLING:
            return None
        return (self.at - self.start) / (now - self.began)


@dataclass
class Shares:
    """The missing bytes: those that wait to be handed out, and the shares that are out."""

    waiting: list[tuple[int, int]]
    out: list[Share] = field(default_factory=list)
    _latest: float = 0.0
    """The speed of the shares that were done last: beside it one that crawls shows, even when nothing else is out."""

    @classmethod
    def of(cls, missing: Spans) -> Shares:
        return cls(list(missing))

    def take(self, ways: int, now: float, quick: float = 0.0) -> Share | None:
        """Return a share for a connection of which there may be `ways`; None: there is nothing worth while.

        `quick` is the number of seconds that any request takes before its first byte: a share that takes less than a
        few times that is not worth a request.
        """
        speeds = [speed for share in self.out if (speed := share.speed(now)) is not None]
        fastest = max([*speeds, self._latest])
        share = self._next(ways, int(quick * (fastest or GUESSED)))
        if share is None and fastest and self.out:
            share = self._half_of_the_slowest(now, fastest, quick)
        if share is not None:
            self.out.append(share)
        return share

    def give_back(self, share: Share, now: float) -> None:
        """Have what is left of `share` handed out again."""
        if share not in self.out:
            return
        self.out.remove(share)
        if share.began is not None and share.at > share.start:
            speed = (share.at - share.start) / max(now - share.began, SHORTEST)
            self._latest = max(speed, self._latest / 2)  # one that crawled does not become the measure
        if share.end is not None and share.at < share.end:
            self.waiting.append((share.at, share.end))
            self.waiting.sort()

    def _next(self, ways: int, lost: int) -> Share | None:
        """Cut the next share off; `lost` is the number of bytes that could come while a request waits."""
        if not self.waiting:
            return None
        start, end = self.waiting[0]
        fair = sum(stop - begin for begin, stop in self.waiting) // ways
        least = max(LEAST, WORTH * lost)
        size = max(least, min(fair, MOST, max(USUAL, WORTHWHILE * lost)))
        if end - start < size + least:
            del self.waiting[0]
            return Share(start, end)
        self.waiting[0] = (start + size, end)
        return Share(start, start + size)

    def _half_of_the_slowest(self, now: float, usual: float, quick: float) -> Share | None:
        def seconds_left(share: Share) -> float:
            speed = share.speed(now)
            return (share.left or 0) / max(usual if speed is None else speed, 1.0)

        slowest = max(self.out, key=seconds_left)
        left, speed, end = slowest.left or 0, slowest.speed(now), slowest.end
        crawls = speed is not None and speed * CRAWL < usual
        if end is None or not left or not (crawls or (left >= LEAST and seconds_left(slowest) > WORTH * quick)):
            return None
        slowest.end = slowest.at if crawls else slowest.at + left // 2
        return Share(slowest.end, end)


FIRST = 4
GROWTH = 4
"""As many times the connections are tried next: one step from the first number to the usual most."""
WINDOW = 0.03
"""Seconds at least over which the speed of so many connections is taken."""
LONGEST_WINDOW = 1.0
ENOUGH = 2_000_000
"""Bytes after which a window may end before it is longest."""
WORTH_IT = 1.1
"""As many times the speed of before must more connections bring to be kept."""


@dataclass
class Ramp:
    """The number of connections that are wanted, from what came with fewer.

    One connection, until its answer tells that the file can be had in parts; then `FIRST`; then `GROWTH` times as many
    each time, up to `most`, as long as that brings `WORTH_IT` times the bytes per second; else as many as before.
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
        if speed < WORTH_IT * self._speed:
            self._settled, self._doubted = self._doubted, True  # one window may have fallen into a pause of the line
            self._since = None
            if self._settled:
                self.wanted = self._before
            return
        self._speed, self._since, self._doubted, self._before = speed, None, False, self.wanted
        self._settled = self.wanted == self.most
        self.wanted = min(GROWTH * self.wanted, self.most)
