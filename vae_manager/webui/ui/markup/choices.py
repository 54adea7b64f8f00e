"""How a choice is called, and the lines of the dropdown."""

from __future__ import annotations

from pathlib import Path

from ....catalogue.families import FamilyGuess
from ....choice import Choice, Rule
from ....records.verdict import AskFirst, Refused, Verdict
from ....sentences import Sentence, say
from ...translation import Words
from ..facts import Facts
from ..options import Option, family_label, needs_conversion, sorts_last


def choice_name(choice: Choice, words: Words) -> str:
    if choice.is_automatic:
        return words(say("Automatic"))
    if choice.is_builtin:
        return words(say("Built-in (the checkpoint's own)"))
    return choice.word


def family_name(family: FamilyGuess, words: Words) -> str:
    """The label of a family that is known; a guess is worded as one."""
    label = family_label(family.family or "")
    return label if family.sure else words(say("{family}, guess", family=label))


def dropdown(facts: Facts, words: Words) -> list[tuple[str, str]]:
    """(label, the WebUI's word) for each option. What does not fit the loaded checkpoint stands last, marked, but for
    what is chosen, which stays where it was chosen."""
    fitting: list[tuple[str, str]] = []
    other: list[tuple[str, str]] = []
    for option in facts.options:
        last = sorts_last(option.answer) and option.word != facts.wanted.word
        (other if last else fitting).append((_option_label(option, facts, words), option.word))
    return fitting + other


def _option_label(option: Option, facts: Facts, words: Words) -> str:
    choice = Choice(option.word)
    if choice.is_automatic and facts.choice.is_automatic and facts.resolution.path:
        file = Path(facts.resolution.path).name
        if facts.resolution.rule is Rule.NEAR_NAME:
            return words(say("Automatic ({file}, by name)", file=file))
        if facts.resolution.rule is Rule.CARD:
            return words(say("Automatic ({file}, by the checkpoint's card)", file=file))
        if facts.resolution.rule is Rule.FAMILY:
            return words(
                say("Automatic ({file}, your default for {family})", file=file, family=family_label(facts.family))
            )
    if choice.file_name is None:
        return choice_name(choice, words)
    if option.missing:
        return words(say("{file} — missing", file=option.word))
    parts = [option.word if option.entry is None else f"{option.word} — {option.entry.name}"]
    if option.record is not None and option.record.family.family is not None:
        parts.append(family_name(option.record.family, words))
    return " · ".join([*parts, *_marks(option.answer, words)])


def _marks(answer: Verdict | None, words: Words) -> list[str]:
    """Return the reason why the option stands last."""
    if isinstance(answer, Refused):
        return [words(say("⚠ cannot be loaded"))]
    if needs_conversion(answer):
        return [words(say("⚠ needs converting"))]
    if isinstance(answer, AskFirst):
        return [words(question_word(answer.reason.code))]
    return []


def question_word(code: str) -> Sentence:
    """Return the reason of a question in a few words."""
    if code == "other-family":
        return say("⚠ other family")
    if code == "probably-other-family":
        return say("⚠ probably another family")
    if code == "probably-unfinished":
        return say("⚠ perhaps unfinished")
    return say("⚠ unusual network")
