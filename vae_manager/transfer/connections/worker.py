"""One connection: its address, its rate and the bytes that it brings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import ExpiredAddressError, TransientNetworkError
from ...sentences import say
from ..retry import NETWORK_THREAD
from ..sources.location import shown_source
from .range_requests import Body, open_at
from .segments import Share

if TYPE_CHECKING:
    from .scheduler import Crew


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


READ = 1 << 18
"""Bytes that are taken from a connection at once, at most."""


class Connection(threading.Thread):
    """A thread that brings bytes until there are none left to bring, or something fails."""

    def __init__(self, crew: Crew, share: Share) -> None:
        super().__init__(name=NETWORK_THREAD, daemon=True)
        self.brought = 0
        self._crew = crew
        self._share: Share | None = share
        self._body: Body | None = None

    def run(self) -> None:
        error: BaseException | None = None
        try:
            while self._share is not None and not self._crew.gone.is_set():
                self._bring(self._share)
                self._share = self._crew.next_share(self._share)
        except BaseException as failure:  # noqa: BLE001 - handed to the thread that waits
            error = failure
        self._crew.ended(self, self._share, error)

    def abort(self) -> None:
        """End what this connection waits for, from another thread."""
        if (body := self._body) is not None:
            body.abort()

    def _bring(self, share: Share) -> None:
        limiter, asked = self._crew.limiter, time.monotonic()
        self._body = body = self._crew.accept(share, self._open(share))
        share.began = time.monotonic()
        self._crew.answered(share.began - asked)
        try:
            wanted = self._hand_on(share, body.head)
            while wanted and share.left != 0:
                data = body.read(limiter.portion(READ if share.left is None else min(READ, share.left)))
                if not data:
                    break
                wanted = self._hand_on(share, data)
                limiter.wait(len(data), self._crew.gone)
        finally:
            self._body = None
            body.close()
        if wanted and share.left and (body.end is None or share.at < body.end):
            raise TransientNetworkError(
                say("{source} broke off too early.", source=shown_source(self._crew.where.now.source))
            )
        if share.left is None:
            self._crew.came_to_its_end(share)

    def _hand_on(self, share: Share, data: bytes) -> bool:
        self.brought += len(data)
        return self._crew.arrived(share, data)

    def _open(self, share: Share) -> Body | None:
        crew = self._crew
        location = crew.where.now
        try:
            return open_at(crew.wire, location, share.at, share.end, crew.etag)
        except ExpiredAddressError:
            return open_at(crew.wire, crew.where.after(location), share.at, share.end, crew.etag)
