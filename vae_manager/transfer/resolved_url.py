"""The resolved address of the bytes that a source means, and its renewal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ..catalogue.entry import HttpsSource, Source
from ..errors import TransientNetworkError
from ..messages import msg
from .urls import shown

__all__ = ["ListedFile", "ResolvedUrl", "SignedUrl", "shown_source"]


@dataclass(frozen=True)
class ResolvedUrl:
    """The resolved address of a source's bytes."""

    source: Source
    address: str = field(repr=False)
    """May be signed: never shown or stored."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """For the origin of `address` alone."""
    size: int | None = None
    sha256: str | None = None
    """The hash that the hub itself publishes."""
    in_parts: bool = False
    """The hub announces ranges (Accept-Ranges), so no request has to test that."""
    expires: bool = False
    """The hub has signed the address: after a refusal there, the source is resolved again."""
    is_hash_known: bool = False
    """The bytes will be compared with a hash, so a compressed answer may be unpacked."""
    file_name: str | None = None
    """The name that the site gives the file, unchecked; None if the source contains it."""


@dataclass(frozen=True)
class ListedFile:
    """A file among several that an address means."""

    source: Source
    size: int | None = None
    """Bytes, as the site lists them, which may be rounded."""


def shown_source(source: Source) -> str:
    """Return the name of `source` for display."""
    return shown(source.url) if isinstance(source, HttpsSource) else str(source)


class SignedUrl:
    """The resolved address, renewed once for all connections when a signed address has expired."""

    def __init__(self, location: ResolvedUrl, again: Callable[[], ResolvedUrl]) -> None:
        self._location = location
        self._again = again
        self._lock = threading.Lock()

    @property
    def now(self) -> ResolvedUrl:
        """The address to try first; if it is refused as expired, `after` returns a newer one."""
        return self._location

    def after(self, refused: ResolvedUrl) -> ResolvedUrl:
        """Return an address that is newer than the `refused` one."""
        with self._lock:
            if self._location is refused:
                new = self._again()
                if (new.sha256, new.size) != (refused.sha256, refused.size):
                    raise TransientNetworkError(
                        msg("{source} has changed in between.", source=shown_source(new.source))
                    )
                self._location = new
            return self._location
