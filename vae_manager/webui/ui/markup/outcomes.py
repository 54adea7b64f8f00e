"""What has come of clicks: the choice that was made last, work on the library, and its last notice.

Each stands in its usual place, and the page's script shows it where the click was (javascript/vae_answers.js).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import TypedDict

from ....jobs import JobView
from ....sentences import Sentence, say
from ....upkeep import Told, key_of
from ...words import Words, plain
from ..facts import Activity, Facts
from .parts import button
from .status import choice_lines
from .work import work_line

__all__ = ["Answer", "activity_lines", "answers"]

CHOICE, NOTICE = "choice", "told"
"""Keys of answers; work has the keys of its jobs."""


class Answer(TypedDict):
    key: str
    """Its kind, by which the browser finds the click that it answers."""
    id: str
    """Another one for each event: what was there before the click is no answer to it."""
    html: str


def answers(facts: Facts, activity: Activity, words: Words) -> Sequence[Answer]:
    """All that may answer a click."""
    found = _of_activity(activity, words)
    if facts.choosing is not None:
        found.insert(0, {"key": CHOICE, "id": f"{CHOICE} {facts.choosing.serial}", "html": choice_lines(facts, words)})
    return [answer for answer in found if answer["html"]]


def activity_lines(activity: Activity, words: Words) -> str:
    """The same, without the choice, in its usual place."""
    return "".join(
        f'<div data-vae-said="{escape(one["key"])}">{one["html"]}</div>' for one in _of_activity(activity, words)
    )


def _of_activity(activity: Activity, words: Words) -> list[Answer]:
    found = [_work(job, words) for job in activity.work]
    if activity.told is not None:
        told = activity.told
        found.append({"key": NOTICE, "id": f"{NOTICE} {told.serial}", "html": _notice(told, activity, words)})
    return found


def _work(job: JobView, words: Words) -> Answer:
    return {"key": job.key, "id": f"work {job.serial}", "html": work_line(job, words)}


def _notice(told: Told, activity: Activity, words: Words) -> str:
    buttons = _restore(told, words) + _use_made(told, activity, words)
    return _line(told.sentence, buttons, {"do": "forget-told"}, words, _not_right(told, words))


def _restore(told: Told, words: Words) -> str:
    if told.restorable is None:
        return ""
    action: dict[str, object] = {"do": "restore-file", "entry": told.restorable, "name": ""}
    return button(words(say("Restore")), action, "restore last")


def _use_made(told: Told, activity: Activity, words: Words) -> str:
    """A file that is new can be used at once."""
    made = told.made
    if made is None or not activity.can_choose or str(made) == activity.in_use:
        return ""
    label = words(say("Use"))
    action: dict[str, object] = {"do": "use-file", "file": key_of(made)}
    return button(label, action, "use made", primary=True, named=f"{label} — {plain(made.name)}")


def _not_right(told: Told, words: Words) -> str:
    """The files that a verification found not to be right, each with its reason; a click selects the file."""
    items = "".join(
        f'<li data-vae-row="{key_of(file.path)}"><button type="button" class="vm-name" data-vae-select '
        f'data-vae-key="problem {key_of(file.path)}">{escape(plain(words(reason)))}</button></li>'
        for file, reason in told.problems
    )
    return f'<ul class="vm-caught">{items}</ul>' if items else ""


def _line(text: Sentence, buttons: str, read: dict[str, object], words: Words, below: str = "") -> str:
    kind = "vm-look" if below else "vm-fine"
    return f'<div class="vm-line {kind}">{escape(plain(words(text)))} {buttons}{_read(read, words)}{below}</div>'


def _read(action: dict[str, object], words: Words) -> str:
    label = escape(words(say("Hide this message")))
    return (
        f'<button type="button" class="vm-dismiss" data-vae-do="{escape(json.dumps(action))}" '
        f'data-vae-key="{action["do"]}" aria-label="{label}" title="{label}">✕</button>'
    )
