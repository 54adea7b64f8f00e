"""Which VAE is in use, and why: the accordion's title and the line below the dropdown."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from ....choice import Choice, Rule
from ....jobs import JobState, JobView
from ....sentences import Sentence, say
from ....upkeep import key_of
from ...faults import Fault
from ...hosts.permissions import Refusal, Swap
from ...translation import Words, plain
from ..facts import Facts
from ..vae_options import CHOICE_KEY, family_label
from .advice import checkpoint_button, checkpoint_lines
from .labels import choice_name, family_name, question_word
from .parts import BROKEN, FINE, LOOK, button, dismiss, line, paragraph, with_buttons


def faults(found: Sequence[Fault], words: Words) -> str:
    return "".join(line(BROKEN, words(fault.sentence), words) for fault in found)


HASH_SHOWN = 10
"""Digits of a hash that the WebUI shows in infotext."""


def title(facts: Facts, words: Words, tab_choice: str = "") -> str:
    """The closed accordion's title, plain text: which VAE, of which family, why."""
    if tab_choice:
        parts = [choice_name(Choice(tab_choice), words), words(say("this tab only"))]
    elif facts.in_use.checkpoint is None and facts.in_use.coming is not None:
        name = facts.wanted.file_name
        named = Path(name).stem if name is not None else choice_name(facts.wanted, words)
        parts = [named, words(say("with the next picture"))]
    elif facts.in_use.checkpoint is None:
        parts = [words(say("no checkpoint is loaded yet"))]
    else:
        name = Path(facts.in_use_name).stem if facts.in_use_name else words(say("Built-in"))
        family = facts.in_use_family
        parts = [name, *([family_name(family, words)] if family.family is not None else [])]
        if facts.is_of_other_family:
            parts.append(words(question_word("other-family" if family.sure else "probably-other-family")))
        parts += _why_in_title(facts, words)
    return "VAE — " + " · ".join([*parts, *_marks(facts, words)])


def _why_in_title(facts: Facts, words: Words) -> list[str]:
    """The rule, unless a mark says it already."""
    return [] if facts.is_setting_refused and _refused_name(facts, words) is not None else [words(why(facts))]


def _marks(facts: Facts, words: Words) -> list[str]:
    """A closed accordion shows that a choice was refused or asks something, and which files are not used."""
    marks = [_mark("!", words(say("{file} is not used", file=one.name))) for one in facts.in_use.ignored]
    name = _refused_name(facts, words)
    if name is None:
        return marks
    if facts.choosing_asks and _has_failed(facts.choosing):
        return [_mark("!", words(say("a question about {vae}", vae=name))), *marks]
    return [_mark("✗", words(say("{vae} was refused", vae=name))), *marks]


def _mark(sign: str, text: str) -> str:
    """Keep the sign and the first word on one line of a narrow page."""
    return f"{sign}\N{NO-BREAK SPACE}{text}"


def _refused_name(facts: Facts, words: Words) -> str | None:
    """What was refused last, as long as nobody has dismissed that."""
    if facts.choosing is not None and facts.choosing.state is JobState.FAILED:
        return choice_name(Choice(facts.choosing.key.removeprefix(CHOICE_KEY)), words)
    return Path(facts.refusal.path).name if facts.refusal is not None else None


def why(facts: Facts) -> Sentence:
    """The rule by which the VAE in use is the one in use."""
    resolution = facts.resolution
    if facts.in_use.overridden and facts.in_use.path != resolution.path:
        return say("for the picture that is being made; your choice comes back after it")
    if facts.is_setting_refused:
        return say("because {vae} was refused", vae=Path(resolution.path or "").name)
    if facts.in_use.path != resolution.path:
        return say("the previous one; your choice is not applied yet")
    if resolution.rule is Rule.VAE_PATH:
        return say("set by --vae-path")
    if resolution.rule is Rule.SETTING:
        return say("your choice")
    if resolution.rule is Rule.CARD:
        return say("preferred by the checkpoint's card")
    if resolution.rule is Rule.NEAR_NAME:
        return say("Automatic, by its name")
    if resolution.rule is Rule.FAMILY:
        return say("Automatic, your default for {family}", family=family_label(facts.family))
    if resolution.rule in (Rule.MISSING, Rule.FAMILY_MISSING):
        return say("because {file} is missing", file=resolution.missing)
    return say("Automatic found none by name")


def status(facts: Facts, words: Words) -> str:
    """The line below the dropdown: what is in use, and why; below it, what goes on or went wrong."""
    lines = [_in_use_line(facts, words), checkpoint_lines(facts, words)]
    choosing = choice_lines(facts, words)
    if choosing:
        lines.append(f'<div data-vae-said="choice">{choosing}</div>')
    if facts.refusal is not None:
        lines.append(_refused(facts.refusal, facts, words))
    if facts.stuck is not None and not _has_failed(facts.choosing) and facts.in_use.refusal is None:
        lines.append(_stuck(facts, words))
    if facts.resolution.rule is Rule.MISSING:
        missing = say(
            "{file} is chosen, but the WebUI does not list it. The checkpoint's own VAE is used until it does.",
            file=facts.resolution.missing,
        )
        lines.append(line(LOOK, words(missing), words))
    if facts.resolution.rule is Rule.FAMILY_MISSING:
        missing = say(
            "{file} is your default for {family}, but the WebUI does not list it. The checkpoint's own VAE is used "
            "until it does.",
            file=facts.resolution.missing,
            family=family_label(facts.family),
        )
        lines.append(line(LOOK, words(missing), words))
    lines += [line(LOOK, words(one.sentence), words) for one in facts.in_use.ignored]
    lines += [line(LOOK, words(notice), words) for notice in facts.notices]
    lines += [line(LOOK, words(sentence), words) for sentence in facts.damage]
    if facts.damage and facts.damage_refused is None:
        label = words(say("Hide this message"))
        lines.append(paragraph(button(label, {"do": "forget-damage"}, "forget-damage")))
    if facts.choose_refused is not None:
        lines.append(line(LOOK, words(facts.choose_refused), words))
    for problem in facts.problems:
        where = f"{Path(problem.file).name}:{problem.line}"
        lines.append(line(LOOK, f"{where}: {words(problem.sentence)}", words))
    return "".join(lines)


def choice_lines(facts: Facts, words: Words) -> str:
    """The choice that is being made, or why it was refused, or what it asks."""
    job = facts.choosing
    if job is None:
        return ""
    if job.state is JobState.FAILED and job.error is not None:
        return _failure(job, job.error, facts, words)
    if job.state.ended:
        return ""
    name = choice_name(facts.wanted, words)
    text = (
        say("{vae} applies after this picture.", vae=name)
        if facts.generating
        else say("{vae} is being put into the model …", vae=name)
    )
    return line(FINE, words(text), words)


def _has_failed(job: JobView | None) -> bool:
    return job is not None and job.state is JobState.FAILED


def not_loaded(facts: Facts) -> Sentence:
    """There is no checkpoint in memory."""
    if facts.in_use.coming is None:
        return say("No checkpoint is loaded yet; the choice is applied when one is.")
    return say(
        "{checkpoint} is loaded with the next picture; the choice is applied then.", checkpoint=facts.in_use.coming
    )


def _swapped(swap: Swap) -> Sentence:
    """How long it took; below ten milliseconds the first digit behind the point tells, above it is noise."""
    milliseconds = swap.seconds * 1000
    time = f"{milliseconds:.1f}" if milliseconds < 10 else f"{milliseconds:.0f}"
    if swap.from_memory:
        return say("loaded from memory in {time} ms", time=time)
    return say("loaded from its file in {time} ms", time=time)


def _stuck(facts: Facts, words: Words) -> str:
    """The setting means a file that the WebUI cannot load as it is."""
    word = facts.stuck.word if facts.stuck is not None else ""
    text = say("{file} cannot be loaded as it is. A conversion makes a second file that can.", file=word)
    return line(LOOK, words(text), words, _convert_button(facts, words))


def _convert_button(facts: Facts, words: Words) -> str:
    """For the file that was chosen and cannot be loaded, where a conversion helps."""
    option = facts.stuck
    if option is None or option.file is None or facts.change_refused or facts.choose_refused:
        return ""
    label = words(say("Convert and use"))
    action: dict[str, object] = {"do": "convert-file", "file": key_of(option.file.path), "use": True}
    return button(label, action, f"convert {option.word}", primary=True, named=f"{label} — {option.word}")


def _refused(refusal: Refusal, facts: Facts, words: Words) -> str:
    """What was asked for by the WebUI's own settings, or through its API."""
    after = dismiss({"do": "dismiss-refusal", "serial": refusal.serial}, words)
    convert = "" if _has_failed(facts.choosing) else _convert_button(facts, words)
    return line(BROKEN, words(refusal.sentence), words, convert + after)


def _failure(job: JobView, error: Sentence, facts: Facts, words: Words) -> str:
    after = dismiss({"do": "dismiss", "job": job.key}, words)
    if not facts.choosing_asks:
        return line(BROKEN, words(error), words, _convert_button(facts, words) + after)
    choice = job.key.removeprefix(CHOICE_KEY)
    anyway = button(words(say("Use anyway")), {"do": "choose-anyway", "choice": choice}, f"anyway {choice}")
    return line(LOOK, words(error), words, anyway + after)


def _in_use_line(facts: Facts, words: Words) -> str:
    if facts.in_use.checkpoint is None:
        return paragraph(escape(words(not_loaded(facts))))
    name = facts.in_use_name or words(say("Built-in (the checkpoint's own)"))
    details = [words(why(facts))]
    details += _families(facts, words)
    if facts.in_use_entry is not None:
        details.insert(0, facts.in_use_entry.name)
    elif facts.in_use.path is None and facts.builtin.name is not None:
        details.insert(0, words(say("same weights as {file}", file=plain(facts.builtin.name))))
    if facts.in_use_sha256 is not None:
        details.append(facts.in_use_sha256[:HASH_SHOWN])
    if facts.in_use.dtype is not None:
        details.append(facts.in_use.dtype)
    if (swap := facts.in_use.swap) is not None:
        details.append(words(_swapped(swap)))
    rest = " · ".join(escape(detail) for detail in details)
    told = paragraph(f"{escape(words(say('In use:')))} <strong>{escape(name)}</strong> · {rest}")
    return with_buttons(told, _compare_button(words) + checkpoint_button(facts, words))


def _families(facts: Facts, words: Words) -> list[str]:
    """The family of the VAE in use, with the checkpoint's if that is another one; nothing for an unknown file."""
    if facts.in_use_family.family is None:
        return []
    theirs = family_name(facts.in_use_family, words)
    if not facts.is_of_other_family:
        return [theirs]
    ours = family_label(facts.in_use.family or "")
    return [words(say("{theirs}; the checkpoint is {ours}", theirs=theirs, ours=ours))]


def _compare_button(words: Words) -> str:
    """Opens the comparison; the browser knows which tab's picture is meant."""
    text = escape(words(say("Compare on last picture")))
    return f'<button type="button" class="vm-button" data-vae-compare data-vae-key="compare">{text}</button>'
