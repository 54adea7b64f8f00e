"""Components of HTML that the views share: lines, buttons, badges, questions, progress."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Final

from ....errors import RefusedError
from ....jobs import JobState, JobView, PendingCommand
from ....messages import Message, msg
from ...translation import Translator, plain

__all__ = ["Question"]


class Question(RefusedError):
    """Nothing was done: `action` does it, once a person has clicked `label`."""

    def __init__(self, message: Message, label: Message, action: dict[str, object]) -> None:
        super().__init__(message)
        self.label = label
        self.action = action


def progress_text(job: JobView, translate: Translator) -> str:
    """How a download stands: its place, its phase, or amount, speed and time left."""
    return " · ".join(part if isinstance(part, str) else translate(part) for part in _parts(job, translate))


def _parts(job: JobView, translate: Translator) -> list[Message | str]:
    amount_done = _amount_done(job) if job.done else None
    if job.state is JobState.PAUSED:
        return [msg("Paused"), *([amount_done] if amount_done is not None else [])]
    if job.state is JobState.WAITING:
        if job.position is not None and job.position > 1:
            return [msg("Waiting: number {place} in the queue", place=job.position)]
        return [msg("Waiting for its turn")]
    if job.command is PendingCommand.STOP:
        return [msg("Cancelling …")]
    if job.command is PendingCommand.PAUSE:
        return [msg("Pausing …")]
    phases = {
        "resolving": msg("Looking for the file …"),
        "resuming": msg("Checking what is here already …"),
        "proving": msg("Checking every byte …"),
        "publishing": msg("Putting it in place …"),
    }
    if job.phase == "waiting":
        return [_others(job)]
    if job.phase in phases or not job.phase:
        return [phases.get(job.phase, phases["resolving"])]
    parts: list[Message | str] = [_amount_done(job)]
    if job.speed is not None:
        parts.append(f"{amount(round(job.speed))}/s")
    if job.seconds_left is not None:
        parts.append(time_left(job.seconds_left))
    return parts


def _amount_done(job: JobView) -> Message | str:
    if not job.total:
        return amount(job.done)
    return msg("{done} of {total}", done=amount(job.done), total=amount(job.total))


def _others(job: JobView) -> Message:
    """Another process on this machine, or on the shared folder, has it; this one takes what comes of it."""
    if not job.total:
        return msg("Another program is fetching it; {done} are there.", done=amount(job.done))
    return msg(
        "Another program is fetching it; {done} of {total} are there.", done=amount(job.done), total=amount(job.total)
    )


def percent(job: JobView) -> float:
    return min(100.0, round(100 * job.done / job.total, 1)) if job.total else 0.0


def amount(count: int) -> str:
    """`count` bytes with three digits: 1.23 MB, 12.3 MB, 123 MB."""
    if count < 999_500:
        return f"{count / 1e3:.0f} kB"
    value, unit = (count / 1e9, "GB") if count >= 999_500_000 else (count / 1e6, "MB")
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


def time_left(seconds: float) -> Message:
    """As fine as it is meant: half a second in twenty would be a lie of its own."""
    if seconds < 19.95:
        return msg("{count} s left", count=f"{max(0.1, seconds):.1f}")
    if seconds < 120:
        return msg("{count} s left", count=round(seconds))
    if seconds < 1200:
        minutes, rest = divmod(5 * round(seconds / 5), 60)
        return msg("{minutes} min {seconds} s left", minutes=minutes, seconds=rest)
    if seconds < 7200:
        return msg("{count} min left", count=round(seconds / 60))
    hours, minutes = divmod(round(seconds / 60), 60)
    return msg("{hours} h {minutes} min left", hours=hours, minutes=minutes)


def time_taken(seconds: float) -> Message:
    if seconds < 10:
        return msg("{count} s", count=f"{seconds:.1f}")
    if seconds < 120:
        return msg("{count} s", count=round(seconds))
    return msg("{count} min", count=round(seconds / 60))


INFO, WARNING, ERROR = "fine", "look", "broken"
"""Three kinds of lines; each has a sign and a word beside its colour."""


_BREAK: Final = re.compile(r"(?<=[._\-\s])(?=[^._\-\s])")


def file_name(name: str) -> str:
    """A file's name as HTML, which may break behind its separators."""
    return "<wbr>".join(escape(part) for part in _BREAK.split(plain(name)))


def preview(key: str, *, large: bool = False) -> str:
    """The picture beside a file; `key` is the file's."""
    kind = "vm-preview vm-large" if large else "vm-preview"
    return f'<img class="{kind}" src="./vae-manager/preview/{key}" alt="" loading="lazy" decoding="async">'


def copy_button(sha256: str, name: str, translate: Translator, *, shown: str) -> str:
    """Copies a hash; it shows the first digits, or all of them."""
    label, done = escape(translate(msg("Copy SHA-256"))), escape(translate(msg("copied")))
    spoken = f"{label} {escape(shown)} — {escape(name)}"
    return (
        f'<button type="button" class="vm-copy" data-vae-copy="{escape(sha256)}" data-vae-copied="{done}" '
        f'title="{label}" aria-label="{spoken}"><code>{escape(shown)}</code></button>'
    )


def paragraph(inner: str) -> str:
    return f'<p class="vm-line">{inner}</p>'


def line(kind: str, text: str, translate: Translator, after: str = "") -> str:
    sign, word = {
        INFO: ("…", msg("In progress")),
        WARNING: ("!", msg("Warning")),
        ERROR: ("✗", msg("Problem")),
    }[kind]
    label = escape(translate(word))
    return (
        f'<p class="vm-line vm-{kind}"><span class="vm-sign" role="img" aria-label="{label}">{sign}</span>'
        f"{escape(plain(text))}{after}</p>"
    )


def badge(sign: str, text: str) -> str:
    return f'<span class="vm-badge"><span aria-hidden="true">{sign}</span> {escape(text)}</span>'


def question(asked: Question, translate: Translator) -> str:
    """A question, with the button that is the answer to it."""
    after = button(translate(asked.label), asked.action, "answer") + _close(translate)
    return f'<div role="alert">{line(WARNING, translate(asked.message), translate, after)}</div>'


def answer(message: Message, translate: Translator, *, can_close: bool = False) -> str:
    """What a click could not do, and why; read out by screen readers as it appears."""
    close = _close(translate) if can_close else ""
    return f'<div role="alert">{line(ERROR, translate(message), translate, close)}</div>'


def _close(translate: Translator) -> str:
    """Closes an answer that the browser alone keeps."""
    label = escape(translate(msg("Hide this message")))
    return f'<button type="button" class="vm-dismiss" data-vae-close aria-label="{label}" title="{label}">✕</button>'


def button(label: str, action: dict[str, object], key: str, *, primary: bool = False, named: str = "") -> str:
    """A button that sends `action` to the server. `key` is its name across renewals of the page, so that it keeps the
    keyboard's focus; `named` is what screen readers say where `label` alone would not tell."""
    classes = "vm-button vm-primary" if primary else "vm-button"
    spoken = f' aria-label="{escape(named)}"' if named else ""
    return (
        f'<button type="button" class="{classes}" data-vae-do="{escape(json.dumps(action))}" '
        f'data-vae-key="{escape(key)}"{spoken}>{escape(label)}</button>'
    )


def one_primary(*parts: str) -> list[str]:
    """The same HTML with one primary button in all: the first. Several at once say nothing."""
    mark, seen, found = " vm-primary", False, []
    for part in parts:
        before, primary, after = part.partition(mark)
        found.append(part.replace(mark, "") if seen else before + primary + after.replace(mark, ""))
        seen = seen or bool(primary)
    return found


def with_buttons(told: str, buttons: str) -> str:
    """What is told, and at the end of its line what can be done."""
    return f'<div class="vm-told">{told}<div class="vm-do">{buttons}</div></div>' if buttons else told


def dismiss(action: dict[str, object], translate: Translator) -> str:
    """The small cross at the end of a line that has been read."""
    label = escape(translate(msg("Hide this message")))
    return (
        f'<button type="button" class="vm-dismiss" data-vae-do="{escape(json.dumps(action))}" '
        f'data-vae-key="{escape(" ".join(map(str, action.values())))}" aria-label="{label}" title="{label}">✕</button>'
    )
