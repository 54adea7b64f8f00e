"""Blocking work in a thread of its own, so that a stop is heard at once although a read blocks for half a minute."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..errors import Cancelled
from ..sentences import say

T = TypeVar("T")

TICK = 0.1
"""Seconds after which a wait looks around."""
AHEAD = 32
"""Items that may wait to be taken."""


@dataclass(frozen=True)
class _Item(Generic[T]):
    value: T


@dataclass(frozen=True)
class _End:
    error: BaseException | None = None


def pumped(produce: Callable[[], Generator[T, None, None]], stop: threading.Event) -> Generator[T | None, None, None]:
    """Yield what `produce` yields, and None at each tick without anything.

    Raises what it raises, and `Cancelled` as soon as `stop` is set. The thread that is left behind then ends with its
    next item or time-out; it owns nothing but its connection.
    """
    box: queue.Queue[_Item[T] | _End] = queue.Queue(AHEAD)
    gone = threading.Event()
    threading.Thread(target=_run, args=(produce, box, gone), name="vae-manager network", daemon=True).start()
    try:
        while True:
            if stop.is_set():
                raise Cancelled(say("Stopped."))
            try:
                item = box.get(timeout=TICK)
            except queue.Empty:
                yield None
                continue
            if isinstance(item, _Item):
                yield item.value
            elif item.error is not None:
                raise item.error
            else:
                return
    finally:
        gone.set()


def awaited(work: Callable[[], T], stop: threading.Event) -> T:
    """Return what `work` returns; raise `Cancelled` as soon as `stop` is set."""

    def once() -> Generator[_Item[T], None, None]:
        yield _Item(work())

    with closing(pumped(once, stop)) as items:
        return next(item for item in items if item is not None).value


def _run(
    produce: Callable[[], Generator[T, None, None]], box: queue.Queue[_Item[T] | _End], gone: threading.Event
) -> None:
    end = _End()
    try:
        with closing(produce()) as items:
            for item in items:
                if not _put(box, _Item(item), gone):
                    return
    except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
        end = _End(error)
    _put(box, end, gone)


def _put(box: queue.Queue[_Item[T] | _End], item: _Item[T] | _End, gone: threading.Event) -> bool:
    while not gone.is_set():
        try:
            box.put(item, timeout=TICK)
        except queue.Full:
            continue
        return True
    return False
