"""Partial files that were left behind."""

from __future__ import annotations

import threading
from pathlib import Path

from ...errors import RefusedError
from ...sentences import say
from ..order import Unfinished
from .disk import disk_error
from .file import Partial
from .lock import held


def unfinished(folder: Path) -> tuple[Unfinished, ...]:
    """Return the partial files in `folder` that can go on, those included that are being written right now."""
    found = []
    for path in sorted(folder.glob(".*.vae-manager.journal")):
        partial = Partial(path.with_suffix(""))
        journal = partial.state()
        if journal is not None and partial.path.exists():
            found.append(Unfinished(journal.order, journal.done, journal.total, partial.path))
    return tuple(found)


def discard(unfinished: Unfinished) -> None:
    """Remove a partial file and what belongs to it."""

    def in_use() -> None:
        raise RefusedError(
            say("{name} is being fetched right now. Cancel that first.", name=unfinished.order.file_name)
        )

    partial = Partial(unfinished.path.with_suffix(""))
    try:
        with held(partial, in_use, threading.Event()):
            partial.throw_away()
    except OSError as error:
        raise disk_error(error, unfinished.path.parent) from error
