"""The place that a source leads to: its address, its size and what is published of it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...catalogue.entry import HttpsSource, Source
from ...errors import TransientNetworkError
from ...sentences import say
from ..wire.urls import shown

SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Location:
    """Where the bytes are."""

    source: Source
    address: str = field(repr=False)
    """May be signed: never shown, never written down."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """For the origin of `address` alone."""
    size: int | None = None
    sha256: str | None = None
    """What the hub itself publishes."""
    in_parts: bool = False
    """The hub says that parts can be had (Accept-Ranges), so nothing has to be tried out."""
    expires: bool = False
    """The hub has signed the address: a refusal there means "ask the hub again"."""


def shown_source(source: Source) -> str:
    """Name `source` to people."""
    return shown(source.url) if isinstance(source, HttpsSource) else str(source)


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
