"""The page "Downloads": the queue, what was left over, the history; and the forms for an address and a key."""

from __future__ import annotations

import json
import time
from html import escape

from ....downloads import Ending, LeftOver, Past
from ....jobs import JobState
from ....sentences import Sentence, megabytes, say
from ...words import Words
from ..facts import Facts
from .jobs import job_buttons, job_line
from .parts import BROKEN, LOOK, badge, button, line, paragraph
from .progress import amount, time_taken

SHOWN_PAST = 10


def downloads_now(facts: Facts, words: Words) -> str:
    """The accordion's line: what runs now, unless an offer shows it, and the way to all the rest."""
    offered = {row.job.key for row in facts.rows if row.job is not None}
    moving = [one for one in facts.downloads if not one.job.state.ended]
    running = next((one for one in moving if one.job.state is JobState.RUNNING), None)
    now = ""
    if running is not None and running.job.key not in offered:
        name = running.wanted.name
        buttons = job_buttons(running.job, name, words, area="now") if facts.downloads_refused is None else ""
        size = _size(running.job.total or running.wanted.order.size)
        row = _row(name, size, buttons, job_line(running.job, name, words), key=running.job.key)
        now = f'<ul class="vm-rows">{row}</ul>'
    count = len(moving) + len(facts.left)
    title = say("Catalogue and downloads ({count})", count=count) if count else say("Catalogue and downloads")
    return f'{now}<div class="vm-do vm-acts">{_open(title, words)}</div>'


def _open(title: Sentence, words: Words) -> str:
    """Opens the page "Downloads" of the tab."""
    return (
        f'<button type="button" class="vm-button" data-vae-open="downloads" data-vae-key="open downloads">'
        f"{escape(words(title))}</button>"
    )


def downloads(facts: Facts, words: Words) -> str:
    """The queue in its order, what can go on, and what was."""
    offered = {row.job.key for row in facts.rows if row.job is not None}
    shown = [one for one in facts.downloads if not one.job.state.ended]
    shown += [one for one in facts.downloads if one.job.state is JobState.FAILED and one.job.key not in offered]
    queued = [one.job.key for one in shown if one.job.state in (JobState.WAITING, JobState.PAUSED)]
    rows = [
        _row(
            one.wanted.name,
            _size(one.job.total or one.wanted.order.size),
            job_buttons(one.job, one.wanted.name, words, area="queue", first=one.job.key in queued[:1])
            if facts.downloads_refused is None
            else "",
            job_line(one.job, one.wanted.name, words),
            key=one.job.key,
        )
        for one in shown
    ]
    rows += [_left_row(left, name, facts, words) for left, name in facts.left]
    queue = f'<ul class="vm-rows">{"".join(rows)}</ul>' if rows else ""
    if not rows and not facts.past:
        queue = paragraph(escape(words(say("Nothing has been fetched yet."))))
    return queue + _history(facts, words)


def _row(name: str, facts: str, buttons: str, below: str, *, key: str) -> str:
    return (
        f'<li class="vm-row" data-vae-download="{escape(key)}">'
        f'<div class="vm-what"><strong>{escape(name)}</strong></div>'
        f'<div class="vm-facts">{escape(facts)}</div><div class="vm-do">{buttons}</div>{below}</li>'
    )


def _size(count: int | None) -> str:
    return megabytes(count) if count is not None else ""


def _left_row(left: LeftOver, name: str, facts: Facts, words: Words) -> str:
    buttons = left_buttons(left, name, words, area="left") if facts.downloads_refused is None else ""
    return _row(name, _size(left.total), buttons, kept_line(left.done, left.total, words), key=left.key)


def left_buttons(left: LeftOver, name: str, words: Words, *, area: str) -> str:
    """For what was cut off: go on, or give up what is there."""
    go_on, discard = words(say("Continue")), words(say("Discard"))
    return button(
        go_on, {"do": "continue", "job": left.key}, f"{area} continue {left.key}", named=f"{go_on} — {name}"
    ) + button(discard, {"do": "discard", "job": left.key}, f"{area} discard {left.key}", named=f"{discard} — {name}")


def kept_line(done: int, total: int | None, words: Words) -> str:
    if not done:
        return paragraph(escape(words(say("It was waiting for its turn when the WebUI ended."))))
    text = (
        say("{done} of {total} are here already; the download goes on from there.", done=amount(done),
            total=amount(total))
        if total is not None
        else say("{done} are here already; the download goes on from there.", done=amount(done))
    )  # fmt: skip
    return paragraph(escape(words(text)))


# -- the history ---------------------------------------------------------------------------------------------------
def _history(facts: Facts, words: Words) -> str:
    if not facts.past:
        return ""
    head = escape(words(say("History")))
    rows = "".join(_past(past, words) for past in facts.past[:SHOWN_PAST])
    return f'<h4 class="vm-head">{head}</h4><div class="vm-pasts">{rows}</div>'


def _past(past: Past, words: Words) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(past.ended_at))
    figures = [_size(past.size) if past.ending is not Ending.CANCELLED else ""]
    if past.speed is not None and past.ending is Ending.DELIVERED:
        figures.append(f"⌀ {amount(round(past.speed))}/s")
    details = [(say("File"), past.file_name), (say("From"), ", ".join(map(words.place, past.sources)))]
    if past.sha256 is not None:
        details.append((say("SHA-256"), past.sha256))
    if past.seconds:
        details.append((say("Time"), words(time_taken(past.seconds))))
    listed = "".join(f"<dt>{escape(words(name))}</dt><dd>{escape(text)}</dd>" for name, text in details)
    problem = ""
    if past.problem is not None:
        problem = line(BROKEN if past.ending is Ending.FAILED else LOOK, words(past.problem), words)
    return (
        f'<details class="vm-past" data-vae-key="past {past.ended_at}"><summary><span class="vm-when">{when}</span>'
        f'<strong>{escape(past.name)}</strong><span class="vm-facts">{escape(" · ".join(filter(None, figures)))}</span>'
        f"{_result(past, words)}</summary>{problem}<dl>{listed}</dl></details>"
    )


def _result(past: Past, words: Words) -> str:
    sign, text = _ending(past)
    return badge(sign, words(text))


def _ending(past: Past) -> tuple[str, Sentence]:
    if past.ending is Ending.FAILED:
        return "✗", say("failed")
    if past.ending is Ending.CANCELLED:
        return "–", say("cancelled")
    if past.ending is Ending.ALREADY_THERE:
        return "✓", say("already here")
    if past.problem is not None and not past.proven:
        return "!", say("cannot be used")
    return ("✓", say("verified")) if past.proven else ("!", say("unverified"))


# -- the forms -----------------------------------------------------------------------------------------------------
def forms(facts: Facts, words: Words) -> str:
    """An address of one's own, and the key of a site that asks for one.

    A region of its own that changes seldom: what is being typed must not be replaced by the next look at the queue.
    """
    if facts.sources_refused is not None:
        return line(LOOK, words(facts.sources_refused), words)
    return _address_form(words) + _key_form(words, saved=facts.key_saved)


def _address_form(words: Words) -> str:
    label, get = escape(words(say("From an address"))), escape(words(say("Get")))
    example = escape("hub:owner/repo/file.safetensors · civitai:123 · https://…")
    hint = say(
        "Where nobody publishes a SHA-256 for it, it is marked as unverified. Whether it is a VAE that the WebUI can "
        "load is looked at either way."
    )
    return (
        f'<form class="vm-form" data-vae-form="{escape(json.dumps({"do": "get-from"}))}"><label><span>{label}</span>'
        f'<input type="text" name="address" required autocomplete="off" spellcheck="false" placeholder="{example}" '
        f'data-vae-key="address"></label><button type="submit" class="vm-button" data-vae-key="get-from" '
        f'aria-label="{get} — {label}">{get}</button></form><p class="vm-hint">{escape(words(hint))}</p>'
    )


def _key_form(words: Words, *, saved: bool) -> str:
    label = escape(words(say("Civitai API key")))
    if saved:
        text = escape(words(say("A Civitai API key is saved.")))
        remove = words(say("Remove"))
        gone = button(remove, {"do": "remove-key"}, "remove-key", named=f"{remove} — {words(say('Civitai API key'))}")
        return f'<div class="vm-form"><span class="vm-badge">✓</span> <span>{text}</span>{gone}</div>'
    save = escape(words(say("Save")))
    hint = say(
        "For files that Civitai gives to signed-in people only. It is sent to civitai.com alone, and never shown again."
    )
    return (
        f'<form class="vm-form" data-vae-form="{escape(json.dumps({"do": "save-key"}))}"><label><span>{label}</span>'
        '<input type="password" name="key" required autocomplete="new-password" data-vae-key="key"></label>'
        f'<button type="submit" class="vm-button" data-vae-key="save-key" aria-label="{save} — {label}">{save}</button>'
        f'</form><p class="vm-hint">{escape(words(hint))}</p>'
    )
