"""The pictures that a person has dropped for a trial, in memory until the next ones are dropped."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from ..errors import RefusedError
from ..messages import msg
from .picture_folder import Sample, sample_of_bytes

__all__ = ["PictureBasket"]

MAX_PICTURES: Final = 200
MAX_BYTES: Final = 512_000_000


class PictureBasket:
    """Files by name and bytes, within bounds. Safe to use from any thread."""

    def __init__(self, most: int = MAX_PICTURES, most_bytes: int = MAX_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._lock = threading.Lock()
        self._kept: dict[bytes, str] = {}
        self._batch = ""

    def add(self, batch: str, name: str, content: bytes) -> int:
        """Add a file; return how many are there. A new `batch` empties the basket first.

        Raises RefusedError above the bounds.
        """
        with self._lock:
            if batch != self._batch:
                self._kept.clear()
                self._batch = batch
            held = sum(map(len, self._kept))
            if content not in self._kept and (len(self._kept) >= self._most or held + len(content) > self._most_bytes):
                raise RefusedError(
                    msg(
                        "{count} pictures are the most that can be dropped. Name a folder for more.",
                        code="basket-full",
                        count=len(self._kept),
                    )
                )
            self._kept[content] = name
            return len(self._kept)

    def samples(self, batch: str | None = None) -> Sequence[Sample]:
        """Return the pictures, in their order; none if another `batch` is there than the named one."""
        with self._lock:
            if batch not in (None, self._batch):
                return []
            return [sample_of_bytes(name, content) for content, name in self._kept.items()]

    def __len__(self) -> int:
        with self._lock:
            return len(self._kept)
