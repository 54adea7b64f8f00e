"""The hash of a file while it arrives: a thread follows the front, so that the proof is done with the last byte."""

from __future__ import annotations

import hashlib
import threading
import time
from io import FileIO

BLOCK = 1 << 22
"""Bytes that are hashed at once: many, since this thread waits for its turn after each."""
TICK = 0.1


class Proof:
    """SHA-256 of a growing file, read back from its start as far as it may be read."""

    def __init__(self, file: FileIO) -> None:
        """`file` stands at the first byte and is this object's own from now on."""
        self._file = file
        self._changed = threading.Condition()
        self._digest = hashlib.sha256()
        self._front = 0
        self._done = 0
        self._closed = False
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._follow, name="vae-manager proof", daemon=True)
        self._thread.start()

    @property
    def done(self) -> int:
        """How many bytes are hashed."""
        return self._done

    def advance(self, front: int) -> None:
        """The bytes up to `front` are there, and will not change any more."""
        with self._changed:
            self._front = front
            self._changed.notify_all()

    def result(self, timeout: float = TICK) -> str | None:
        """Return the hash of all bytes up to the front; None if it takes longer than `timeout` seconds."""
        until = time.monotonic() + timeout
        with self._changed:
            while self._done < self._front:
                if self._error is not None:
                    raise self._error
                if not self._changed.wait(max(0.0, until - time.monotonic())):
                    return None
            return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of the file, which Windows neither renames nor removes before."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _follow(self) -> None:
        buffer = memoryview(bytearray(BLOCK))
        with self._file:
            while (front := self._next_front()) is not None:
                try:
                    count = self._file.readinto(buffer[: min(BLOCK, front - self._done)])
                    if not count:
                        raise OSError("the partial file has become shorter")
                except OSError as error:
                    self._note(0, error)
                    return
                self._digest.update(buffer[:count])
                self._note(count, None)

    def _next_front(self) -> int | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._done < self._front)
            return None if self._closed else self._front

    def _note(self, count: int, error: OSError | None) -> None:
        with self._changed:
            self._done += count
            self._error = error
            self._changed.notify_all()
