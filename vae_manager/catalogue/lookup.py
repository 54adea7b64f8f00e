"""The catalogue in memory: find an entry by id, by hash, or by what can be offered."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import NotFoundError
from ..sentences import Sentence, datum, say
from .entry import Entry

__all__ = ["Catalogue", "CatalogueProblem", "not_offered"]


@dataclass(frozen=True)
class CatalogueProblem:
    """A line of a catalogue file that could not be used. The rest of the file was."""

    file: Path
    line: int
    """1 for the first."""
    sentence: Sentence

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.sentence}"


def not_offered(entry: Entry) -> Sentence:
    """Why `entry` is only recognised."""
    return say("{vae} is not offered: {reason}", vae=entry.name, reason=datum(entry.not_offered_because or ""))


@dataclass(frozen=True)
class Catalogue:
    """All entries: the built-in ones, then the user's, each in the order of its file."""

    entries: tuple[Entry, ...]
    problems: tuple[CatalogueProblem, ...] = ()

    def entry(self, id: str) -> Entry:
        """The entry of this id. Raises `NotFoundError`, which names the nearest ids."""
        found = self._by_id.get(id)
        if found is not None:
            return found
        near = self._nearest(id)
        if near:
            raise NotFoundError(
                say("The catalogue has no entry “{id}”. Did you mean {names}?", id=id, names=", ".join(near))
            )
        raise NotFoundError(say("The catalogue has no entry “{id}”.", id=id))

    def recognise(self, sha256: str) -> Entry | None:
        """The entry whose bytes have this SHA-256 (hexadecimal); a built-in one before a user's."""
        return self._by_hash.get(sha256.lower())

    def offered(self, family: str | None = None) -> tuple[Entry, ...]:
        """What can be fetched, best advice first; `family` limits it to one latent space."""
        return tuple(entry for entry in self.entries if entry.offered and family in (None, entry.family))

    @cached_property
    def _by_id(self) -> Mapping[str, Entry]:
        return {entry.id: entry for entry in self.entries}

    @cached_property
    def _by_hash(self) -> Mapping[str, Entry]:
        return {entry.sha256: entry for entry in reversed(self.entries)}  # the first of two wins

    def _nearest(self, asked: str) -> list[str]:
        """At most three ids, nearest first; a person may have typed a name or a file name instead of an id."""
        ids: dict[str, str] = {}
        for entry in self.entries:
            for known in (entry.id, entry.name, entry.file_name, *entry.aliases):
                ids.setdefault(known.lower(), entry.id)
        near = difflib.get_close_matches(asked.lower(), ids, n=6, cutoff=0.6)
        return list(dict.fromkeys(ids[known] for known in near))[:3]
