"""The VAEs that can be fetched, and how their fetching goes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ....catalogue import Entry
from ....jobs import JobState
from ....sentences import Sentence, megabytes, say
from ...words import Words
from ..facts import Facts, Row
from ..fitting import family_label
from .advice import advice, caught
from .downloads import kept_line
from .jobs import job_buttons, job_line
from .parts import badge, button

SHOWN_AT_ONCE = 2


def offers(facts: Facts, words: Words) -> str:
    """The VAEs that can be fetched for this checkpoint: the first ones at once, the others behind a click."""
    rows = [offer(row, facts, words) for row in facts.rows]
    first = "".join(row for row, fact in zip(rows, facts.rows, strict=True) if _stands_out(fact, facts.rows))
    more = [row for row, fact in zip(rows, facts.rows, strict=True) if not _stands_out(fact, facts.rows)]
    parts = [f'<ul class="vm-rows">{first}</ul>']
    if more:
        summary = words(
            say("More for {family} ({count})", family=family_label(facts.family), count=len(more))
        )
        parts.append(
            f'<details class="vm-more" data-vae-key="more"><summary>{escape(summary)}</summary>'
            f'<ul class="vm-rows">{"".join(more)}</ul></details>'
        )
    parts.append(advice(facts, words))
    parts.append(caught(facts, words))
    return "".join(parts)


def catalogue(facts: Facts, words: Words) -> str:
    """All VAEs that can be fetched: those for the loaded checkpoint at once, those of each other family folded."""
    own = "".join(offer(row, facts, words) for row in facts.rows)
    head = escape(words(say("For {family}", family=family_label(facts.family))))
    parts = [f'<h4 class="vm-head">{head}</h4><ul class="vm-rows">{own}</ul>']
    for family, rows in facts.others:
        summary = escape(words(say("For {family} ({count})", family=family_label(family), count=len(rows))))
        items = "".join(offer(row, facts, words) for row in rows)
        parts.append(
            f'<details class="vm-more" data-vae-key="catalogue {escape(family)}"><summary>{summary}</summary>'
            f'<ul class="vm-rows">{items}</ul></details>'
        )
    return "".join(parts)


def offer(row: Row, facts: Facts, words: Words) -> str:
    """One VAE that can be fetched, or is here."""
    return _row(row, facts, words, may_use=facts.choose_refused is None and _fits(row, facts))


def _fits(row: Row, facts: Facts) -> bool:
    """Not where a pasted picture was made with a checkpoint of another family than the loaded one."""
    return facts.in_use.family in (None, row.entry.family)


def _stands_out(row: Row, rows: Sequence[Row]) -> bool:
    """The two that the catalogue puts first, the user's own, and whatever is being fetched or has just failed."""
    return row.job is not None or row.left is not None or row.entry.evidence == "user" or row in rows[:SHOWN_AT_ONCE]


def _row(row: Row, facts: Facts, words: Words, *, may_use: bool) -> str:
    entry = row.entry
    return (
        f'<li class="vm-row" data-vae-entry="{escape(entry.id)}">'
        f'<div class="vm-what"><strong>{escape(entry.name)}</strong> '
        f"<span>{escape(words(entry.purpose))}</span></div>"
        f'<div class="vm-facts">{_row_facts(row, words)}</div>'
        f'<div class="vm-do">{_row_buttons(row, facts, words, may_use)}</div>{_row_job(row, words)}</li>'
    )


def _row_facts(row: Row, words: Words) -> str:
    facts = [_licence(row.entry, words)]
    size = megabytes(row.entry.size) if row.entry.size is not None else words(say("size not known"))
    facts.append(escape(size))
    if row.in_use:
        facts.append(badge("✓", words(say("in use"))))
    elif row.here is not None:
        facts.append(badge("✓", words(say("already here"))))
    return " · ".join(facts)


def _licence(entry: Entry, words: Words) -> str:
    if entry.licence is None:
        return escape(words(say("licence not stated")))
    name = escape(entry.licence.name)
    if entry.licence.link is None or not entry.licence.link.startswith("https://"):
        return name
    return f'<a href="{escape(entry.licence.link)}" target="_blank" rel="noopener noreferrer">{name}</a>'


def _row_buttons(row: Row, facts: Facts, words: Words, may_use: bool) -> str:
    entry = row.entry
    if row.job is not None and not row.job.state.ended:
        if facts.downloads_refused is not None:
            return ""
        return job_buttons(row.job, entry.name, words, area="row", entry=entry.id)
    if row.here is not None:
        return "" if row.in_use or not may_use else _button(say("Use"), entry, words, do="use", file=row.here.name)
    if row.job is not None and row.job.state is JobState.FAILED and facts.downloads_refused is None:
        return job_buttons(row.job, entry.name, words, area="row", entry=entry.id)
    if row.terms_open:
        return _terms(row, facts, words, may_use)
    return _get_buttons(row, facts, words, may_use, accept=False)


def _get_buttons(row: Row, facts: Facts, words: Words, may_use: bool, *, accept: bool) -> str:
    entry = row.entry
    use = say("Continue and use") if row.left else say("Accept, get and use") if accept else say("Get and use")
    get = say("Continue") if row.left else say("Accept and get") if accept else say("Get")
    to_come = entry.size - row.left.done if row.left and entry.size is not None else None
    buttons = _button(get, entry, words, do="get", use=False, accept=accept)
    if may_use:
        buttons = _button(use, entry, words, do="get", size=to_come, use=True, accept=accept) + buttons
    if row.left is not None and facts.downloads_refused is None:
        buttons += _button(say("Discard"), entry, words, do="discard", job=row.left.key)
    return buttons


def _terms(row: Row, facts: Facts, words: Words, may_use: bool) -> str:
    text = say("{vae} is published under its own terms. Read them before you get it.", vae=row.entry.name)
    if facts.terms_refused is None:
        buttons = _get_buttons(row, facts, words, may_use, accept=True)
    else:
        buttons = f"<p>{escape(words(facts.terms_refused))}</p>"
    return (
        f'<details class="vm-terms" data-vae-key="terms {escape(row.entry.id)}">'
        f'<summary class="vm-button">{escape(words(say("Get …")))}</summary>'
        f"<p>{escape(words(text))} {_licence(row.entry, words)}</p>{buttons}</details>"
    )


def _button(text: Sentence, entry: Entry, words: Words, *, do: str, size: int | None = None, **more: object) -> str:
    """`size` is what a click will cost, if that is not the size of the file, which the row says."""
    label = words(text) + (f" · {megabytes(size)}" if size is not None else "")
    key = f"{do} {entry.id} {bool(more.get('use'))}"
    action = {"do": do, "entry": entry.id, **more}
    return button(label, action, key, primary=bool(more.get("use")), named=f"{label} — {entry.name}")


def _row_job(row: Row, words: Words) -> str:
    if row.job is not None and (not row.job.state.ended or row.job.state is JobState.FAILED):
        return job_line(row.job, row.entry.name, words)
    if row.left is None or row.here is not None:
        return ""
    return kept_line(row.left.done, row.entry.size or row.left.total, words)
