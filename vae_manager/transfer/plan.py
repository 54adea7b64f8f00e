"""The decision, apart from its effect: what to do, given what is there."""

from __future__ import annotations

from dataclasses import dataclass

from ..catalogue.sources import Source
from .partial.journal import Journal


@dataclass(frozen=True)
class AlreadyThere:
    """The wanted bytes bear the wanted name."""


@dataclass(frozen=True)
class Refuse:
    """Other bytes bear that name: they are never overwritten."""


@dataclass(frozen=True)
class Resume:
    """Go on with the bytes that are kept."""

    etag: str | None
    """What the same source said that the kept bytes are of; None where they came from another one."""


@dataclass(frozen=True)
class Start:
    """Fetch from the first byte on."""


Plan = AlreadyThere | Refuse | Resume | Start


def decide(
    *,
    target: str | None,
    expected: str | None,
    journal: Journal | None = None,
    source: Source | None = None,
    size: int | None = None,
) -> Plan:
    """Decide, from the hash of what bears the final name (None: nothing does), the expected hash, and what is kept.

    >>> decide(target=None, expected="aa")
    Start()
    >>> decide(target="aa", expected="aa")
    AlreadyThere()
    >>> decide(target="bb", expected="aa"), decide(target="bb", expected=None)
    (Refuse(), Refuse())
    """
    if target is not None:
        return AlreadyThere() if target == expected else Refuse()
    if journal is None or not journal.segments or (size is not None and journal.segments[-1][1] > size):
        return Start()
    etag = journal.etag if journal.source == source else None
    if expected is not None:
        return Resume(etag) if journal.sha256 == expected else Start()
    return Resume(etag) if etag else Start()
