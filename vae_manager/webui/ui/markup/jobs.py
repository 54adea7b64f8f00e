"""A download's buttons and its bar: the same in the row of an offer and in the queue."""

from __future__ import annotations

from html import escape
from typing import TypedDict

from ....jobs import JobState, JobView, Wish
from ....sentences import Sentence, say
from ...words import Words
from .parts import BROKEN, button, dismiss, line
from .progress import percent, progress_text


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
