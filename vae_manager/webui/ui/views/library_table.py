"""Views of the library: a row a file, and the trash."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from markupsafe import Markup

from ....library.verification import Outcome
from ....messages import Message, megabytes, msg
from ....records.verdict import obstacle_of
from ...translation import Translator
from .. import actions
from ..library_view_model import Library, LibraryRow
from ..rendering import moment, render
from ..vae_options import can_convert, can_use, family_label, needs_conversion, sorts_last
from .components import Button
from .labels import outcome_word, problem_word
from .status import activity_lines

if TYPE_CHECKING:
    from ....library.trash import Removed

__all__ = ["trash"]

_html = partial(render, "library_table.html")


WORST = 4


# -- rows ----------------------------------------------------------------------------------------------------------
def library_row(row: LibraryRow, library: Library, translate: Translator) -> Markup:
    """One row. Of `library` it takes what `Page` names as seen with it, and nothing else."""
    known, gravity = row.record, _gravity(row, library)
    below = str(row.path.relative_to(row.folder))  # all of it would find "vae" in each
    family, why = _family(row)
    kind, sign, state = _state(row, gravity)
    it = {
        "found": f"{below} {row.sha256 or ''}".lower(),
        "recognised": _recognised(row),
        "hash": row.hash_state.value,
        "family": family,
        "why": why,
        "layout": known.layout if known is not None and known.layout != "unknown" else "",
        "dtype": known.dtype or "" if known is not None else "",
        "size": megabytes(row.size),
        "gravity": gravity,
        "kind": kind,
        "sign": sign,
        "state": state,
        "buttons": _main_button(row, library),
        "can_compare": can_compare(row),
    }
    return _html("library_row", translate, it, row)


def _gravity(row: LibraryRow, library: Library) -> int:
    if row.record is None:
        return 1
    if row.broken is not None:
        if is_replaced(row):
            return 1
        return 3 if needs_conversion(row.answer) else WORST
    return 2 if row.name_clashes or sorts_last(row.answer) else 0


def _recognised(row: LibraryRow) -> Message | str:
    if row.entry is not None:
        return row.entry.name if row.published else msg("weights of {vae}", vae=row.entry.name)
    return msg("same weights as {file}", file=row.twins[0]) if row.twins else ""


def _family(row: LibraryRow) -> tuple[str, Message | str | None]:
    """The label of its family, and where that comes from, or what is known instead."""
    record = row.record
    if record is None:
        return "", None
    if record.family.family is None:
        count = record.latent_channels
        return "", msg("{count} channels", count=count) if count is not None else ""
    label = family_label(record.family.family)
    if record.is_family_own:
        return label, msg("set by you")
    if record.family.why == "yours by weights":
        return label, msg("set by you, for a twin")
    return label, None if record.family.sure else msg("guess")


def _state(row: LibraryRow, gravity: int) -> tuple[str, str, Message]:
    """A kind, a sign and a word."""
    answer = row.answer
    if answer is None:
        return "", "…", msg("not scanned yet")
    if row.broken is not None:
        told = _problem(row)
        if is_replaced(row):
            return "fine", "✓", msg("converted: {file}", file=row.converted.name if row.converted else "")
    elif row.name_clashes:
        told = msg("duplicate name")
    elif answer.reason is not None:
        told = problem_word(answer.reason.code)
    else:
        return "fine", "✓", msg("can be used")
    return ("broken", "✗", told) if gravity == WORST else ("look", "!", told)


def _problem(row: LibraryRow) -> Message:
    answer, verification = row.answer, row.verification
    obstacle = obstacle_of(answer) if answer is not None else None
    reason = obstacle if obstacle is not None or answer is None else answer.reason
    if reason is None:
        return outcome_word(verification.outcome) if verification is not None else msg("cannot be loaded")
    is_convertible = obstacle is not None and reason.code != "checkpoint"
    return msg("needs converting") if is_convertible else problem_word(reason.code)


def _main_button(row: LibraryRow, library: Library) -> list[Button]:
    """The one act that is nearest."""
    key = f"row use {row.key}"
    if may_use(row, library):
        return [Button(msg("Use"), actions.UseFile(row.key).as_dict(), key, row.name)]
    if is_replaced(row):
        return use_converted(row, library, key)
    if may_convert(row, library):
        return [Button(msg("Convert"), actions.ConvertFile(row.key, use=False).as_dict(), key, row.name)]
    return []


def can_compare(row: LibraryRow) -> bool:
    return row.word is not None and not _is_damaged(row) and can_use(row.answer)


def is_replaced(row: LibraryRow) -> bool:
    """The WebUI cannot load it, and a conversion of it is there."""
    return row.converted is not None and needs_conversion(row.answer)


def use_converted(row: LibraryRow, library: Library, key: str, *, primary: bool = False) -> list[Button]:
    """The way from a file to what was made from it."""
    made = row.converted
    if made is None or made.word is None or library.choose_refused is not None:
        return []
    return [Button(msg("Use {file}", file=made.name), actions.UseFile(made.key).as_dict(), key, primary=primary)]


def _is_damaged(row: LibraryRow) -> bool:
    return row.verification is not None and row.verification.outcome is Outcome.DAMAGED


def may_use(row: LibraryRow, library: Library) -> bool:
    can = can_use(row.answer) and not _is_damaged(row)
    is_new = not row.in_use or row.was_changed
    return can and row.word is not None and is_new and library.choose_refused is None


def may_convert(row: LibraryRow, library: Library) -> bool:
    return can_convert(row.answer) and library.change_refused is None


# -- above the table -----------------------------------------------------------------------------------------------
def library_bar(library: Library, translate: Translator) -> Markup:
    """How much there is, the acts on all of it, what goes on, and what was done last."""
    activity = activity_lines(library.activity, translate)
    return _html("library_bar", translate, _summary(library), _tools(library), activity)


def _summary(library: Library) -> list[Message | str]:
    """ "12 files · 4.0 GB · 2 with problems · 1 twice"; empty without any."""
    count = len(library.rows)
    if not count:
        return []
    parts: list[Message | str] = [
        msg("1 file") if count == 1 else msg("{count} files", count=count),
        megabytes(library.table.size),
    ]
    if library.table.with_problems:
        parts.append(msg("{count} with problems", count=library.table.with_problems))
    if library.doubled:
        parts.append(msg("{count} more than once", count=library.doubled))
    return parts


def _tools(library: Library) -> list[Button]:
    tools = [
        Button(msg("Verify all"), actions.VerifyAll().as_dict(), "verify-all"),
        Button(msg("Find duplicates"), actions.FindDuplicates().as_dict(), "find-duplicates"),
        Button(msg("Refresh"), actions.RefreshFiles().as_dict(), "refresh-files"),
    ]
    return tools if library.check_refused is None else tools[-1:]


def trash(library: Library, translate: Translator) -> Markup:
    """The folded list; empty for those who cannot change files."""
    if library.change_refused is not None:
        return Markup()
    size = megabytes(sum(size for _, size in library.removed))
    label = msg("Empty the trash · {size}", size=size)
    told = None if library.removed else msg("Nothing is in the trash.")
    if library.has_system_trash:
        told = msg("Deleted files go to the system's trash: restore them there.")
        if library.removed:
            told = msg("Deleted files go to the system's trash: restore them there. What is listed here is elsewhere.")
    return _html(
        "trash",
        translate,
        told=told,
        removed=[_removed(gone, size, library) for gone, size in library.removed],
        empty=Button(label, actions.EmptyTrash(sure=False).as_dict(), "empty-trash"),
    )


def _removed(gone: Removed, size: int, library: Library) -> Mapping[str, object]:
    entry, name = gone.place.name if gone.place is not None else "", gone.file.name
    folder = str(gone.file.parent) if library.shows_paths else gone.file.parent.name
    return {
        "entry": entry,
        "name": name,
        "where": msg("from {folder}", folder=folder) if gone.is_noted else msg("its old folder is not known"),
        "size": megabytes(size),
        "when": moment(gone.removed_at),
        "restore": Button(msg("Restore"), actions.RestoreFile(entry, "").as_dict(), f"restore {entry}", name),
    }
