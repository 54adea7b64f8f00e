"""Where the bytes are, as long as that lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ...errors import TransientNetworkError
from ...sentences import say
from .locate import shown_source
from .location import Location


class Whereabouts:
    """Where the bytes are, asked for again when a signed address has expired: once for all connections."""

    def __init__(self, location: Location, again: Callable[[], Location]) -> None:
        self._location = location
        self._again = again
        self._lock = threading.Lock()

    @property
    def now(self) -> Location:
        return self._location

    def after(self, refused: Location) -> Location:
        """Return a location that is newer than the `refused` one."""
        with self._lock:
            if self._location is refused:
                new = self._again()
                if (new.sha256, new.size) != (refused.sha256, refused.size):
                    raise TransientNetworkError(
                        say("{source} has changed in between.", source=shown_source(new.source))
                    )
                self._location = new
            return self._location
