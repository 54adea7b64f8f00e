"""Deadlines of requests, and the sockets that are shut down at their end.

A time-out of a socket begins anew with each byte, so a server that sends one now and then would hold a thread for as
long as it likes, also within a status line, a header or a TLS handshake. A deadline covers all of it.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar
from weakref import WeakSet

from ..errors import Cancelled, TransientNetworkError
from ..messages import msg
from .request import NETWORK_THREAD, POLL_SECONDS

__all__ = ["Deadline", "Sockets", "run_cancellable", "sockets_of_thread", "using"]

Result = TypeVar("Result")

_of_thread: Final = threading.local()


class Sockets:
    """Open sockets, which any thread can shut down. Those that are opened afterwards are shut down at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: WeakSet[Any] = WeakSet()
        self._is_down = False

    def add(self, one: Any) -> None:
        """Add a socket, or the object that urllib3 has in its place."""
        with self._lock:
            self._open.add(one)
            is_down = self._is_down
        if is_down:
            _shut_down(one)

    def discard(self, one: Any) -> None:
        """Forget a socket that now serves others."""
        with self._lock:
            self._open.discard(one)

    def shut_down(self) -> None:
        """End each blocking read and write of these sockets, now and later; their threads get errors."""
        with self._lock:
            self._is_down = True
            found = list(self._open)
        for one in found:
            _shut_down(one)


def _shut_down(one: Any) -> None:
    while (inner := getattr(one, "socket", None)) is not None:  # TLS within TLS, pyOpenSSL
        one = inner
    with suppress(OSError, ValueError, TypeError):
        # The base class's own: SSLSocket's would take the TLS object away from the thread that reads.
        socket.socket.shutdown(one, socket.SHUT_RDWR)


class Deadline(Sockets):
    """The time by which an answer, over however many requests, has to be complete. It begins when it is made."""

    def __init__(self, seconds: float, name: str = "") -> None:
        """Begin; `name` is that of whatever is asked, until a request names its host."""
        super().__init__()
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self.name = name
        """The host that was asked last."""

    @property
    def is_over(self) -> bool:
        """True once the time is over."""
        return time.monotonic() >= self._end

    def error(self) -> TransientNetworkError:
        """Return the error for an answer that is not complete."""
        return TransientNetworkError(
            msg(
                "{host} did not finish its answer within {seconds} s. Try again later, or choose another source.",
                code="answer-too-slow",
                host=self.name,
                seconds=round(self._seconds, 1) if self._seconds < 1 else round(self._seconds),
            )
        )


@contextmanager
def using(*sockets: Sockets) -> Iterator[None]:
    """Add the sockets that this thread's requests use to `sockets`, in place of earlier ones."""
    before = sockets_of_thread()
    _of_thread.sockets = sockets
    try:
        yield
    finally:
        _of_thread.sockets = before


def sockets_of_thread() -> tuple[Sockets, ...]:
    """Return the collections for the sockets of this thread's requests."""
    found: tuple[Sockets, ...] = getattr(_of_thread, "sockets", ())
    return found


class _NetworkThread(threading.Thread):
    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(name=NETWORK_THREAD, daemon=True)
        self._work = work
        self.ended = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self.error = error
        finally:
            self.ended.set()


def run_cancellable(work: Callable[[], Result], stop: threading.Event, deadline: Deadline | None = None) -> Result:
    """Return the result of `work`; raise its error, `Cancelled` as soon as `stop` is set, and that of `deadline`.

    The sockets of `deadline` are shut down then, so that the abandoned thread ends too. Without one, or while a host's
    name is looked up, the thread ends with its time-out; it owns only its connection.
    """
    thread = _NetworkThread(work)
    thread.start()
    while not thread.ended.wait(POLL_SECONDS):
        if stop.is_set() or (deadline is not None and deadline.is_over):
            break
    has_ended = thread.ended.is_set()
    if deadline is not None and not has_ended:
        deadline.shut_down()
    if stop.is_set():
        raise Cancelled(msg("Stopped."))
    if deadline is not None and not has_ended:
        raise deadline.error()
    if thread.error is not None:
        raise thread.error
    result: Result = thread.result
    return result
