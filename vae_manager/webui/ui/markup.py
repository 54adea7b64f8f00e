"""How the page looks: facts in, HTML out. Pure; every name that comes from a file or a server is escaped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from ...catalogue import Entry
from ...choice import Choice, Rule
from ...jobs import JobState, JobView
from ...sentences import Sentence, megabytes, say
from ..words import Words
from .facts import Facts, Option, Row, family_label

HASH_SHOWN = 10
"""Digits of a hash that the WebUI shows in infotext."""

FINE, LOOK, BROKEN = "fine", "look", "broken"


def title(facts: Facts, words: Words, tab_choice: str = "") -> str:
    """The closed accordion's title, plain text: which VAE, of which family, why."""
    if tab_choice:
        parts = [choice_name(Choice(tab_choice), words), words(say("this tab only"))]
    elif facts.in_use.checkpoint is None:
        parts = [words(say("no checkpoint is loaded yet"))]
    else:
        name = Path(facts.in_use_name).stem if facts.in_use_name else words(say("Built-in"))
        parts = [name, family_label(facts.family), words(why(facts))]
    return "VAE — " + " · ".join(parts)


def why(facts: Facts) -> Sentence:
    """The rule by which the VAE in use is the one in use."""
    resolution = facts.resolution
    if facts.in_use.path != resolution.path:
        return say("left from before, the choice is not applied yet")
    if resolution.rule is Rule.VAE_PATH:
        return say("set by --vae-path")
    if resolution.rule is Rule.SETTING:
        return say("chosen in settings")
    if resolution.rule is Rule.CARD:
        return say("preferred by the checkpoint's card")
    if resolution.rule is Rule.NEAR_NAME:
        return say("Automatic, by its name")
    if resolution.rule is Rule.MISSING:
        return say("because {file} is missing", file=resolution.missing)
    return say("Automatic found none by name")


def choice_name(choice: Choice, words: Words) -> str:
    if choice.is_automatic:
        return words(say("Automatic"))
    if choice.is_builtin:
        return words(say("Built-in (the checkpoint's own)"))
    return choice.word


def dropdown(facts: Facts, words: Words) -> list[tuple[str, str]]:
    """(label, the WebUI's word) for each option. A VAE known to be of another family stands last, marked."""
    fitting: list[tuple[str, str]] = []
    other: list[tuple[str, str]] = []
    for option in facts.options:
        misfit = option.entry is not None and option.entry.family != facts.family
        (other if misfit else fitting).append((_option_label(option, facts, words), option.word))
    return fitting + other


def _option_label(option: Option, facts: Facts, words: Words) -> str:
    choice = Choice(option.word)
    if choice.is_automatic and facts.choice.is_automatic and facts.resolution.path:
        return words(say("Automatic ({file}, by name)", file=Path(facts.resolution.path).name))
    if choice.file_name is None:
        return choice_name(choice, words)
    if option.missing:
        return words(say("{file} — missing", file=option.word))
    if option.entry is None:
        return option.word
    return f"{option.word} — {option.entry.name} · {family_label(option.entry.family)}"


def status(facts: Facts, words: Words) -> str:
    """The line below the dropdown: what is in use, and why; below it, what goes on or went wrong."""
    lines = [_in_use_line(facts, words)]
    job = facts.choosing
    if job is not None and not job.state.ended:
        name = choice_name(facts.wanted, words)
        text = (
            say("{vae} applies after this picture.", vae=name)
            if facts.generating
            else say("{vae} is being put into the model …", vae=name)
        )
        lines.append(_line(FINE, words(text), words))
    if job is not None and job.state is JobState.FAILED and job.error is not None:
        lines.append(_line(BROKEN, words(job.error), words, _dismiss(job, words)))
    if facts.resolution.rule is Rule.MISSING:
        missing = say(
            "{file} is chosen, but it is not in the VAE folders. The checkpoint's own VAE is used until it is back.",
            file=facts.resolution.missing,
        )
        lines.append(_line(LOOK, words(missing), words))
    lines += [_line(LOOK, words(notice), words) for notice in facts.notices]
    if facts.choose_refused is not None:
        lines.append(_line(LOOK, words(facts.choose_refused), words))
    for problem in facts.problems:
        where = f"{Path(problem.file).name}:{problem.line}"
        lines.append(_line(LOOK, f"{where}: {words(problem.sentence)}", words))
    return "".join(lines)


def _in_use_line(facts: Facts, words: Words) -> str:
    if facts.in_use.checkpoint is None:
        return _paragraph(escape(words(say("No checkpoint is loaded yet; the choice is applied when one is."))))
    name = facts.in_use_name or words(say("Built-in (the checkpoint's own)"))
    details = [words(why(facts)), family_label(facts.family)]
    if facts.in_use_entry is not None:
        details.insert(0, facts.in_use_entry.name)
    if facts.in_use_sha256 is not None:
        details.append(facts.in_use_sha256[:HASH_SHOWN])
    if facts.in_use.dtype is not None:
        details.append(facts.in_use.dtype)
    rest = " · ".join(escape(detail) for detail in details)
    return _paragraph(f"{escape(words(say('In use:')))} <strong>{escape(name)}</strong> · {rest}")


def _paragraph(inner: str) -> str:
    return f'<p class="vm-line">{inner}</p>'


def _dismiss(job: JobView, words: Words) -> str:
    action = escape(json.dumps({"do": "dismiss", "job": job.key}))
    label = escape(words(say("Dismiss")))
    return (
        f'<button type="button" class="vm-dismiss" data-vae-do="{action}" data-vae-key="dismiss" '
        f'aria-label="{label}" title="{label}">✕</button>'
    )


def _line(kind: str, text: str, words: Words, after: str = "") -> str:
    sign, word = {
        FINE: ("…", say("Going on")),
        LOOK: ("!", say("Look here")),
        BROKEN: ("✗", say("Problem")),
    }[kind]
    label = escape(words(word))
    return (
        f'<p class="vm-line vm-{kind}"><span class="vm-sign" role="img" aria-label="{label}">{sign}</span>'
        f"{escape(text)}{after}</p>"
    )


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
    parts.append(_advice(facts, words))
    return "".join(parts)


SHOWN_AT_ONCE = 2


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
        facts.append(_badge("✓", words(say("in use"))))
    elif row.here is not None:
        facts.append(_badge("✓", words(say("here"))))
    return " · ".join(facts)


def _badge(sign: str, text: str) -> str:
    return f'<span class="vm-badge"><span aria-hidden="true">{sign}</span> {escape(text)}</span>'


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
    return (
        f'<details class="vm-terms" data-vae-key="terms {escape(row.entry.id)}">'
        f'<summary class="vm-button">{escape(words(say("Get …")))}</summary>'
        f"<p>{escape(words(text))} {_licence(row.entry, words)}</p>{_get_buttons(row, words, may_use, accept=True)}</details>"
    )


def _button(text: Sentence, entry: Entry, words: Words, *, do: str, primary: bool = False, **more: object) -> str:
    action = json.dumps({"do": do, "entry": entry.id, **more})
    label = words(text)
    cost = f" · {megabytes(entry.size)}" if do == "get" and entry.size is not None and primary else ""
    classes = "vm-button vm-primary" if primary else "vm-button"
    return (
        f'<button type="button" class="{classes}" data-vae-do="{escape(action)}" '
        f'data-vae-key="{escape(do)} {escape(entry.id)} {bool(more.get("use"))}" '
        f'aria-label="{escape(label)} {escape(entry.name)}{escape(cost)}">{escape(label)}{escape(cost)}</button>'
    )


def _row_job(row: Row, words: Words) -> str:
    job = row.job
    if job is None:
        return _kept_line(row, words)
    if job.state is JobState.FAILED and job.error is not None:
        return _line(BROKEN, words(job.error), words)
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
    return _paragraph(escape(words(text)))


def progress_text(job: JobView, words: Words) -> str:
    """What a running download says: phase, or amount, speed and time left."""
    if job.state is JobState.WAITING:
        return words(say("Waiting for its turn"))
    phases = {
        "resolving": say("Asking the hub …"),
        "resuming": say("Checking what is here already …"),
        "proving": say("Checking every byte …"),
        "publishing": say("Putting it in place …"),
    }
    if job.phase in phases or not job.phase:
        return words(phases.get(job.phase, phases["resolving"]))
    parts = [
        words(say("{done} of {total}", done=megabytes(job.done), total=megabytes(job.total)))
        if job.total
        else megabytes(job.done)
    ]
    if job.speed:
        parts.append(f"{megabytes(round(job.speed))}/s")
    if job.seconds_left is not None:
        parts.append(words(_time_left(job.seconds_left)))
    return " · ".join(parts)


def _time_left(seconds: float) -> Sentence:
    if seconds < 90:
        return say("{count} s left", count=max(1, round(seconds)))
    return say("{count} min left", count=round(seconds / 60))


def _advice(facts: Facts, words: Words) -> str:
    """Which one do I need? From the figures that the publishers measured; no claim of our own."""
    paragraphs = [
        say(
            "Every checkpoint carries a VAE of its own (Built-in). Another one changes how colours, eyes, text and "
            "fine detail come out; at worst nothing changes."
        )
    ]
    if facts.family == "sd1":
        paragraphs.append(
            say(
                "Washed-out colours or smeared eyes on SD 1.x: take ft-MSE, the smoother and safer one, or ft-EMA, "
                "the sharper one. On SD 2.x little changes."
            )
        )
    if facts.family == "sdxl":
        paragraphs.append(
            say("Black pictures on SDXL in half precision: take the fp16 fix. Otherwise the built-in VAE is right.")
        )
    text = "".join(_paragraph(escape(words(paragraph))) for paragraph in paragraphs)
    summary = escape(words(say("Which one do I need?")))
    return (
        f'<details class="vm-more" data-vae-key="advice"><summary>{summary}</summary>{text}'
        f"{_figures(facts, words)}</details>"
    )


def _figures(facts: Facts, words: Words) -> str:
    if not facts.measured:
        return ""
    head = "".join(
        f'<th scope="col">{escape(text)}</th>'
        for text in ("VAE", words(say("measured on")), "rFID ↓", "PSNR ↑", "SSIM ↑", "PSIM ↓")
    )
    body = "".join(
        f'<tr><th scope="row">{escape(entry.name)}</th><td>{escape(figure.dataset)}</td><td>{figure.rfid:g}</td>'
        f"<td>{escape(figure.psnr)}</td><td>{escape(figure.ssim)}</td><td>{escape(figure.psim)}</td></tr>"
        for entry in facts.measured
        for figure in entry.evaluations
    )
    note = escape(words(say("Published by the makers: pictures of 256 × 256 encoded and decoded again.")))
    return f'<table class="vm-figures"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{note}</p>'


def settings(facts: Facts, words: Words, *, shown_in_page: bool) -> str:
    """The settings section's own part: the quick-settings switch, and the same offers as in the accordion.

    `shown_in_page` tells whether the page, as it was built, shows SD VAE in the quick settings.
    """
    closed = facts.sources_refused
    limits = _line(LOOK, words(closed), words) if closed is not None else ""
    return _quick_settings(facts, words, shown_in_page) + offers(facts, words) + limits


def _quick_settings(facts: Facts, words: Words, shown_in_page: bool) -> str:
    on = facts.in_quick_settings
    action = escape(json.dumps({"do": "quick-settings", "on": not on}))
    disabled = " disabled" if facts.quick_settings_refused is not None else ""
    label = escape(words(say("Show SD VAE in the quick settings, at the top of every page")))
    switch = (
        f'<button type="button" class="vm-switch" role="switch" aria-checked="{str(on).lower()}" '
        f'data-vae-do="{action}" data-vae-key="quick-settings"{disabled}>'
        f'<span class="vm-knob" aria-hidden="true"></span>{label}</button>'
    )
    reload_button = _reload_button(facts, words) if on != shown_in_page else ""
    refusal = facts.quick_settings_refused
    reason = _line(LOOK, words(refusal), words) if refusal is not None else ""
    return f'<div class="vm-quick">{switch}{reload_button}</div>{reason}'


def _reload_button(facts: Facts, words: Words) -> str:
    action = escape(json.dumps({"do": "reload"}))
    if facts.reload_refused is not None:
        return _line(LOOK, words(say("The change is shown after the next Reload UI.")), words)
    return (
        f'<button type="button" class="vm-button vm-primary" data-vae-do="{action}" data-vae-key="reload">'
        f"{escape(words(say('Reload UI to show the change')))}</button>"
    )


def answer(sentence: Sentence, words: Words) -> str:
    """What a click could not do, and why; read out by screen readers as it appears."""
    return f'<div role="alert">{_line(BROKEN, words(sentence), words)}</div>'
