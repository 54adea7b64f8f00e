"""Views of the catalogue, of the downloads, and of the download settings."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from html import escape

from ....catalogue import Entry
from ....downloads import DownloadOutcome, PastDownload, UnfinishedDownload
from ....jobs import JobState
from ....messages import Message, megabytes, msg
from ...translation import Translator
from ..vae_options import family_label
from ..view_model import Facts, Row
from .components import ERROR, WARNING, amount, badge, button, line, one_primary, paragraph, time_taken
from .labels import advice, caught
from .status import job_buttons, job_line

SHOWN_AT_ONCE = 2


def offers(facts: Facts, translate: Translator) -> str:
    """The VAEs that can be fetched for this checkpoint: the first ones at once, the others behind a click."""
    rows = [offer(row, facts, translate) for row in facts.rows]
    first = "".join(row for row, fact in zip(rows, facts.rows, strict=True) if _stands_out(fact, facts.rows))
    more = [row for row, fact in zip(rows, facts.rows, strict=True) if not _stands_out(fact, facts.rows)]
    parts = [f'<ul class="vm-rows">{first}</ul>']
    if more:
        summary = translate(msg("More for {family} ({count})", family=family_label(facts.family), count=len(more)))
        parts.append(
            f'<details class="vm-more" data-vae-key="more"><summary>{escape(summary)}</summary>'
            f'<ul class="vm-rows">{"".join(more)}</ul></details>'
        )
    parts.append(advice(facts, translate))
    parts.append(caught(facts, translate))
    return "".join(parts)


def catalogue(facts: Facts, translate: Translator) -> str:
    """All VAEs that can be fetched: those for the loaded checkpoint at once, those of each other family folded."""
    own = "".join(offer(row, facts, translate) for row in facts.rows)
    head = escape(translate(msg("For {family}", family=family_label(facts.family))))
    parts = [f'<h4 class="vm-head">{head}</h4><ul class="vm-rows">{own}</ul>']
    for family, rows in facts.others:
        summary = escape(translate(msg("For {family} ({count})", family=family_label(family), count=len(rows))))
        items = "".join(offer(row, facts, translate) for row in rows)
        parts.append(
            f'<details class="vm-more" data-vae-key="catalogue {escape(family)}"><summary>{summary}</summary>'
            f'<ul class="vm-rows">{items}</ul></details>'
        )
    return "".join(parts)


def offer(row: Row, facts: Facts, translate: Translator) -> str:
    """One VAE that can be fetched, or is here."""
    return _offer_row(row, facts, translate, may_use=facts.choose_refused is None and _fits(row, facts))


def _fits(row: Row, facts: Facts) -> bool:
    """Not where a pasted picture was made with a checkpoint of another family than the loaded one."""
    return facts.in_use.family in (None, row.entry.family)


def _stands_out(row: Row, rows: Sequence[Row]) -> bool:
    """The two that the catalogue puts first, the user's own, and whatever is being fetched or has just failed."""
    return row.job is not None or row.left is not None or row.entry.evidence == "user" or row in rows[:SHOWN_AT_ONCE]


def _offer_row(row: Row, facts: Facts, translate: Translator, *, may_use: bool) -> str:
    entry = row.entry
    return (
        f'<li class="vm-row" data-vae-entry="{escape(entry.id)}">'
        f'<div class="vm-what"><strong>{escape(entry.name)}</strong> '
        f"<span>{escape(translate(entry.purpose))}</span></div>"
        f'<div class="vm-facts">{_row_facts(row, translate)}</div>'
        f'<div class="vm-do">{_row_buttons(row, facts, translate, may_use)}</div>{_row_job(row, translate)}</li>'
    )


def _row_facts(row: Row, translate: Translator) -> str:
    facts = [_licence(row.entry, translate)]
    size = megabytes(row.entry.size) if row.entry.size is not None else translate(msg("size not known"))
    facts.append(escape(size))
    if row.in_use:
        facts.append(badge("✓", translate(msg("in use"))))
    elif row.here is not None:
        facts.append(badge("✓", translate(msg("already here"))))
    return " · ".join(facts)


def _licence(entry: Entry, translate: Translator) -> str:
    if entry.licence is None:
        return escape(translate(msg("licence not stated")))
    name = escape(entry.licence.name)
    if entry.licence.link is None or not entry.licence.link.startswith("https://"):
        return name
    return f'<a href="{escape(entry.licence.link)}" target="_blank" rel="noopener noreferrer">{name}</a>'


def _row_buttons(row: Row, facts: Facts, translate: Translator, may_use: bool) -> str:
    entry = row.entry
    if row.job is not None and not row.job.state.ended:
        if facts.downloads_refused is not None:
            return ""
        return job_buttons(row.job, entry.name, translate, area="row", entry=entry.id)
    if row.here is not None:
        return "" if row.in_use or not may_use else _button(msg("Use"), entry, translate, do="use", file=row.here.name)
    if row.job is not None and row.job.state is JobState.FAILED and facts.downloads_refused is None:
        return job_buttons(row.job, entry.name, translate, area="row", entry=entry.id)
    if row.terms_open:
        return _terms(row, facts, translate, may_use)
    return _get_buttons(row, facts, translate, may_use, accept=False)


def _get_buttons(row: Row, facts: Facts, translate: Translator, may_use: bool, *, accept: bool) -> str:
    entry = row.entry
    use = msg("Continue and use") if row.left else msg("Accept, get and use") if accept else msg("Get and use")
    get = msg("Continue") if row.left else msg("Accept and get") if accept else msg("Get")
    to_come = entry.size - row.left.done if row.left and entry.size is not None else None
    buttons = _button(get, entry, translate, do="get", use=False, accept=accept)
    if may_use:
        buttons = _button(use, entry, translate, do="get", size=to_come, use=True, accept=accept) + buttons
    if row.left is not None and facts.downloads_refused is None:
        buttons += _button(msg("Discard"), entry, translate, do="discard", job=row.left.key)
    return buttons


def _terms(row: Row, facts: Facts, translate: Translator, may_use: bool) -> str:
    text = msg("{vae} is published under its own terms. Read them before you get it.", vae=row.entry.name)
    if facts.terms_refused is None:
        buttons = _get_buttons(row, facts, translate, may_use, accept=True)
    else:
        buttons = f"<p>{escape(translate(facts.terms_refused))}</p>"
    return (
        f'<details class="vm-terms" data-vae-key="terms {escape(row.entry.id)}">'
        f'<summary class="vm-button">{escape(translate(msg("Get …")))}</summary>'
        f"<p>{escape(translate(text))} {_licence(row.entry, translate)}</p>{buttons}</details>"
    )


def _button(
    text: Message, entry: Entry, translate: Translator, *, do: str, size: int | None = None, **more: object
) -> str:
    """`size` is what a click will cost, if that is not the size of the file, which the row says."""
    label = translate(text) + (f" · {megabytes(size)}" if size is not None else "")
    key = f"{do} {entry.id} {bool(more.get('use'))}"
    action = {"do": do, "entry": entry.id, **more}
    return button(label, action, key, primary=bool(more.get("use")), named=f"{label} — {entry.name}")


def _row_job(row: Row, translate: Translator) -> str:
    if row.job is not None and (not row.job.state.ended or row.job.state is JobState.FAILED):
        return job_line(row.job, row.entry.name, translate)
    if row.left is None or row.here is not None:
        return ""
    return kept_line(row.left.done, row.entry.size or row.left.total, translate)


SHOWN_PAST = 10


def downloads_now(facts: Facts, translate: Translator) -> str:
    """The accordion's line: what runs now, unless an offer shows it, and the way to all the rest."""
    offered = {row.job.key for row in facts.rows if row.job is not None}
    moving = [one for one in facts.downloads if not one.job.state.ended]
    running = next((one for one in moving if one.job.state is JobState.RUNNING), None)
    now = ""
    if running is not None and running.job.key not in offered:
        name = running.wanted.name
        buttons = job_buttons(running.job, name, translate, area="now") if facts.downloads_refused is None else ""
        size = _size(running.job.total or running.wanted.request.size)
        row = _row(name, size, buttons, job_line(running.job, name, translate), key=running.job.key)
        now = f'<ul class="vm-rows">{row}</ul>'
    count = len(moving) + len(facts.left)
    title = msg("Catalogue and downloads ({count})", count=count) if count else msg("Catalogue and downloads")
    return f'{now}<div class="vm-do vm-acts">{_open(title, translate)}</div>'


def _open(title: Message, translate: Translator) -> str:
    """Opens the page "Downloads" of the tab."""
    return (
        f'<button type="button" class="vm-button" data-vae-open="downloads" data-vae-key="open downloads">'
        f"{escape(translate(title))}</button>"
    )


def downloads(facts: Facts, translate: Translator) -> str:
    """The queue in its order, what can go on, and what was."""
    offered = {row.job.key for row in facts.rows if row.job is not None}
    shown = [one for one in facts.downloads if not one.job.state.ended]
    shown += [one for one in facts.downloads if one.job.state is JobState.FAILED and one.job.key not in offered]
    queued = [one.job.key for one in shown if one.job.state in (JobState.WAITING, JobState.PAUSED)]
    rows = [
        _row(
            one.wanted.name,
            _size(one.job.total or one.wanted.request.size),
            job_buttons(one.job, one.wanted.name, translate, area="queue", first=one.job.key in queued[:1])
            if facts.downloads_refused is None
            else "",
            job_line(one.job, one.wanted.name, translate),
            key=one.job.key,
        )
        for one in shown
    ]
    rows += [_left_row(left, name, facts, translate) for left, name in facts.left]
    queue = f'<ul class="vm-rows">{"".join(rows)}</ul>' if rows else ""
    if not rows and not facts.past:
        queue = paragraph(escape(translate(msg("Nothing has been fetched yet."))))
    return queue + _history(facts, translate)


def _row(name: str, facts: str, buttons: str, below: str, *, key: str) -> str:
    return (
        f'<li class="vm-row" data-vae-download="{escape(key)}">'
        f'<div class="vm-what"><strong>{escape(name)}</strong></div>'
        f'<div class="vm-facts">{escape(facts)}</div><div class="vm-do">{buttons}</div>{below}</li>'
    )


def _size(count: int | None) -> str:
    return megabytes(count) if count is not None else ""


def _left_row(left: UnfinishedDownload, name: str, facts: Facts, translate: Translator) -> str:
    buttons = left_buttons(left, name, translate, area="left") if facts.downloads_refused is None else ""
    return _row(name, _size(left.total), buttons, kept_line(left.done, left.total, translate), key=left.key)


def left_buttons(left: UnfinishedDownload, name: str, translate: Translator, *, area: str) -> str:
    """For what was cut off: go on, or give up what is there."""
    go_on, discard = translate(msg("Continue")), translate(msg("Discard"))
    return button(
        go_on, {"do": "continue", "job": left.key}, f"{area} continue {left.key}", named=f"{go_on} — {name}"
    ) + button(discard, {"do": "discard", "job": left.key}, f"{area} discard {left.key}", named=f"{discard} — {name}")


def kept_line(done: int, total: int | None, translate: Translator) -> str:
    if not done:
        return paragraph(escape(translate(msg("It was waiting for its turn when the WebUI ended."))))
    text = (
        msg("{done} of {total} are here already; the download goes on from there.", done=amount(done),
            total=amount(total))
        if total is not None
        else msg("{done} are here already; the download goes on from there.", done=amount(done))
    )  # fmt: skip
    return paragraph(escape(translate(text)))


# -- the history ---------------------------------------------------------------------------------------------------
def _history(facts: Facts, translate: Translator) -> str:
    if not facts.past:
        return ""
    head = escape(translate(msg("History")))
    rows = "".join(_past(past, translate) for past in facts.past[:SHOWN_PAST])
    return f'<h4 class="vm-head">{head}</h4><div class="vm-pasts">{rows}</div>'


def _past(past: PastDownload, translate: Translator) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(past.ended_at))
    figures = [_size(past.size) if past.ending is not DownloadOutcome.CANCELLED else ""]
    if past.speed is not None and past.ending is DownloadOutcome.DELIVERED:
        figures.append(f"⌀ {amount(round(past.speed))}/s")
    details = [(msg("File"), past.file_name), (msg("From"), ", ".join(map(translate.place, past.sources)))]
    if past.sha256 is not None:
        details.append((msg("SHA-256"), past.sha256))
    if past.seconds:
        details.append((msg("Time"), translate(time_taken(past.seconds))))
    listed = "".join(f"<dt>{escape(translate(name))}</dt><dd>{escape(text)}</dd>" for name, text in details)
    problem = ""
    if past.problem is not None:
        problem = line(ERROR if past.ending is DownloadOutcome.FAILED else WARNING, translate(past.problem), translate)
    return (
        f'<details class="vm-past" data-vae-key="past {past.ended_at}"><summary><span class="vm-when">{when}</span>'
        f'<strong>{escape(past.name)}</strong><span class="vm-facts">{escape(" · ".join(filter(None, figures)))}</span>'
        f"{_result(past, translate)}</summary>{problem}<dl>{listed}</dl></details>"
    )


def _result(past: PastDownload, translate: Translator) -> str:
    sign, text = _ending(past)
    return badge(sign, translate(text))


def _ending(past: PastDownload) -> tuple[str, Message]:
    if past.ending is DownloadOutcome.FAILED:
        return "✗", msg("failed")
    if past.ending is DownloadOutcome.CANCELLED:
        return "–", msg("cancelled")
    if past.ending is DownloadOutcome.ALREADY_THERE:
        return "✓", msg("already here")
    if past.problem is not None and not past.proven:
        return "!", msg("cannot be used")
    return ("✓", msg("verified")) if past.proven else ("!", msg("unverified"))


# -- the forms -----------------------------------------------------------------------------------------------------
def forms(facts: Facts, translate: Translator) -> str:
    """An address of one's own, and the key of a site that asks for one.

    A region of its own that changes seldom: what is being typed must not be replaced by the next look at the queue.
    """
    if facts.sources_refused is not None:
        return line(WARNING, translate(facts.sources_refused), translate)
    return _address_form(translate) + _key_form(translate, saved=facts.key_saved)


def _address_form(translate: Translator) -> str:
    label, get = escape(translate(msg("From an address"))), escape(translate(msg("Get")))
    example = escape("hub:owner/repo/file.safetensors · civitai:123 · https://…")
    hint = msg(
        "Where nobody publishes a SHA-256 for it, it is marked as unverified. Whether it is a VAE that the WebUI can "
        "load is looked at either way."
    )
    return (
        f'<form class="vm-form" data-vae-form="{escape(json.dumps({"do": "get-from"}))}"><label><span>{label}</span>'
        f'<input type="text" name="address" required autocomplete="off" spellcheck="false" placeholder="{example}" '
        f'data-vae-key="address"></label><button type="submit" class="vm-button" data-vae-key="get-from" '
        f'aria-label="{get} — {label}">{get}</button></form><p class="vm-hint">{escape(translate(hint))}</p>'
    )


def _key_form(translate: Translator, *, saved: bool) -> str:
    label = escape(translate(msg("Civitai API key")))
    if saved:
        text = escape(translate(msg("A Civitai API key is saved.")))
        remove = translate(msg("Remove"))
        gone = button(
            remove, {"do": "remove-key"}, "remove-key", named=f"{remove} — {translate(msg('Civitai API key'))}"
        )
        return f'<div class="vm-form"><span class="vm-badge">✓</span> <span>{text}</span>{gone}</div>'
    save = escape(translate(msg("Save")))
    hint = msg(
        "For files that Civitai gives to signed-in people only. It is sent to civitai.com alone, and never shown again."
    )
    return (
        f'<form class="vm-form" data-vae-form="{escape(json.dumps({"do": "save-key"}))}"><label><span>{label}</span>'
        '<input type="password" name="key" required autocomplete="new-password" data-vae-key="key"></label>'
        f'<button type="submit" class="vm-button" data-vae-key="save-key" aria-label="{save} — {label}">{save}</button>'
        f'</form><p class="vm-hint">{escape(translate(hint))}</p>'
    )


def settings(facts: Facts, translate: Translator, *, shown_in_page: bool) -> str:
    """The settings section's own part: the quick-settings switch, and the same offers as in the accordion.

    `shown_in_page` tells whether the page, as it was built, shows SD VAE in the quick settings.
    """
    closed = facts.sources_refused
    limits = line(WARNING, translate(closed), translate) if closed is not None else ""
    return "".join(one_primary(_quick_settings(facts, translate, shown_in_page), offers(facts, translate))) + limits


def _quick_settings(facts: Facts, translate: Translator, shown_in_page: bool) -> str:
    on = facts.in_quick_settings
    action = escape(json.dumps({"do": "quick-settings", "on": not on}))
    disabled = " disabled" if facts.quick_settings_refused is not None else ""
    label = escape(translate(msg("Show SD VAE in the quick settings, at the top of every page")))
    switch = (
        f'<button type="button" class="vm-switch" role="switch" aria-checked="{str(on).lower()}" '
        f'data-vae-do="{action}" data-vae-key="quick-settings"{disabled}>'
        f'<span class="vm-knob" aria-hidden="true"></span>{label}</button>'
    )
    reload_button = _reload_button(facts, translate) if on != shown_in_page else ""
    refusal = facts.quick_settings_refused
    reason = line(WARNING, translate(refusal), translate) if refusal is not None else ""
    return f'<div class="vm-quick">{switch}{reload_button}</div>{reason}'


def _reload_button(facts: Facts, translate: Translator) -> str:
    if facts.reload_refused is not None:
        return line(WARNING, translate(msg("The change is shown after the next Reload UI.")), translate)
    return button(translate(msg("Reload UI to show the change")), {"do": "reload"}, "reload", primary=True)
