"""HTML of the library: a row a file, and the trash."""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING

from ....library.verification import Outcome
from ....messages import Message, megabytes, msg
from ....records.verdict import obstacle_of
from ...translation import Translator, plain
from ..library_view_model import HashState, Library, LibraryRow
from ..vae_options import can_convert, can_use, family_label, needs_conversion, sorts_last
from .components import badge, button, copy_button, file_name, paragraph, preview, with_buttons
from .labels import outcome_word, problem_word
from .status import activity_lines

if TYPE_CHECKING:
    from ....library.trash import Removed

__all__ = ["trash"]


def library_frame(translate: Translator) -> str:
    """The table without rows; the browser fills, filters and sorts it. Built once for each page."""
    columns = {
        "name": msg("Name"),
        "family": msg("Family"),
        "layout": msg("Layout"),
        "dtype": msg("Precision"),
        "size": msg("Size"),
        "state": msg("State"),
    }
    head = "".join(_column(name, text, translate) for name, text in columns.items())
    actions = escape(translate(msg("Actions")))
    label, hint = escape(translate(msg("Filter"))), escape(translate(msg("name, family, layout, hash …")))
    shown = escape(translate(msg("{shown} of {count} shown", shown="{shown}", count="{count}")))
    nothing = escape(translate(msg("No file matches the filter.")))
    return (
        f'<div class="vm-filter"><label><span>{label}</span><input type="search" data-vae-filter '
        f'placeholder="{hint}" autocomplete="off" spellcheck="false"></label>'
        f'<span class="vm-hint" role="status" data-vae-shown="{shown}"></span></div>'
        f'<div class="vm-files" tabindex="-1"><table class="vm-library"><thead><tr>{head}'
        f'<th scope="col"><span class="vm-unseen">{actions}</span></th></tr></thead>'
        f'<tbody data-vae-rows></tbody></table><p class="vm-hint" data-vae-nothing hidden>{nothing}</p></div>'
    )


def _column(name: str, text: Message, translate: Translator) -> str:
    first = "ascending" if name == "name" else "none"
    return (
        f'<th scope="col" class="vm-c-{name}" aria-sort="{first}"><button type="button" data-vae-sort="{name}">'
        f"{escape(translate(text))}</button></th>"
    )


WORST = 4
HASH_SHOWN = 10
"""Digits, as the WebUI shows of a hash."""


# -- rows ----------------------------------------------------------------------------------------------------------
def library_row(row: LibraryRow, library: Library, translate: Translator) -> str:
    """One row. Of `library` it takes what `Page` names as seen with it, and nothing else."""
    known = row.record
    cells = [
        ("family", family_badge(row, translate)),
        ("layout", escape(known.layout) if known is not None and known.layout != "unknown" else ""),
        ("dtype", escape(known.dtype or "") if known is not None else ""),
        ("size", megabytes(row.size)),
        ("state", _state(row, library, translate)),
        ("do", f'<div class="vm-do">{_row_buttons(row, library, translate)}</div>'),
    ]
    html = "".join(f'<td class="vm-c-{column}"{_rank(column, row, library)}>{inner}</td>' for column, inner in cells)
    below = plain(str(row.path.relative_to(row.folder)))  # all of it would find "vae" in each
    found = escape(f"{below} {row.sha256 or ''}".lower())
    return (
        f'<tr data-vae-row="{row.key}" data-vae-found="{found}">'
        f'<th scope="row" class="vm-c-name">{_name(row, translate)}</th>{html}</tr>'
    )


def _name(row: LibraryRow, translate: Translator) -> str:
    """Its picture, its name, and below it what it is recognised as and its hash."""
    name = (
        f'<button type="button" class="vm-name" data-vae-select data-vae-key="select {row.key}">'
        f"<bdi>{file_name(row.name)}</bdi></button>"
    )
    if row.in_use:
        in_use = msg("in use before it was changed") if row.was_changed else msg("in use")
        name += " " + badge("!" if row.was_changed else "✓", translate(in_use))
    below = " ".join(filter(None, [_recognised(row, translate), _hash(row, translate)]))
    picture = preview(row.key) if row.has_preview else ""
    return f'<div class="vm-file">{picture}<div>{name}<div class="vm-sub">{below}</div></div></div>'


def _rank(column: str, row: LibraryRow, library: Library) -> str:
    """What a column is sorted by where its text does not tell."""
    if column == "size":
        return f' data-vae-rank="{row.size}"'
    return f' data-vae-rank="{_gravity(row, library)}"' if column == "state" else ""


def _gravity(row: LibraryRow, library: Library) -> int:
    if row.record is None:
        return 1
    if row.broken is not None:
        if is_replaced(row):
            return 1
        return 3 if needs_conversion(row.answer) else WORST
    return 2 if row.name_clashes or sorts_last(row.answer) else 0


def _recognised(row: LibraryRow, translate: Translator) -> str:
    if row.entry is not None:
        text = row.entry.name if row.published else translate(msg("weights of {vae}", vae=row.entry.name))
    elif row.twins:
        text = translate(msg("same weights as {file}", file=plain(row.twins[0])))
    else:
        return ""
    return f'<span class="vm-recognised">{escape(text)}</span>'


def family_badge(row: LibraryRow, translate: Translator) -> str:
    record = row.record
    if record is None:
        return ""
    if record.family.family is None:
        count = record.latent_channels
        text = translate(msg("{count} channels", count=count)) if count is not None else ""
        return f'<span class="vm-hint">{escape(text)}</span>'
    label = f'<span class="vm-family">{escape(family_label(record.family.family))}</span>'
    if record.is_family_own:
        return f'{label} <span class="vm-hint">{escape(translate(msg("set by you")))}</span>'
    if record.family.why == "yours by weights":
        return f'{label} <span class="vm-hint">{escape(translate(msg("set by you, for a twin")))}</span>'
    if not record.family.sure:
        return f'{label} <span class="vm-hint">{escape(translate(msg("guess")))}</span>'
    return label


def _hash(row: LibraryRow, translate: Translator) -> str:
    if row.hash_state is HashState.HASHING:
        return badge("…", translate(msg("hashing")))
    if row.sha256 is None:
        return f'<span class="vm-hint">{escape(translate(msg("not hashed")))}</span>'
    proof = badge("✓", translate(msg("verified"))) if row.hash_state is HashState.PROVEN else ""
    return proof + copy_button(row.sha256, plain(row.name), translate, shown=row.sha256[:HASH_SHOWN])


def _state(row: LibraryRow, library: Library, translate: Translator) -> str:
    """A sign and a word."""
    answer = row.answer
    if answer is None:
        return badge("…", translate(msg("not scanned yet")))
    if row.broken is not None:
        told = _problem(row)
        if is_replaced(row):
            made = translate(msg("converted: {file}", file=plain(row.converted.name if row.converted else "")))
            return f'<span class="vm-is-fine">{badge("✓", made)}</span>'
    elif row.name_clashes:
        told = msg("duplicate name")
    elif answer.reason is not None:
        told = problem_word(answer.reason.code)
    else:
        return f'<span class="vm-is-fine">{badge("✓", translate(msg("can be used")))}</span>'
    sign, kind = ("✗", "broken") if _gravity(row, library) == WORST else ("!", "look")
    return f'<span class="vm-is-{kind}">{badge(sign, translate(told))}</span>'


def _problem(row: LibraryRow) -> Message:
    answer, verification = row.answer, row.verification
    obstacle = obstacle_of(answer) if answer is not None else None
    reason = obstacle if obstacle is not None or answer is None else answer.reason
    if reason is None:
        return outcome_word(verification.outcome) if verification is not None else msg("cannot be loaded")
    is_convertible = obstacle is not None and reason.code != "checkpoint"
    return msg("needs converting") if is_convertible else problem_word(reason.code)


def _row_buttons(row: LibraryRow, library: Library, translate: Translator) -> str:
    """The one act that is nearest, and the comparison."""
    return _main_button(row, library, translate) + compare_button(row, library, translate, key=f"row compare {row.key}")


def _main_button(row: LibraryRow, library: Library, translate: Translator) -> str:
    if may_use(row, library):
        label = translate(msg("Use"))
        return button(label, use(row), f"row use {row.key}", named=f"{label} — {plain(row.name)}")
    if is_replaced(row):
        return use_converted(row, library, translate, key=f"row use {row.key}")
    if may_convert(row, library):
        label = translate(msg("Convert"))
        action: dict[str, object] = {"do": "convert-file", "file": row.key, "use": False}
        return button(label, action, f"row use {row.key}", named=f"{label} — {plain(row.name)}")
    return ""


def compare_button(row: LibraryRow, library: Library, translate: Translator, *, key: str) -> str:
    """Opens the comparison with this VAE, and the one in use, ticked."""
    if row.word is None or _is_damaged(row) or not can_use(row.answer):
        return ""
    label = translate(msg("Compare"))
    return (
        f'<button type="button" class="vm-button" data-vae-compare-file="{escape(row.word)}" '
        f'data-vae-key="{escape(key)}" aria-label="{escape(f"{label} — {plain(row.name)}")}">{escape(label)}</button>'
    )


def is_replaced(row: LibraryRow) -> bool:
    """The WebUI cannot load it, and a conversion of it is there."""
    return row.converted is not None and needs_conversion(row.answer)


def use_converted(row: LibraryRow, library: Library, translate: Translator, *, key: str, primary: bool = False) -> str:
    """The way from a file to what was made from it."""
    made = row.converted
    if made is None or made.word is None or library.choose_refused is not None:
        return ""
    label = translate(msg("Use {file}", file=plain(made.name)))
    return button(label, {"do": "use-file", "file": made.key}, key, primary=primary)


def use(row: LibraryRow) -> dict[str, object]:
    return {"do": "use-file", "file": row.key}


def _is_damaged(row: LibraryRow) -> bool:
    return row.verification is not None and row.verification.outcome is Outcome.DAMAGED


def may_use(row: LibraryRow, library: Library) -> bool:
    can = can_use(row.answer) and not _is_damaged(row)
    is_new = not row.in_use or row.was_changed
    return can and row.word is not None and is_new and library.choose_refused is None


def may_convert(row: LibraryRow, library: Library) -> bool:
    return can_convert(row.answer) and library.change_refused is None


# -- above the table -----------------------------------------------------------------------------------------------
def library_bar(library: Library, translate: Translator) -> str:
    """How much there is, the acts on all of it, what goes on, and what was done last."""
    told = with_buttons(_summary(library, translate), _tools(library, translate))
    return told + activity_lines(library.activity, translate)


def _summary(library: Library, translate: Translator) -> str:
    """ "12 files · 4.0 GB · 2 with problems · 1 twice"."""
    count = len(library.rows)
    if not count:
        return paragraph(escape(translate(msg("There is no VAE file yet. The page Downloads gets one."))))
    parts = [msg("1 file") if count == 1 else msg("{count} files", count=count)]
    texts = [*(translate(part) for part in parts), megabytes(library.table.size)]
    if library.table.with_problems:
        texts.append(translate(msg("{count} with problems", count=library.table.with_problems)))
    if library.doubled:
        texts.append(translate(msg("{count} more than once", count=library.doubled)))
    return f'<p class="vm-line vm-summary">{escape(" · ".join(texts))}</p>'


def _tools(library: Library, translate: Translator) -> str:
    tools: list[tuple[Message, dict[str, object]]] = [
        (msg("Verify all"), {"do": "verify-all"}),
        (msg("Find duplicates"), {"do": "find-duplicates"}),
        (msg("Refresh"), {"do": "refresh-files"}),
    ]
    shown = tools if library.check_refused is None else tools[-1:]
    return "".join(button(translate(text), action, str(action["do"])) for text, action in shown)


def trash(library: Library, translate: Translator) -> str:
    """The folded list; empty for those who cannot change files."""
    if library.change_refused is not None:
        return ""
    count = len(library.removed)
    title = msg("Trash ({count})", count=count) if count else msg("Trash")
    inner = _hint(library, translate) + (_list(library, translate) if count else "")
    return (
        f'<details class="vm-more" data-vae-key="trash"><summary>{escape(translate(title))}</summary>{inner}</details>'
    )


def _hint(library: Library, translate: Translator) -> str:
    if library.has_system_trash:
        text = msg("Deleted files go to the system's trash: restore them there. What is listed here is elsewhere.")
        if not library.removed:
            text = msg("Deleted files go to the system's trash: restore them there.")
    elif library.removed:
        return ""
    else:
        text = msg("Nothing is in the trash.")
    return paragraph(f'<span class="vm-hint">{escape(translate(text))}</span>')


def _list(library: Library, translate: Translator) -> str:
    rows = "".join(_row(gone, size, library, translate) for gone, size in library.removed)
    size = megabytes(sum(size for _, size in library.removed))
    label = translate(msg("Empty the trash · {size}", size=size))
    empty = button(label, {"do": "empty-trash", "sure": False}, "empty-trash")
    return (
        f'<ul class="vm-rows">{rows}</ul>'
        f'<div data-vae-anchor="empty-trash"><div class="vm-do vm-acts">{empty}</div></div>'
    )


def _row(gone: Removed, size: int, library: Library, translate: Translator) -> str:
    entry = gone.place.name if gone.place is not None else ""
    name, when = plain(gone.file.name), time.strftime("%Y-%m-%d %H:%M", time.localtime(gone.removed_at))
    folder = plain(str(gone.file.parent) if library.shows_paths else gone.file.parent.name)
    where = translate(msg("from {folder}", folder=folder) if gone.is_noted else msg("its old folder is not known"))
    label = translate(msg("Restore"))
    action: dict[str, object] = {"do": "restore-file", "entry": entry, "name": ""}
    restore = button(label, action, f"restore {entry}", named=f"{label} — {name}")
    return (
        f'<li class="vm-row vm-removed" data-vae-removed="{escape(entry)}"><div class="vm-what"><strong><bdi>'
        f"{escape(name)}</bdi></strong><span>{escape(where)}</span></div>"
        f'<div class="vm-facts">{megabytes(size)} · {when}</div><div class="vm-do">{restore}</div></li>'
    )
