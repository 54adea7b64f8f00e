"""Views of the status line and of background work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from markupsafe import Markup

from ....choice import Choice, Rule
from ....jobs import JobState, JobView, PendingCommand
from ....maintenance import Notice, key_of
from ....messages import Message, msg
from ...faults import Fault
from ...hosts.host_values import Refusal, Swap
from ...translation import Translator
from .. import actions
from ..rendering import (
    ERROR,
    INFO,
    PLAIN,
    WARNING,
    Button,
    Line,
    Progress,
    amount,
    percent,
    progress_text,
    render,
    time_left,
)
from ..vae_options import CHOICE_KEY, family_label
from ..view_model import Activity, Facts
from .labels import checkpoint_button, checkpoint_lines, choice_name, family_name, question_word

__all__ = ["Answer", "activity_lines", "answers"]


def lines(found: Sequence[Line], translate: Translator) -> Markup:
    return render("components.html", "lines", translate, found)


def faults(found: Sequence[Fault], translate: Translator) -> Markup:
    return lines([Line(ERROR, fault.message) for fault in found], translate)


HASH_SHOWN = 10
"""Digits of a hash that the WebUI shows in infotext."""


def title(facts: Facts, translate: Translator, tab_choice: str = "") -> str:
    """Return the closed accordion's title in plain text: the VAE, its family, the reason."""
    if tab_choice:
        parts = [choice_name(Choice(tab_choice), translate), translate(msg("this tab only", code="this-tab-only"))]
    elif facts.in_use.checkpoint is None and facts.in_use.coming is not None:
        name = facts.wanted.file_name
        named = Path(name).stem if name is not None else choice_name(facts.wanted, translate)
        parts = [named, translate(msg("with the next picture", code="with-next-picture"))]
    elif facts.in_use.checkpoint is None:
        parts = [translate(msg("no checkpoint is loaded yet", code="none-loaded"))]
    else:
        name = Path(facts.in_use_name).stem if facts.in_use_name else translate(msg("Built-in"))
        family = facts.in_use_family
        parts = [name, *([family_name(family, translate)] if family.family is not None else [])]
        if facts.is_of_other_family:
            parts.append(translate(question_word("other-family" if family.sure else "probably-other-family")))
        parts += _why_in_title(facts, translate)
    return "VAE — " + " · ".join([*parts, *_marks(facts, translate)])


def _why_in_title(facts: Facts, translate: Translator) -> list[str]:
    """Return the rule, unless a mark already expresses it."""
    return [] if facts.is_setting_refused and _refused_name(facts, translate) is not None else [translate(why(facts))]


def _marks(facts: Facts, translate: Translator) -> list[str]:
    """Return marks for the closed accordion: a refusal or a question, and files that are not used."""
    marks = [
        _mark("!", translate(msg("{file} is not used", code="not-used", file=one.name))) for one in facts.in_use.ignored
    ]
    name = _refused_name(facts, translate)
    if name is None:
        return marks
    if facts.choosing_asks and _has_failed(facts.choosing):
        return [_mark("!", translate(msg("a question about {vae}", code="asked-about", vae=name))), *marks]
    return [_mark("✗", translate(msg("{vae} was refused", code="was-refused", vae=name))), *marks]


def _mark(sign: str, text: str) -> str:
    """Keep the sign and the first word on one line of a narrow page."""
    return f"{sign}\N{NO-BREAK SPACE}{text}"


def _refused_name(facts: Facts, translate: Translator) -> str | None:
    """Return the name of the last refused choice, until its dismissal."""
    if facts.choosing is not None and facts.choosing.state is JobState.FAILED:
        return choice_name(Choice(facts.choosing.key.removeprefix(CHOICE_KEY)), translate)
    return Path(facts.refusal.path).name if facts.refusal is not None else None


def why(facts: Facts) -> Message:
    """Return the rule that selected the VAE in use."""
    resolution = facts.resolution
    if facts.in_use.overridden and facts.in_use.path != resolution.path:
        return msg("for the picture that is being made; your choice comes back after it", code="for-this-picture")
    if facts.is_setting_refused:
        return msg("because {vae} was refused", code="because-refused", vae=Path(resolution.path or "").name)
    if facts.in_use.path != resolution.path:
        return msg("the previous one; your choice is not applied yet", code="not-applied-yet")
    if resolution.rule is Rule.VAE_PATH:
        return msg("set by --vae-path", code="by-vae-path")
    if resolution.rule is Rule.SETTING:
        return msg("your choice", code="by-choice")
    if resolution.rule is Rule.CARD:
        return msg("preferred by the checkpoint's card", code="by-card")
    if resolution.rule is Rule.NEAR_NAME:
        return msg("Automatic, by its name", code="by-name")
    if resolution.rule is Rule.FAMILY:
        return msg("Automatic, your default for {family}", code="by-family", family=family_label(facts.family or ""))
    if resolution.rule in (Rule.MISSING, Rule.FAMILY_MISSING):
        return msg("because {file} is missing", code="because-missing", file=resolution.missing)
    return msg("Automatic found none by name", code="none-by-name")


def status(facts: Facts, translate: Translator) -> Markup:
    """Render the line below the dropdown: the VAE in use and the reason; below it, current work and problems."""
    return render(
        "status.html",
        "status",
        translate,
        not_loaded=not_loaded(facts) if facts.in_use.checkpoint is None else None,
        name=facts.in_use_name or msg("Built-in (the checkpoint's own)", code="built-in"),
        details=_details(facts, translate),
        acts=checkpoint_button(facts, translate),
        checkpoint=checkpoint_lines(facts, translate),
        choosing=_choice(facts, translate),
        rest=_lines(facts, translate),
    )


def _lines(facts: Facts, translate: Translator) -> list[Line]:
    lines = []
    if facts.refusal is not None:
        lines.append(_refused(facts.refusal, facts))
    if facts.stuck is not None and not _has_failed(facts.choosing) and facts.in_use.refusal is None:
        lines.append(_stuck(facts))
    warnings: list[Message | str] = []
    if facts.resolution.rule is Rule.MISSING:
        warnings.append(
            msg(
                "{file} is chosen, but the WebUI does not list it. The checkpoint's own VAE is used until it does.",
                code="chosen-not-listed",
                file=facts.resolution.missing,
            )
        )
    if facts.resolution.rule is Rule.FAMILY_MISSING:
        warnings.append(
            msg(
                "{file} is your default for {family}, but the WebUI does not list it. The checkpoint's own VAE is used "
                "until it does.",
                code="default-not-listed",
                file=facts.resolution.missing,
                family=family_label(facts.family or ""),
            )
        )
    warnings += [*(one.message for one in facts.in_use.ignored), *facts.notices, *facts.damage]
    lines += [Line(WARNING, warning) for warning in warnings]
    if facts.damage and facts.damage_refused is None:
        hide = Button(msg("Hide this message"), actions.ForgetDamage().as_dict(), "forget-damage")
        lines.append(Line(PLAIN, "", [hide]))
    if facts.choose_refused is not None:
        lines.append(Line(WARNING, facts.choose_refused))
    for problem in facts.problems:
        where = f"{Path(problem.file).name}:{problem.line}"
        lines.append(Line(WARNING, f"{where}: {translate(problem.message)}"))
    return lines


def choice_lines(facts: Facts, translate: Translator) -> Markup:
    """Render the choice that is being made, its refusal, or its question."""
    return lines(_choice(facts, translate), translate)


def _choice(facts: Facts, translate: Translator) -> list[Line]:
    job = facts.choosing
    if job is None:
        return []
    if job.state is JobState.FAILED and job.error is not None:
        return [_failure(job, job.error, facts)]
    if job.state.ended:
        return []
    name = choice_name(facts.wanted, translate)
    if facts.generating:
        return [Line(INFO, msg("{vae} applies after this picture.", code="after-this-picture", vae=name))]
    return [Line(INFO, msg("{vae} is being put into the model …", code="being-applied", vae=name))]


def _has_failed(job: JobView | None) -> bool:
    return job is not None and job.state is JobState.FAILED


def not_loaded(facts: Facts) -> Message:
    """Return the notice for an empty model: no checkpoint is in memory."""
    if facts.in_use.coming is None:
        return msg("No checkpoint is loaded yet; the choice is applied when one is.", code="no-checkpoint")
    return msg(
        "{checkpoint} is loaded with the next picture; the choice is applied then.",
        code="checkpoint-coming",
        checkpoint=facts.in_use.coming,
    )


def _swapped(swap: Swap) -> Message:
    """Return the time of a swap; below 10 ms with one decimal, which is noise above that."""
    milliseconds = swap.seconds * 1000
    time = f"{milliseconds:.1f}" if milliseconds < 10 else f"{milliseconds:.0f}"
    if swap.from_memory:
        return msg("loaded from memory in {time} ms", code="from-memory", time=time)
    return msg("loaded from its file in {time} ms", code="from-file", time=time)


def _stuck(facts: Facts) -> Line:
    """Return the line for a setting whose file the WebUI cannot load as it is."""
    word = facts.stuck.word if facts.stuck is not None else ""
    text = msg(
        "{file} cannot be loaded as it is. A conversion makes a second file that can.",
        code="needs-conversion",
        file=word,
    )
    return Line(WARNING, text, _convert_button(facts))


def _convert_button(facts: Facts) -> list[Button]:
    """Return the button that converts the chosen unloadable file, if a conversion helps."""
    option = facts.stuck
    if option is None or option.file is None or facts.change_refused or facts.choose_refused:
        return []
    action = actions.ConvertFile(key_of(option.file.path), use=True).as_dict()
    return [Button(msg("Convert and use"), action, f"convert {option.word}", option.word, primary=True)]


def _refused(refusal: Refusal, facts: Facts) -> Line:
    """Return the line for a refusal of the WebUI's own settings or API."""
    convert = [] if _has_failed(facts.choosing) else _convert_button(facts)
    dismissal = actions.DismissRefusal(refusal.serial).as_dict()
    return Line(ERROR, refusal.message, convert, dismissal=dismissal)


def _failure(job: JobView, error: Message, facts: Facts) -> Line:
    dismissal = actions.Dismiss(job.key).as_dict()
    if not facts.choosing_asks:
        return Line(ERROR, error, _convert_button(facts), dismissal=dismissal)
    choice = job.key.removeprefix(CHOICE_KEY)
    anyway = Button(msg("Use anyway"), actions.ChooseAnyway(choice).as_dict(), f"anyway {choice}")
    return Line(WARNING, error, [anyway], dismissal=dismissal)


def _details(facts: Facts, translate: Translator) -> list[Message | str]:
    """Return known properties of the VAE in use, for the text after its name."""
    details: list[Message | str] = [why(facts), *_families(facts, translate)]
    if facts.in_use_entry is not None:
        details.insert(0, facts.in_use_entry.name)
    elif facts.in_use.path is None and facts.builtin.name is not None:
        details.insert(0, msg("same weights as {file}", code="same-weights", file=facts.builtin.name))
    details += [known for known in ((facts.in_use_sha256 or "")[:HASH_SHOWN], facts.in_use.dtype) if known]
    return details if facts.in_use.swap is None else [*details, _swapped(facts.in_use.swap)]


def _families(facts: Facts, translate: Translator) -> list[Message | str]:
    """Return the family of the VAE in use, with the checkpoint's if they differ; empty for an unknown file."""
    if facts.in_use_family.family is None:
        return []
    theirs = family_name(facts.in_use_family, translate)
    if not facts.is_of_other_family:
        return [theirs]
    ours = family_label(facts.in_use.family or "")
    return [msg("{theirs}; the checkpoint is {ours}", code="families-differ", theirs=theirs, ours=ours)]


class Figures(TypedDict):
    text: str
    percent: float


def job_buttons(job: JobView, name: str, *, area: str, entry: str = "", first: bool = True) -> list[Button]:
    """Return the actions that are possible now.

    `area` makes the keys unique if one download is shown twice; a job that is not `first` in the queue can be moved up.
    """

    def made(label: Message, action: actions.Action, *, primary: bool = False) -> Button:
        kind = actions.Pause if isinstance(action, actions.Resume) else type(action)  # the two take each other's place
        place = kind.wire_name
        sent = action.as_dict(entry=entry) if entry else action.as_dict()
        return Button(label, sent, f"{area} {place} {job.key}", name, primary)

    if job.state is JobState.FAILED:
        return [made(msg("Try again"), actions.Retry(job.key), primary=True)]
    if job.state.ended or job.command is PendingCommand.STOP:
        return []
    pausing = job.state is JobState.PAUSED or job.command is PendingCommand.PAUSE
    resume, pause = actions.Resume(job.key), actions.Pause(job.key)
    turn = made(msg("Resume"), resume, primary=True) if pausing else made(msg("Pause"), pause)
    queued = job.state in (JobState.WAITING, JobState.PAUSED)
    up = [made(msg("Move up"), actions.Move(job.key, "up"))] if queued and not first else []
    return [*up, turn, made(msg("Cancel"), actions.Cancel(job.key))]


def job_line(job: JobView, name: str, translate: Translator) -> list[Line | Progress]:
    """Return the progress bar with its figures, or the reason of the failure."""
    if job.state is JobState.FAILED and job.error is not None:
        return [Line(ERROR, job.error, dismissal=actions.Forget(job.key).as_dict())]
    return [] if job.state.ended else [_progress(job, name, job_figures(job, translate))]


def _progress(job: JobView, name: str, figures: Figures) -> Progress:
    return Progress(name, figures["text"], figures["percent"], job.key, is_still=job.state is not JobState.RUNNING)


def job_figures(job: JobView, translate: Translator) -> Figures:
    """Return the figures that change several times a second."""
    return {"text": progress_text(job, translate), "percent": percent(job)}


def work_line(job: JobView, translate: Translator) -> Markup:
    """Render the progress bar of one job, or the reason of its failure."""
    name = translate(_title(job))
    stop = [Button(msg("Cancel"), actions.StopWork(job.key).as_dict(), f"stop {job.key}", name)]
    it: Line | Progress = _progress(job, name, work_figures(job, translate))
    if job.state is JobState.FAILED and job.error is not None:
        it = Line(ERROR, job.error, dismissal=actions.ForgetWork(job.key).as_dict())
    return render("status.html", "work", translate, it, stop=[] if job.is_stopping else stop)


def _title(job: JobView) -> Message:
    """Return the kind of work and its file. The job's key begins with the kind."""
    kind = job.key.partition(" ")[0]
    if kind == "verify-all":
        return msg("Verifying all files")
    if kind == "duplicates":
        return msg("Looking for duplicates")
    if kind in ("verify", "keep"):
        return msg("Verifying {file}", file=job.title)
    if kind == "convert":
        return msg("Converting {file}", file=job.title)
    return msg("Importing {file}", file=job.title)


def work_figures(job: JobView, translate: Translator) -> Figures:
    """Return the figures that change several times a second."""
    return {"text": " · ".join(translate(part) if isinstance(part, Message) else part for part in _parts(job)),
            "percent": percent(job)}  # fmt: skip


def _parts(job: JobView) -> list[Message | str]:
    if job.state is JobState.WAITING:
        return [msg("Waiting for its turn", code="waiting-for-turn")]
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
"""Keys of answers; a job's answer has the job's key."""


class Answer(TypedDict):
    """HTML that may answer a click."""

    key: str
    """Its kind, by which the browser finds the click."""
    id: str
    """An identifier of the event: an answer from before the click has another one."""
    html: Markup


def answers(facts: Facts, activity: Activity, translate: Translator) -> Sequence[Answer]:
    """Return all possible answers to a click."""
    found = _of_activity(activity, translate)
    if facts.choosing is not None:
        found.insert(
            0, {"key": CHOICE, "id": f"{CHOICE} {facts.choosing.serial}", "html": choice_lines(facts, translate)}
        )
    return [answer for answer in found if answer["html"]]


def activity_lines(activity: Activity, translate: Translator) -> Markup:
    """Render the same answers in their usual place, without the choice."""
    return render("status.html", "activity", translate, _of_activity(activity, translate))


def _of_activity(activity: Activity, translate: Translator) -> list[Answer]:
    found = [_work(job, translate) for job in activity.work]
    if activity.told is not None:
        told = activity.told
        found.append({"key": NOTICE, "id": f"{NOTICE} {told.serial}", "html": _notice(told, activity, translate)})
    return found


def _work(job: JobView, translate: Translator) -> Answer:
    return {"key": job.key, "id": f"work {job.serial}", "html": work_line(job, translate)}


def _notice(told: Notice, activity: Activity, translate: Translator) -> Markup:
    acts, made = [], told.made
    if told.restorable is not None:
        action = actions.RestoreFile(told.restorable, "").as_dict()
        acts.append(Button(msg("Restore"), action, "restore last"))
    if made is not None and activity.can_choose and str(made) != activity.in_use:  # a new file can be used at once
        acts.append(Button(msg("Use"), actions.UseFile(key_of(made)).as_dict(), "use made", made.name, primary=True))
    problems = [(key_of(file.path), reason) for file, reason in told.problems]
    return render("status.html", "notice", translate, told.message, acts, problems)
