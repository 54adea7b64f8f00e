"""The wait that a server asks for: `Retry-After` in either of its forms (RFC 9110, 10.2.3), or the hub's own header."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Final

_SECONDS: Final = re.compile(r"[0-9]+(?:\.[0-9]*)?")
_RATE_LIMIT: Final = re.compile(r";\s*r=0\s*;\s*t=([0-9]+)")
_BETWEEN: Final = re.compile(r",(?!\s*[0-9]{1,2}[ -][A-Za-z]{3})")
"""A comma between two values; the one inside a date stands before its day of the month."""


def wait_asked_for(headers: Mapping[str, str]) -> float | None:
    """Read the seconds that a server wants its client to wait.

    A date counts from the server's own clock, which its `Date` shows: two clocks seldom agree, and one that is an hour
    off would make a wait of seconds look like one of an hour. Of several values the longest counts.

    The hub sends `RateLimit: "resolvers";r=0;t=42` (draft-ietf-httpapi-ratelimit-headers): no request for 42 seconds.

    Returns:
        Seconds; 0 for a past date, infinity if the number is too large; None without a readable value.
    """
    clock = _time(_BETWEEN.split(headers.get("Date", ""))[0])
    now = time.time() if clock is None else clock
    waits = [_wait(value.strip(), now) for value in _BETWEEN.split(headers.get("Retry-After", ""))]
    known = [wait for wait in waits if wait is not None]
    if known:
        return max(known)
    limited = _RATE_LIMIT.search(headers.get("RateLimit", ""))
    return float(limited[1]) if limited is not None else None


def _wait(value: str, now: float) -> float | None:
    if _SECONDS.fullmatch(value):
        return float(value)
    then = _time(value)
    return None if then is None else max(0.0, then - now)


def _time(date: str) -> float | None:
    """Seconds since 1970; None if `date` is not a date."""
    try:
        parsed = parsedate_to_datetime(date)
        return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=timezone.utc)).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):  # IndexError: the parser of old Pythons at odd texts
        return None
