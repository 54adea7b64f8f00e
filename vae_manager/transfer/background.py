"""Blocking work in a thread of its own, so that a stop is heard at once although a read blocks for half a minute."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from ..errors import Cancelled
from ..sentences import say

T = TypeVar("T")

NETWORK_THREAD = "vae-manager network"
"""The name of every thread that asks the network."""
TICK = 0.1
"""Seconds after which a wait looks around."""


class _Work(threading.Thread, Generic[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__(name=NETWORK_THREAD, daemon=True)
        self._work = work
        self.ended = threading.Event()
        self.result: list[T] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result.append(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self.error = error
        finally:
            self.ended.set()


def awaited(work: Callable[[], T], stop: threading.Event) -> T:
    """Return what `work` returns; raise what it raises, and `Cancelled` as soon as `stop` is set.

    The thread that is left behind then ends with its time-out; it owns nothing but its connection.
    """
    thread = _Work(work)
    thread.start()
    while not thread.ended.wait(TICK):
        if stop.is_set():
            break
    if stop.is_set():
        raise Cancelled(say("Stopped."))
    if thread.error is not None:
        raise thread.error
    return thread.result[0]
