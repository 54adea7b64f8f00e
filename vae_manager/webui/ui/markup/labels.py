"""Labels of problems, families and choices, and the lines of the dropdown."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ....catalogue.families import FamilyGuess
from ....choice import Choice, Rule
from ....library.verification import Outcome
from ....records.verdict import AskFirst, Refused, Verdict
from ....sentences import Sentence, say
from ...translation import Words
from ..facts import Facts
from ..vae_options import Option, family_label, needs_conversion, sorts_last

DAMAGED: Final = frozenset(
    {
        "truncated", "overlapping", "bad-header", "bad-offsets", "bad-zip", "bad-pickle", "duplicate-key",
        "header-too-long", "nan", "damaged",
    }
)  # fmt: skip


def problem_word(code: str) -> Sentence:
    """Return the word for a code of a problem or of a verdict."""
    if code == "empty":
        return say("empty")
    if code == "web-page":
        return say("a web page")
    if code == "lfs-pointer":
        return say("a pointer only")
    if code in DAMAGED:
        return say("damaged")
    if code == "unreadable":
        return say("cannot be read")
    if code == "wrong-suffix":
        return say("wrong extension")
    if code == "old-torch":
        return say("too old")
    if code == "unsafe-pickle":
        return say("unsafe")
    if code == "checkpoint":
        return say("whole checkpoint")
    if code == "tiny":
        return say("previews only")
    if code == "video":
        return say("for video")
    if code in ("lora", "no-vae", "not-a-model", "zip-without-model"):
        return say("no VAE")
    if code in ("no-encoder", "no-decoder", "incomplete", "scattered"):
        return say("incomplete")
    if code == "unfinished":
        return say("unfinished download")
    if code == "probably-unfinished":
        return say("perhaps unfinished")
    if code == "other-format":
        return say("another format")
    if code in (
        "other-channels",
        "other-factor",
        "other-width",
        "other-depth",
        "other-kind",
        "other-shapes",
        "unknown-tensors",
    ):
        return say("does not fit")
    if code == "asymmetric":
        return say("asymmetric")
    if code == "not-weights":
        return say("no weights")
    if code == "other-family":
        return say("other family")
    if code == "probably-other-family":
        return say("probably another family")
    return say("cannot be loaded")


def outcome_word(outcome: Outcome) -> Sentence:
    """For a verification that found a file not to be right."""
    if outcome is Outcome.CHANGED:
        return say("changed")
    if outcome is Outcome.DAMAGED:
        return say("damaged")
    return say("no VAE") if outcome is Outcome.NOT_A_VAE else say("cannot be read")


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
