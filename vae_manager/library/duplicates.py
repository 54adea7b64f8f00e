"""Files that are one and the same VAE. Pure: it reads what the index knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..sentences import Sentence, say
from .index import IndexedFile

__all__ = ["by_hash", "by_weights", "twins"]

Group = tuple[IndexedFile, ...]


def by_weights(indexed: Iterable[IndexedFile]) -> tuple[Group, ...]:
    """Groups of files with the same weights, whatever their names, layouts and containers; in the order of `indexed`.

    A file whose fingerprint is not known is in no group.
    """
    return _groups(indexed, lambda file: file.fingerprints.weights if file.fingerprints is not None else None)


def by_hash(indexed: Iterable[IndexedFile]) -> tuple[Group, ...]:
    """Groups of files with the same bytes; in the order of `indexed`. A file without a known hash is in no group."""
    return _groups(indexed, lambda file: file.sha256)


def twins(of: IndexedFile, groups: Iterable[Group]) -> Sentence | None:
    """What is said of a file that is in one of the groups of `by_weights`."""
    for group in groups:
        if of in group:
            names = ", ".join(other.file.relative for other in group if other is not of)
            return say("same weights as {names}", names=names)
    return None


def _groups(indexed: Iterable[IndexedFile], key: Callable[[IndexedFile], str | None]) -> tuple[Group, ...]:
    found: dict[str, list[IndexedFile]] = {}
    for file in indexed:
        known = key(file)
        if known is not None:
            found.setdefault(known, []).append(file)
    return tuple(tuple(group) for group in found.values() if len({_on_disk(file) for file in group}) > 1)


def _on_disk(file: IndexedFile) -> Sequence[object]:
    """What two links to one file have in common: they take no room twice, so are no duplicates of each other."""
    identity = file.identity
    return (identity.inode, identity.size, identity.mtime_ns) if identity.inode else (identity.path,)
