"""Views of the status line and of background work."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TypedDict

from ....choice import Choice, Rule
from ....jobs import JobState, JobView, PendingCommand
from ....maintenance import Notice, key_of
from ....messages import Message, msg
from ...faults import Fault
from ...hosts.host_values import Refusal, Swap
from ...translation import Translator, plain
from ..vae_options import CHOICE_KEY, family_label
from ..view_model import Activity, Facts
from .components import (
    ERROR,
    INFO,
    WARNING,
    amount,
    button,
    dismiss,
    line,
    paragraph,
    percent,
    progress_text,
    time_left,
    with_buttons,
)
from .labels import checkpoint_button, checkpoint_lines, choice_name, family_name, question_word

__all__ = ["Answer", "activity_lines", "answers"]


def faults(found: Sequence[Fault], translate: Translator) -> str:
    return "".join(line(ERROR, translate(fault.message), translate) for fault in found)


HASH_SHOWN = 10
"""Digits of a hash that the WebUI shows in infotext."""


def title(facts: Facts, translate: Translator, tab_choice: str = "") -> str:
    """The closed accordion's title, plain text: which VAE, of which family, why."""
    if tab_choice:
        parts = [choice_name(Choice(tab_choice), translate), translate(msg("this tab only"))]
    elif facts.in_use.checkpoint is None and facts.in_use.coming is not None:
        name = facts.wanted.file_name
        named = Path(name).stem if name is not None else choice_name(facts.wanted, translate)
        parts = [named, translate(msg("with the next picture"))]
    elif facts.in_use.checkpoint is None:
        parts = [translate(msg("no checkpoint is loaded yet"))]
    else:
        name = Path(facts.in_use_name).stem if facts.in_use_name else translate(msg("Built-in"))
        family = facts.in_use_family
        parts = [name, *([family_name(family, translate)] if family.family is not None else [])]
        if facts.is_of_other_family:
            parts.append(translate(question_word("other-family" if family.sure else "probably-other-family")))
        parts += _why_in_title(facts, translate)
    return "VAE — " + " · ".join([*parts, *_marks(facts, translate)])


def _why_in_title(facts: Facts, translate: Translator) -> list[str]:
    """The rule, unless a mark says it already."""
    return [] if facts.is_setting_refused and _refused_name(facts, translate) is not None else [translate(why(facts))]


def _marks(facts: Facts, translate: Translator) -> list[str]:
    """A closed accordion shows that a choice was refused or asks something, and which files are not used."""
    marks = [_mark("!", translate(msg("{file} is not used", file=one.name))) for one in facts.in_use.ignored]
    name = _refused_name(facts, translate)
    if name is None:
        return marks
    if facts.choosing_asks and _has_failed(facts.choosing):
        return [_mark("!", translate(msg("a question about {vae}", vae=name))), *marks]
    return [_mark("✗", translate(msg("{vae} was refused", vae=name))), *marks]


def _mark(sign: str, text: str) -> str:
    """Keep the sign and the first word on one line of a narrow page."""
    return f"{sign}\N{NO-BREAK SPACE}{text}"


def _refused_name(facts: Facts, translate: Translator) -> str | None:
    """What was refused last, as long as nobody has dismissed that."""
    if facts.choosing is not None and facts.choosing.state is JobState.FAILED:
        return choice_name(Choice(facts.choosing.key.removeprefix(CHOICE_KEY)), translate)
    return Path(facts.refusal.path).name if facts.refusal is not None else None


def why(facts: Facts) -> Message:
    """The rule by which the VAE in use is the one in use."""
    resolution = facts.resolution
    if facts.in_use.overridden and facts.in_use.path != resolution.path:
        return msg("for the picture that is being made; your choice comes back after it")
    if facts.is_setting_refused:
        return msg("because {vae} was refused", vae=Path(resolution.path or "").name)
    if facts.in_use.path != resolution.path:
        return msg("the previous one; your choice is not applied yet")
    if resolution.rule is Rule.VAE_PATH:
        return msg("set by --vae-path")
    if resolution.rule is Rule.SETTING:
        return msg("your choice")
    if resolution.rule is Rule.CARD:
        return msg("preferred by the checkpoint's card")
    if resolution.rule is Rule.NEAR_NAME:
        return msg("Automatic, by its name")
    if resolution.rule is Rule.FAMILY:
        return msg("Automatic, your default for {family}", family=family_label(facts.family))
    if resolution.rule in (Rule.MISSING, Rule.FAMILY_MISSING):
        return msg("because {file} is missing", file=resolution.missing)
    return msg("Automatic found none by name")


def status(facts: Facts, translate: Translator) -> str:
    """The line below the dropdown: what is in use, and why; below it, what goes on or went wrong."""
    lines = [_in_use_line(facts, translate), checkpoint_lines(facts, translate)]
    choosing = choice_lines(facts, translate)
    if choosing:
        lines.append(f'<div data-vae-said="choice">{choosing}</div>')
    if facts.refusal is not None:
        lines.append(_refused(facts.refusal, facts, translate))
    if facts.stuck is not None and not _has_failed(facts.choosing) and facts.in_use.refusal is None:
        lines.append(_stuck(facts, translate))
    if facts.resolution.rule is Rule.MISSING:
        missing = msg(
            "{file} is chosen, but the WebUI does not list it. The checkpoint's own VAE is used until it does.",
            file=facts.resolution.missing,
        )
        lines.append(line(WARNING, translate(missing), translate))
    if facts.resolution.rule is Rule.FAMILY_MISSING:
        missing = msg(
            "{file} is your default for {family}, but the WebUI does not list it. The checkpoint's own VAE is used "
            "until it does.",
            file=facts.resolution.missing,
            family=family_label(facts.family),
        )
        lines.append(line(WARNING, translate(missing), translate))
    lines += [line(WARNING, translate(one.message), translate) for one in facts.in_use.ignored]
    lines += [line(WARNING, translate(notice), translate) for notice in facts.notices]
    lines += [line(WARNING, translate(message), translate) for message in facts.damage]
    if facts.damage and facts.damage_refused is None:
        label = translate(msg("Hide this message"))
        lines.append(paragraph(button(label, {"do": "forget-damage"}, "forget-damage")))
    if facts.choose_refused is not None:
        lines.append(line(WARNING, translate(facts.choose_refused), translate))
    for problem in facts.problems:
        where = f"{Path(problem.file).name}:{problem.line}"
        lines.append(line(WARNING, f"{where}: {translate(problem.message)}", translate))
    return "".join(lines)


def choice_lines(facts: Facts, translate: Translator) -> str:
    """The choice that is being made, or why it was refused, or what it asks."""
    job = facts.choosing
    if job is None:
        return ""
    if job.state is JobState.FAILED and job.error is not None:
        return _failure(job, job.error, facts, translate)
    if job.state.ended:
        return ""
    name = choice_name(facts.wanted, translate)
    text = (
        msg("{vae} applies after this picture.", vae=name)
        if facts.generating
        else msg("{vae} is being put into the model …", vae=name)
    )
    return line(INFO, translate(text), translate)


def _has_failed(job: JobView | None) -> bool:
    return job is not None and job.state is JobState.FAILED


def not_loaded(facts: Facts) -> Message:
    """There is no checkpoint in memory."""
    if facts.in_use.coming is None:
        return msg("No checkpoint is loaded yet; the choice is applied when one is.")
    return msg(
        "{checkpoint} is loaded with the next picture; the choice is applied then.", checkpoint=facts.in_use.coming
    )


def _swapped(swap: Swap) -> Message:
    """How long it took; below ten milliseconds the first digit behind the point tells, above it is noise."""
    milliseconds = swap.seconds * 1000
    time = f"{milliseconds:.1f}" if milliseconds < 10 else f"{milliseconds:.0f}"
    if swap.from_memory:
        return msg("loaded from memory in {time} ms", time=time)
    return msg("loaded from its file in {time} ms", time=time)


def _stuck(facts: Facts, translate: Translator) -> str:
    """The setting means a file that the WebUI cannot load as it is."""
    word = facts.stuck.word if facts.stuck is not None else ""
    text = msg("{file} cannot be loaded as it is. A conversion makes a second file that can.", file=word)
    return line(WARNING, translate(text), translate, _convert_button(facts, translate))


def _convert_button(facts: Facts, translate: Translator) -> str:
    """For the file that was chosen and cannot be loaded, where a conversion helps."""
    option = facts.stuck
    if option is None or option.file is None or facts.change_refused or facts.choose_refused:
        return ""
    label = translate(msg("Convert and use"))
    action: dict[str, object] = {"do": "convert-file", "file": key_of(option.file.path), "use": True}
    return button(label, action, f"convert {option.word}", primary=True, named=f"{label} — {option.word}")


def _refused(refusal: Refusal, facts: Facts, translate: Translator) -> str:
    """What was asked for by the WebUI's own settings, or through its API."""
    after = dismiss({"do": "dismiss-refusal", "serial": refusal.serial}, translate)
    convert = "" if _has_failed(facts.choosing) else _convert_button(facts, translate)
    return line(ERROR, translate(refusal.message), translate, convert + after)


def _failure(job: JobView, error: Message, facts: Facts, translate: Translator) -> str:
    after = dismiss({"do": "dismiss", "job": job.key}, translate)
    if not facts.choosing_asks:
        return line(ERROR, translate(error), translate, _convert_button(facts, translate) + after)
    choice = job.key.removeprefix(CHOICE_KEY)
    anyway = button(translate(msg("Use anyway")), {"do": "choose-anyway", "choice": choice}, f"anyway {choice}")
    return line(WARNING, translate(error), translate, anyway + after)


def _in_use_line(facts: Facts, translate: Translator) -> str:
    if facts.in_use.checkpoint is None:
        return paragraph(escape(translate(not_loaded(facts))))
    name = facts.in_use_name or translate(msg("Built-in (the checkpoint's own)"))
    details = [translate(why(facts))]
    details += _families(facts, translate)
    if facts.in_use_entry is not None:
        details.insert(0, facts.in_use_entry.name)
    elif facts.in_use.path is None and facts.builtin.name is not None:
        details.insert(0, translate(msg("same weights as {file}", file=plain(facts.builtin.name))))
    if facts.in_use_sha256 is not None:
        details.append(facts.in_use_sha256[:HASH_SHOWN])
    if facts.in_use.dtype is not None:
        details.append(facts.in_use.dtype)
    if (swap := facts.in_use.swap) is not None:
        details.append(translate(_swapped(swap)))
    rest = " · ".join(escape(detail) for detail in details)
    told = paragraph(f"{escape(translate(msg('In use:')))} <strong>{escape(name)}</strong> · {rest}")
    return with_buttons(told, _compare_button(translate) + checkpoint_button(facts, translate))


def _families(facts: Facts, translate: Translator) -> list[str]:
    """The family of the VAE in use, with the checkpoint's if that is another one; nothing for an unknown file."""
    if facts.in_use_family.family is None:
        return []
    theirs = family_name(facts.in_use_family, translate)
    if not facts.is_of_other_family:
        return [theirs]
    ours = family_label(facts.in_use.family or "")
    return [translate(msg("{theirs}; the checkpoint is {ours}", theirs=theirs, ours=ours))]


def _compare_button(translate: Translator) -> str:
    """Opens the comparison; the browser knows which tab's picture is meant."""
    text = escape(translate(msg("Compare on last picture")))
    return f'<button type="button" class="vm-button" data-vae-compare data-vae-key="compare">{text}</button>'


class Figures(TypedDict):
    text: str
    percent: float


def job_buttons(
    job: JobView, name: str, translate: Translator, *, area: str, entry: str = "", first: bool = True
) -> str:
    """What can be done with it now. `area` keeps the keyboard's place apart where one download is shown twice; what is
    not `first` in the queue can be moved up."""

    def made(text: Message, do: str, *, primary: bool = False, **more: object) -> str:
        action = {"do": do, "job": job.key, **({"entry": entry} if entry else {}), **more}
        label, place = translate(text), "pause" if do == "resume" else do  # the two take each other's place
        return button(label, action, f"{area} {place} {job.key}", primary=primary, named=f"{label} — {name}")

    if job.state is JobState.FAILED:
        return made(msg("Try again"), "retry", primary=True)
    if job.state.ended or job.command is PendingCommand.STOP:
        return ""
    pausing = job.state is JobState.PAUSED or job.command is PendingCommand.PAUSE
    pause = made(msg("Resume"), "resume", primary=True) if pausing else made(msg("Pause"), "pause")
    queued = job.state in (JobState.WAITING, JobState.PAUSED)
    up = made(msg("Move up"), "move", step="up") if queued and not first else ""
    return up + pause + made(msg("Cancel"), "cancel")


def job_line(job: JobView, name: str, translate: Translator) -> str:
    """The bar with its figures, or why it failed."""
    if job.state is JobState.FAILED and job.error is not None:
        return line(ERROR, translate(job.error), translate, dismiss({"do": "forget", "job": job.key}, translate))
    if job.state.ended:
        return ""
    figures = job_figures(job, translate)
    text, done = escape(figures["text"]), figures["percent"]
    still = "" if job.state is JobState.RUNNING else " vm-still"
    return (
        f'<div class="vm-progress{still}" data-vae-job="{escape(job.key)}"><div class="vm-bar" role="progressbar" '
        f'aria-valuemin="0" aria-valuemax="100" aria-valuenow="{round(done)}" aria-valuetext="{text}" '
        f'aria-label="{escape(name)}"><div class="vm-done" style="width:{done}%"></div></div><span>{text}</span></div>'
    )


def job_figures(job: JobView, translate: Translator) -> Figures:
    """What changes several times a second."""
    return {"text": progress_text(job, translate), "percent": percent(job)}


def work_line(job: JobView, translate: Translator) -> str:
    """The bar of one piece of work, or why it failed."""
    if job.state is JobState.FAILED and job.error is not None:
        return line(ERROR, translate(job.error), translate, dismiss({"do": "forget-work", "job": job.key}, translate))
    figures = work_figures(job, translate)
    name = _title(job, translate)
    text, title = escape(figures["text"]), escape(name)
    stop = ""
    if not job.is_stopping:
        label = translate(msg("Cancel"))
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


def _title(job: JobView, translate: Translator) -> str:
    """What is done, to which file. The key begins with the kind of work."""
    kind, file = job.key.partition(" ")[0], plain(job.title)
    if kind == "verify-all":
        return translate(msg("Verifying all files"))
    if kind == "duplicates":
        return translate(msg("Looking for duplicates"))
    if kind == "verify":
        return translate(msg("Verifying {file}", file=file))
    if kind == "convert":
        return translate(msg("Converting {file}", file=file))
    return translate(msg("Importing {file}", file=file))


def work_figures(job: JobView, translate: Translator) -> Figures:
    """What changes several times a second."""
    return {"text": " · ".join(translate(part) if isinstance(part, Message) else part for part in _parts(job)),
            "percent": percent(job)}  # fmt: skip


def _parts(job: JobView) -> list[Message | str]:
    if job.state is JobState.WAITING:
        return [msg("Waiting for its turn")]
    if job.is_stopping:
        return [msg("Cancelling …")]
    if not job.total:
        return [msg("Beginning …")]
    parts: list[Message | str] = [msg("{done} of {total}", done=amount(job.done), total=amount(job.total))]
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


def answers(facts: Facts, activity: Activity, translate: Translator) -> Sequence[Answer]:
    """All that may answer a click."""
    found = _of_activity(activity, translate)
    if facts.choosing is not None:
        found.insert(
            0, {"key": CHOICE, "id": f"{CHOICE} {facts.choosing.serial}", "html": choice_lines(facts, translate)}
        )
    return [answer for answer in found if answer["html"]]


def activity_lines(activity: Activity, translate: Translator) -> str:
    """The same, without the choice, in its usual place."""
    return "".join(
        f'<div data-vae-said="{escape(one["key"])}">{one["html"]}</div>' for one in _of_activity(activity, translate)
    )


def _of_activity(activity: Activity, translate: Translator) -> list[Answer]:
    found = [_work(job, translate) for job in activity.work]
    if activity.told is not None:
        told = activity.told
        found.append({"key": NOTICE, "id": f"{NOTICE} {told.serial}", "html": _notice(told, activity, translate)})
    return found


def _work(job: JobView, translate: Translator) -> Answer:
    return {"key": job.key, "id": f"work {job.serial}", "html": work_line(job, translate)}


def _notice(told: Notice, activity: Activity, translate: Translator) -> str:
    buttons = _restore(told, translate) + _use_made(told, activity, translate)
    return _line(told.message, buttons, {"do": "forget-told"}, translate, _not_right(told, translate))


def _restore(told: Notice, translate: Translator) -> str:
    if told.restorable is None:
        return ""
    action: dict[str, object] = {"do": "restore-file", "entry": told.restorable, "name": ""}
    return button(translate(msg("Restore")), action, "restore last")


def _use_made(told: Notice, activity: Activity, translate: Translator) -> str:
    """A file that is new can be used at once."""
    made = told.made
    if made is None or not activity.can_choose or str(made) == activity.in_use:
        return ""
    label = translate(msg("Use"))
    action: dict[str, object] = {"do": "use-file", "file": key_of(made)}
    return button(label, action, "use made", primary=True, named=f"{label} — {plain(made.name)}")


def _not_right(told: Notice, translate: Translator) -> str:
    """The files that a verification found not to be right, each with its reason; a click selects the file."""
    items = "".join(
        f'<li data-vae-row="{key_of(file.path)}"><button type="button" class="vm-name" data-vae-select '
        f'data-vae-key="problem {key_of(file.path)}">{escape(plain(translate(reason)))}</button></li>'
        for file, reason in told.problems
    )
    return f'<ul class="vm-caught">{items}</ul>' if items else ""


def _line(text: Message, buttons: str, read: dict[str, object], translate: Translator, below: str = "") -> str:
    kind = "vm-look" if below else "vm-fine"
    return (
        f'<div class="vm-line {kind}">{escape(plain(translate(text)))} {buttons}{_read(read, translate)}{below}</div>'
    )


def _read(action: dict[str, object], translate: Translator) -> str:
    label = escape(translate(msg("Hide this message")))
    return (
        f'<button type="button" class="vm-dismiss" data-vae-do="{escape(json.dumps(action))}" '
        f'data-vae-key="{action["do"]}" aria-label="{label}" title="{label}">✕</button>'
    )
