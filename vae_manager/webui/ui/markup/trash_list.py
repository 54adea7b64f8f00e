"""The trash as a place: what was deleted, when and from where, with the way back and the way out."""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING

from ....sentences import megabytes, say
from ...words import Words, plain
from ..library_facts import Library
from .parts import button, paragraph

if TYPE_CHECKING:
    from ....library.trash import Removed

__all__ = ["trash"]


def trash(library: Library, words: Words) -> str:
    """The folded list; empty for those who cannot change files."""
    if library.change_refused is not None:
        return ""
    count = len(library.removed)
    title = say("Trash ({count})", count=count) if count else say("Trash")
    inner = _hint(library, words) + (_list(library, words) if count else "")
    return f'<details class="vm-more" data-vae-key="trash"><summary>{escape(words(title))}</summary>{inner}</details>'


def _hint(library: Library, words: Words) -> str:
    if library.has_system_trash:
        text = say("Deleted files go to the system's trash: restore them there. What is listed here is elsewhere.")
        if not library.removed:
            text = say("Deleted files go to the system's trash: restore them there.")
    elif library.removed:
        return ""
    else:
        text = say("Nothing is in the trash.")
    return paragraph(f'<span class="vm-hint">{escape(words(text))}</span>')


def _list(library: Library, words: Words) -> str:
    rows = "".join(_row(gone, size, library, words) for gone, size in library.removed)
    size = megabytes(sum(size for _, size in library.removed))
    label = words(say("Empty the trash · {size}", size=size))
    empty = button(label, {"do": "empty-trash", "sure": False}, "empty-trash")
    return (
        f'<ul class="vm-rows">{rows}</ul>'
        f'<div data-vae-anchor="empty-trash"><div class="vm-do vm-acts">{empty}</div></div>'
    )


def _row(gone: Removed, size: int, library: Library, words: Words) -> str:
    entry = gone.place.name if gone.place is not None else ""
    name, when = plain(gone.file.name), time.strftime("%Y-%m-%d %H:%M", time.localtime(gone.removed_at))
    folder = plain(str(gone.file.parent) if library.shows_paths else gone.file.parent.name)
    where = words(say("from {folder}", folder=folder) if gone.is_noted else say("its old folder is not known"))
    label = words(say("Restore"))
    action: dict[str, object] = {"do": "restore-file", "entry": entry, "name": ""}
    restore = button(label, action, f"restore {entry}", named=f"{label} — {name}")
    return (
        f'<li class="vm-row vm-removed" data-vae-removed="{escape(entry)}"><div class="vm-what"><strong><bdi>'
        f"{escape(name)}</bdi></strong><span>{escape(where)}</span></div>"
        f'<div class="vm-facts">{megabytes(size)} · {when}</div><div class="vm-do">{restore}</div></li>'
    )
