"""Weights that are kept in memory, so that going back to a VAE reads no file."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

from ..files import Identity, identity_of
from .weights import Weights

logger = logging.getLogger(__name__)

LEAST_GB: Final = 0.8
MOST_GB: Final = 4.0


def default_bound(total: int, available: int) -> float:
    """Return a bound in GB for a machine of so many bytes of memory.

    An eighth of all, with room for two VAEs at least and for ten at most; never more than a quarter of what is free.
    """
    return round(min(max(total / 8e9, LEAST_GB), MOST_GB, available / 4e9), 1)


class WeightCache:
    """Sets of weights by the identity of their file, the longest unused going first. Safe to use from any thread.

    Whoever takes a set out to put it into a model owns it: a model's weights are written to by the WebUI. One that
    was in a model comes back through `put_back`, which keeps it only if nobody has written to it; that is looked at in
    the background, since every byte has to be read.
    """

    def __init__(self, bound: Callable[[], int]) -> None:
        """`bound` gives the most bytes that may be kept; it is asked each time."""
        self._bound = bound
        self._sets: OrderedDict[Identity, Weights] = OrderedDict()
        self._lock = threading.Lock()
        self._checks = ThreadPoolExecutor(1, "vae-manager check of weights")
        self._checking: dict[Identity, Future[None]] = {}

    @property
    def nbytes(self) -> int:
        """Bytes that are kept; without those that are still being looked at."""
        with self._lock:
            return sum(weights.nbytes for weights in self._sets.values())

    def get(self, identity: Identity) -> Weights | None:
        """The set of this file; it stays here, so it may not be written to."""
        self.wait(identity)
        with self._lock:
            weights = self._sets.get(identity)
            if weights is not None:
                self._sets.move_to_end(identity)
            return weights

    def at(self, path: str) -> Identity | None:
        """The newest identity under which a set from `path` is kept: for a file that is no longer there."""
        self.wait()
        with self._lock:
            return next((identity for identity in reversed(self._sets) if identity.path == path), None)

    def take(self, identity: Identity) -> None:
        """Forget the set of this file: it belongs to a model now."""
        with self._lock:
            self._sets.pop(identity, None)

    def put(self, weights: Weights) -> None:
        """Keep a set that nobody else writes to, if there is room for it at all."""
        with self._lock:
            self._sets[weights.identity] = weights
            self._sets.move_to_end(weights.identity)
        self.shrink()

    def put_back(self, weights: Weights) -> None:
        """Keep a set that was in a model, once it is known that nobody has written to it there."""
        if weights.nbytes > self._bound():
            return

        def check() -> None:
            try:
                if weights.untouched():
                    self.put(weights)
            except RuntimeError as error:  # of torch: no memory left, or a GPU that is gone
                logger.warning("The weights of %s are not kept: %s", weights.identity.path, error)

        with self._lock:
            self._checking = {identity: check for identity, check in self._checking.items() if not check.done()}
            self._checking[weights.identity] = self._checks.submit(check)

    def wait(self, identity: Identity | None = None) -> None:
        """Wait until the set of this file (None: any) has been looked at."""
        with self._lock:
            checks = [check for wanted, check in self._checking.items() if identity in (None, wanted)]
        wait(checks)

    def shrink(self) -> None:
        """Drop sets whose file is another one now, then the longest unused, until the bound is kept."""
        with self._lock:
            for identity in list(self._sets):
                now = identity_of(Path(identity.path))
                if now is not None and now != identity:  # a file that is gone may be chosen still: it is in use
                    del self._sets[identity]
            left = sum(weights.nbytes for weights in self._sets.values())
            while self._sets and left > self._bound():
                left -= self._sets.popitem(last=False)[1].nbytes

    def forget(self, path: str) -> None:
        """Drop what was read from `path`: the file has been deleted, and nobody has it chosen."""
        self.wait()
        with self._lock:
            for identity in [identity for identity in self._sets if identity.path == path]:
                del self._sets[identity]

    def clear(self) -> None:
        self.wait()
        with self._lock:
            self._sets.clear()
