"""Who brings what: the missing bytes of one file, divided among its connections.

Shares are handed out in the file's order and become smaller towards its end, so that the proof, which follows the
front, has little left to do when the last byte arrives, and all connections end at about the same time. When nothing
is left to hand out, a free connection takes over half of what the slowest one still has before it.

Plain data, without a lock: whoever uses it from several threads holds one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..partial.spans import Spans

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
