"""Imitates modules/fifo_lock.py: waiting threads get the lock in the order they came. It is not reentrant."""

from __future__ import annotations

import threading
from collections import deque


class FIFOLock:
    """Each waiting thread has a gate of its own, opened when its turn has come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inner_lock = threading.Lock()
        self._pending_threads: deque[threading.Event] = deque()

    def acquire(self, blocking: bool = True) -> bool:
        with self._inner_lock:
            if self._lock.acquire(blocking=False):
                return True
            if not blocking:
                return False
            gate = threading.Event()
            self._pending_threads.append(gate)
        gate.wait()
        return self._lock.acquire()

    def release(self) -> None:
        with self._inner_lock:
            if self._pending_threads:
                self._pending_threads.popleft().set()
            self._lock.release()

    __enter__ = acquire

    def __exit__(self, t: object, v: object, tb: object) -> None:
        self.release()
