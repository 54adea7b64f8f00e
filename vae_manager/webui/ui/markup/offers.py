"""The VAEs that can be fetched, and how their fetching goes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ....catalogue import Entry
from ....jobs import JobState
from ....sentences import Sentence, megabytes, say
from ...words import Words
from ..facts import Facts, Row, family_label
from .advice import advice
from .parts import BROKEN, badge, button, line, paragraph
from .progress import progress_text

SHOWN_AT_ONCE = 2


def offers(facts: Facts, words: Words) -> str:
    """The VAEs that can be fetched for this checkpoint: the first ones at once, the others behind a click."""
    rows = [_row(row, words, may_use=facts.choose_refused is None) for row in facts.rows]
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
    return "".join(parts)


def _stands_out(row: Row, rows: Sequence[Row]) -> bool:
    """The two that the catalogue puts first, the user's own, and whatever is being fetched or has just failed."""
    return row.job is not None or row.entry.evidence == "user" or row in rows[:SHOWN_AT_ONCE]


def _row(row: Row, words: Words, *, may_use: bool) -> str:
    entry = row.entry
    return (
        f'<li class="vm-row" data-vae-entry="{escape(entry.id)}">'
        f'<div class="vm-what"><strong>{escape(entry.name)}</strong> '
        f"<span>{escape(words(entry.purpose))}</span></div>"
        f'<div class="vm-facts">{_row_facts(row, words)}</div>'
        f'<div class="vm-do">{_row_buttons(row, words, may_use)}</div>{_row_job(row, words)}</li>'
    )


def _row_facts(row: Row, words: Words) -> str:
    facts = [_licence(row.entry, words)]
    if row.entry.size is not None:
        facts.append(escape(megabytes(row.entry.size)))
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


def _row_buttons(row: Row, words: Words, may_use: bool) -> str:
    entry = row.entry
    if row.job is not None and not row.job.state.ended:
        return _button(say("Cancel"), entry, words, do="stop")
    if row.here is not None:
        return "" if row.in_use or not may_use else _button(say("Use"), entry, words, do="use", file=row.here.name)
    if row.terms_open:
        return _terms(row, words, may_use)
    return _get_buttons(row, words, may_use, accept=False)


def _get_buttons(row: Row, words: Words, may_use: bool, *, accept: bool) -> str:
    entry = row.entry
    use = say("Continue and use") if row.kept else say("Accept, get and use") if accept else say("Get and use")
    get = say("Continue") if row.kept else say("Accept and get") if accept else say("Get")
    buttons = _button(get, entry, words, do="get", use=False, accept=accept)
    if may_use:
        buttons = _button(use, entry, words, do="get", use=True, accept=accept, primary=True) + buttons
    return buttons


def _terms(row: Row, words: Words, may_use: bool) -> str:
    text = say("{vae} is published under its own terms. Read them before you get it.", vae=row.entry.name)
    buttons = _get_buttons(row, words, may_use, accept=True)
    return (
        f'<details class="vm-terms" data-vae-key="terms {escape(row.entry.id)}">'
        f'<summary class="vm-button">{escape(words(say("Get …")))}</summary>'
        f"<p>{escape(words(text))} {_licence(row.entry, words)}</p>{buttons}</details>"
    )


def _button(text: Sentence, entry: Entry, words: Words, *, do: str, primary: bool = False, **more: object) -> str:
    label = words(text)
    if do == "get" and primary and entry.size is not None:
        label += f" · {megabytes(entry.size)}"
    key = f"{do} {entry.id} {bool(more.get('use'))}"
    action = {"do": do, "entry": entry.id, **more}
    return button(label, action, key, primary=primary, named=f"{label} — {entry.name}")


def _row_job(row: Row, words: Words) -> str:
    job = row.job
    if job is None:
        return _kept_line(row, words)
    if job.state is JobState.FAILED and job.error is not None:
        return line(BROKEN, words(job.error), words)
    if job.state is JobState.STOPPED:
        return _kept_line(row, words)
    if job.state is JobState.DONE:
        return ""
    text = progress_text(job, words)
    percent = round(100 * job.done / job.total) if job.total else 0
    return (
        f'<div class="vm-progress"><div class="vm-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{percent}" aria-valuetext="{escape(text)}" aria-label="{escape(row.entry.name)}">'
        f'<div class="vm-done" style="width:{percent}%"></div></div><span>{escape(text)}</span></div>'
    )


def _kept_line(row: Row, words: Words) -> str:
    if not row.kept or row.here is not None:
        return ""
    done = megabytes(row.kept)
    text = (
        say("{done} of {total} are here already; the download goes on from there.", done=done,
            total=megabytes(row.entry.size))
        if row.entry.size is not None
        else say("{done} are here already; the download goes on from there.", done=done)
    )
    return paragraph(escape(words(text)))
