"""HTML of background work: buttons of jobs, running work, and its outcome."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from typing import TypedDict

from ....jobs import JobState, JobView, Wish
from ....sentences import Sentence, say
from ....upkeep import Told, key_of
from ...translation import Words, plain
from ..facts import Activity, Facts
from .parts import BROKEN, button, dismiss, line
from .progress import amount, percent, progress_text, time_left
from .status import choice_lines

__all__ = ["Answer", "activity_lines", "answers"]


class Figures(TypedDict):
    text: str
    percent: float


def job_buttons(job: JobView, name: str, words: Words, *, area: str, entry: str = "", first: bool = True) -> str:
    """What can be done with it now. `area` keeps the keyboard's place apart where one download is shown twice; what is
    not `first` in the queue can be moved up."""

    def made(text: Sentence, do: str, *, primary: bool = False, **more: object) -> str:
        action = {"do": do, "job": job.key, **({"entry": entry} if entry else {}), **more}
        label, place = words(text), "pause" if do == "resume" else do  # the two take each other's place
        return button(label, action, f"{area} {place} {job.key}", primary=primary, named=f"{label} — {name}")

    if job.state is JobState.FAILED:
        return made(say("Try again"), "retry", primary=True)
    if job.state.ended or job.wish is Wish.STOP:
        return ""
    pausing = job.state is JobState.PAUSED or job.wish is Wish.PAUSE
    pause = made(say("Resume"), "resume", primary=True) if pausing else made(say("Pause"), "pause")
    queued = job.state in (JobState.WAITING, JobState.PAUSED)
    up = made(say("Move up"), "move", step="up") if queued and not first else ""
    return up + pause + made(say("Cancel"), "cancel")


def job_line(job: JobView, name: str, words: Words) -> str:
    """The bar with its figures, or why it failed."""
    if job.state is JobState.FAILED and job.error is not None:
        return line(BROKEN, words(job.error), words, dismiss({"do": "forget", "job": job.key}, words))
    if job.state.ended:
        return ""
    figures = job_figures(job, words)
    text, done = escape(figures["text"]), figures["percent"]
    still = "" if job.state is JobState.RUNNING else " vm-still"
    return (
        f'<div class="vm-progress{still}" data-vae-job="{escape(job.key)}"><div class="vm-bar" role="progressbar" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{round(done)}" aria-valuetext="{text}" '
        f'aria-label="{escape(name)}"><div class="vm-done" style="width:{done}%"></div></div><span>{text}</span></div>'
    )


def job_figures(job: JobView, words: Words) -> Figures:
    """What changes several times a second."""
    return {"text": progress_text(job, words), "percent": percent(job)}


def work_line(job: JobView, words: Words) -> str:
    """The bar of one piece of work, or why it failed."""
    if job.state is JobState.FAILED and job.error is not None:
        return line(BROKEN, words(job.error), words, dismiss({"do": "forget-work", "job": job.key}, words))
    figures = work_figures(job, words)
    name = _title(job, words)
    text, title = escape(figures["text"]), escape(name)
    stop = ""
    if not job.stopping:
        label = words(say("Cancel"))
        action: dict[str, object] = {"do": "stop-work", "job": job.key}
        stop = button(label, action, f"stop {job.key}", named=f"{label} — {name}")
    still = "" if job.state is JobState.RUNNING else " vm-still"
    return (
        f'<div class="vm-work"><strong><bdi>{title}</bdi></strong><div class="vm-progress{still}" '
        f'data-vae-job="{escape(job.key)}"><div class="vm-bar" role="progressbar" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{round(figures["percent"])}" aria-valuetext="{text}" '
        f'aria-label="{title}"><div class="vm-done" style="width:{figures["percent"]}%"></div></div>'
        f"<span>{text}</span></div>{stop}</div>"
    )


def _title(job: JobView, words: Words) -> str:
    """What is done, to which file. The key begins with the kind of work."""
    kind, file = job.key.partition(" ")[0], plain(job.title)
    if kind == "verify-all":
        return words(say("Verifying all files"))
    if kind == "duplicates":
        return words(say("Looking for duplicates"))
    if kind == "verify":
        return words(say("Verifying {file}", file=file))
    if kind == "convert":
        return words(say("Converting {file}", file=file))
    return words(say("Importing {file}", file=file))


def work_figures(job: JobView, words: Words) -> Figures:
    """What changes several times a second."""
    return {"text": " · ".join(words(part) if isinstance(part, Sentence) else part for part in _parts(job)),
            "percent": percent(job)}  # fmt: skip


def _parts(job: JobView) -> list[Sentence | str]:
    if job.state is JobState.WAITING:
        return [say("Waiting for its turn")]
    if job.stopping:
        return [say("Cancelling …")]
    if not job.total:
        return [say("Beginning …")]
    parts: list[Sentence | str] = [say("{done} of {total}", done=amount(job.done), total=amount(job.total))]
    if job.speed is not None:
        parts.append(f"{amount(round(job.speed))}/s")
    if job.seconds_left is not None:
        parts.append(time_left(job.seconds_left))
    return parts


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
