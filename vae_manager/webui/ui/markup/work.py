"""Work on the library, while it goes on: its bar, its figures, what went wrong."""

from __future__ import annotations

from html import escape

from ....jobs import JobState, JobView
from ....sentences import Sentence, say
from ...words import Words, plain
from .jobs import Figures
from .parts import BROKEN, button, dismiss, line
from .progress import amount, percent, time_left


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
