"""Views of the catalogue, of the downloads, and of the download settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from markupsafe import Markup

from ....catalogue import Entry
from ....downloads import Download, DownloadOutcome, PastDownload, UnfinishedDownload
from ....jobs import JobState
from ....messages import Message, megabytes, msg
from ...translation import Translator
from .. import actions
from ..rendering import PLAIN, WARNING, Button, Line, Progress, amount, one_primary, render, time_taken, use_here
from ..vae_options import family_label
from ..view_model import Facts, Row
from .status import job_buttons, job_line, lines

SHOWN_AT_ONCE = 2

_html = partial(render, "download_list.html")


def offers(facts: Facts, translate: Translator) -> Markup:
    """Render the VAEs that are offered for this checkpoint: the first ones visible, the others folded."""
    return _html(
        "offers",
        translate,
        first=[offer(row, facts, translate) for row in facts.rows if _stands_out(row, facts.rows)],
        others=[offer(row, facts, translate) for row in facts.rows if not _stands_out(row, facts.rows)],
        label=family_label(facts.family or ""),
        is_unknown=facts.family is None,
        facts=facts,
    )


def catalogue(facts: Facts, translate: Translator) -> Markup:
    """Render all offered VAEs: those for the loaded checkpoint visible, those of each other family folded."""
    return _html(
        "catalogue",
        translate,
        family=family_label(facts.family) if facts.family is not None else None,
        own=[offer(row, facts, translate) for row in facts.rows],
        others=[
            (f"catalogue {family}", family_label(family), [offer(row, facts, translate) for row in rows])
            for family, rows in facts.others
        ],
    )


def offer(row: Row, facts: Facts, translate: Translator) -> Mapping[str, object]:
    """Return one VAE that can be downloaded, or is in the library."""
    buttons, terms = _offer_buttons(row, facts, translate, facts.choose_refused is None and _fits(row, facts))
    below = _offer_lines(row, translate)
    return {"row": row, "buttons": buttons, "terms": terms, "terms_refused": facts.terms_refused, "below": below}


def _fits(row: Row, facts: Facts) -> bool:
    """Return False for another family than the loaded checkpoint's, or if that is unknown."""
    return facts.family is not None and facts.in_use.family in (None, row.entry.family)


def _stands_out(row: Row, rows: Sequence[Row]) -> bool:
    """Return True for the catalogue's first two, the user's own, and entries that are downloading or have failed."""
    return row.job is not None or row.left is not None or row.entry.evidence == "user" or row in rows[:SHOWN_AT_ONCE]


def _offer_buttons(row: Row, facts: Facts, translate: Translator, may_use: bool) -> tuple[Sequence[Button], bool]:
    """Return the buttons, and True if they come after the terms."""
    entry, job, may_manage = row.entry, row.job, facts.downloads_refused is None
    if job is not None and not job.state.ended:
        return job_buttons(job, entry.name, area="row", entry=entry.id) if may_manage else (), False
    if row.here is not None:
        use = _button(msg("Use"), entry, translate, use_here(row.here.name, entry=entry.id))
        return [] if row.in_use or not may_use else [use], False
    if job is not None and job.state is JobState.FAILED and may_manage:
        return job_buttons(job, entry.name, area="row", entry=entry.id), False
    return _get_buttons(row, facts, translate, may_use, accept=row.terms_open), row.terms_open


def _get_buttons(row: Row, facts: Facts, translate: Translator, may_use: bool, *, accept: bool) -> list[Button]:
    entry = row.entry
    use = msg("Continue and use") if row.left else msg("Accept, get and use") if accept else msg("Get and use")
    get = msg("Continue") if row.left else msg("Accept and get") if accept else msg("Get")
    to_come = entry.size - row.left.done if row.left and entry.size is not None else None
    buttons = [_button(get, entry, translate, actions.Get(entry.id, use=False, accept=accept).as_dict())]
    if may_use:
        action = actions.Get(entry.id, use=True, accept=accept).as_dict()
        buttons.insert(0, _button(use, entry, translate, action, size=to_come))
    if row.left is not None and facts.downloads_refused is None:
        action = actions.Discard(row.left.key).as_dict(entry=entry.id)
        buttons.append(_button(msg("Discard"), entry, translate, action))
    return buttons


def _button(
    text: Message, entry: Entry, translate: Translator, action: Mapping[str, object], *, size: int | None = None
) -> Button:
    """Make the download button; `size` is the amount to download, if it differs from the file size in the row."""
    label = f"{translate(text)} · {megabytes(size)}" if size is not None else text
    is_use = bool(action.get("use"))
    return Button(label, action, f"{action['do']} {entry.id} {is_use}", entry.name, is_use)


def _offer_lines(row: Row, translate: Translator) -> Sequence[Line | Progress]:
    if row.job is not None and (not row.job.state.ended or row.job.state is JobState.FAILED):
        return job_line(row.job, row.entry.name, translate)
    if row.left is None or row.here is not None:
        return ()
    return [kept_line(row.left.done, row.entry.size or row.left.total)]


SHOWN_PAST = 10
WAYS: Mapping[str, Message] = {"linked": msg("linked"), "cloned": msg("cloned"), "copied": msg("copied")}
"""The words for a `transfer.Way`."""


def downloads_now(facts: Facts, translate: Translator) -> Markup:
    """Render the accordion's line: running downloads that no offer shows, and the link to the others."""
    offered = {row.job.key for row in facts.rows if row.job is not None}
    moving = [one for one in facts.downloads if not one.job.state.ended]
    running = next((one for one in moving if one.job.state is JobState.RUNNING), None)
    shown = None
    if running is not None and running.job.key not in offered:
        shown = _shown(running, facts, translate, area="now")
    return _html("downloads_now", translate, shown, len(moving) + len(facts.left))


def downloads(facts: Facts, translate: Translator) -> Markup:
    """Render the queue in its order, the unfinished downloads, and the history."""
    offered = {row.job.key for row in facts.rows if row.job is not None}
    shown = [one for one in facts.downloads if not one.job.state.ended]
    shown += [one for one in facts.downloads if one.job.state is JobState.FAILED and one.job.key not in offered]
    queued = [one.job.key for one in shown if one.job.state in (JobState.WAITING, JobState.PAUSED)]
    queue = [_shown(one, facts, translate, area="queue", first=one.job.key in queued[:1]) for one in shown] + [
        _unfinished(left, name, facts) for left, name in facts.left
    ]
    return _html("downloads", translate, queue, [_past(past, translate) for past in facts.past[:SHOWN_PAST]])


def _shown(
    one: Download, facts: Facts, translate: Translator, *, area: str, first: bool = True
) -> Mapping[str, object]:
    job, name, size = one.job, one.wanted.name, one.job.total or one.wanted.request.size
    buttons = job_buttons(job, name, area=area, first=first) if facts.downloads_refused is None else ()
    return {"key": job.key, "name": name, "size": size, "buttons": buttons, "below": job_line(job, name, translate)}


def _unfinished(left: UnfinishedDownload, name: str, facts: Facts) -> Mapping[str, object]:
    """Return an interrupted download, with buttons that continue or discard it."""
    buttons = [
        Button(msg("Continue"), actions.Continue(left.key).as_dict(), f"left continue {left.key}", name),
        Button(msg("Discard"), actions.Discard(left.key).as_dict(), f"left discard {left.key}", name),
    ]
    shown, below = buttons if facts.downloads_refused is None else (), [kept_line(left.done, left.total)]
    return {"key": left.key, "name": name, "size": left.total, "buttons": shown, "below": below}


def kept_line(done: int, total: int | None) -> Line:
    """Return the line about an unfinished download of `done` and `total` bytes; 0 bytes: it has not begun."""
    text = msg("It was waiting for its turn when the WebUI ended.")
    here = amount(done)
    if done and total is None:
        text = msg("{done} are here already; the download goes on from there.", done=here)
    elif done and total is not None:
        whole = amount(total)
        text = msg("{done} of {total} are here already; the download goes on from there.", done=here, total=whole)
    return Line(PLAIN, text)


# -- the history ---------------------------------------------------------------------------------------------------
def _past(past: PastDownload, translate: Translator) -> Mapping[str, object]:
    figures = [megabytes(past.size)] if past.size is not None and past.ending is not DownloadOutcome.CANCELLED else []
    if past.speed is not None and past.ending is DownloadOutcome.DELIVERED:
        figures.append(f"⌀ {amount(round(past.speed))}/s")
    return {
        "past": past,
        "taken": _taken(past),
        "figures": " · ".join(figures),
        "ending": _ending(past),
        "has_failed": past.ending is DownloadOutcome.FAILED,
        "sources": ", ".join(map(translate.place, past.sources)),
        "time": time_taken(past.seconds) if past.seconds else None,
    }


def _taken(past: PastDownload) -> Message | None:
    """Return the line about bytes that this machine had already; None for a download."""
    way = WAYS.get(past.taken_as or "")
    if past.taken_from is None or way is None:
        return None
    return msg(
        "Taken from {place}, {way}; 0 bytes downloaded.",
        code="taken-from",
        place=past.taken_from,
        way=way,
    )


def _ending(past: PastDownload) -> tuple[str, Message]:
    if past.ending is DownloadOutcome.FAILED:
        return "✗", msg("failed")
    if past.ending is DownloadOutcome.CANCELLED:
        return "–", msg("cancelled")
    if past.ending is DownloadOutcome.ALREADY_THERE:
        return "✓", msg("already here", code="already-here")
    if past.problem is not None and not past.proven:
        return "!", msg("cannot be used", code="not-usable")
    return ("✓", msg("verified")) if past.proven else ("!", msg("unverified"))


# -- the forms -----------------------------------------------------------------------------------------------------
def forms(facts: Facts, translate: Translator) -> Markup:
    """Render the field for an address, and the one for the key of a site that requires it.

    It is a region of its own that changes seldom, since an update of the queue must not replace text that is being
    typed.
    """
    remove = Button(msg("Remove"), actions.RemoveKey().as_dict(), "remove-key", translate(msg("Civitai API key")))
    return _html("forms", translate, facts.sources_refused, facts.key_saved, remove)


def settings(facts: Facts, translate: Translator, *, shown_in_page: bool, offered: Markup | None = None) -> Markup:
    """Render the extension's part of the settings: the quick-settings switch, and the offers of the accordion.

    `shown_in_page` is True if the page was built with SD VAE in the quick settings; `offered` are the offers, if they
    are rendered already.
    """
    closed = facts.sources_refused
    switch = _html(
        "quick_settings",
        translate,
        on=facts.in_quick_settings,
        refused=facts.quick_settings_refused,
        reload=_reload_button(facts) if facts.in_quick_settings != shown_in_page else [],
    )
    switch, offered = one_primary(switch, offers(facts, translate) if offered is None else offered)
    return switch + offered + lines([Line(WARNING, closed)] if closed is not None else [], translate)


def _reload_button(facts: Facts) -> list[Button] | None:
    """Return the button that reloads the page; None if this visitor cannot use it."""
    if facts.reload_refused is not None:
        return None
    return [Button(msg("Reload UI to show the change"), actions.Reload().as_dict(), "reload", primary=True)]
