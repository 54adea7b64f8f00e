"""Where bytes can be fetched right now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...catalogue.sources import Source

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
