"""Files that are one and the same VAE. Pure: it reads what the index knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..files import FileRecord

__all__ = ["by_hash", "by_weights"]

Group = tuple[FileRecord, ...]


def by_weights(records: Iterable[FileRecord]) -> tuple[Group, ...]:
    """Groups of files with the same weights, whatever their names, layouts and containers; in the order of `records`.

    A file whose fingerprint is not known is in no group.
    """
    return _groups(records, lambda file: file.weights)


def by_hash(records: Iterable[FileRecord]) -> tuple[Group, ...]:
    """Groups of files with the same bytes; in the order of `records`. A file without a known hash is in no group."""
    return _groups(records, lambda file: file.sha256)


def _groups(records: Iterable[FileRecord], key: Callable[[FileRecord], str | None]) -> tuple[Group, ...]:
    found: dict[str, list[FileRecord]] = {}
    for file in records:
        known = key(file)
        if known is not None:
            found.setdefault(known, []).append(file)
    return tuple(tuple(group) for group in found.values() if len({_on_disk(file) for file in group}) > 1)


def _on_disk(file: FileRecord) -> Sequence[object]:
    """What two links to one file have in common: they take no room twice, so are no duplicates of each other."""
    identity = file.identity
    if identity is None or not identity.inode:
        return (str(file.path),)
    return identity.inode, identity.size, identity.mtime_ns
