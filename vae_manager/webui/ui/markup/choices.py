"""How a choice is called, and the lines of the dropdown."""

from __future__ import annotations

from pathlib import Path

from ....choice import Choice, Rule
from ....sentences import say
from ...words import Words
from ..facts import Facts
from ..fitting import Fit, family_label, fit_of
from ..options import Option


def choice_name(choice: Choice, words: Words) -> str:
    if choice.is_automatic:
        return words(say("Automatic"))
    if choice.is_builtin:
        return words(say("Built-in (the checkpoint's own)"))
    return choice.word


def dropdown(facts: Facts, words: Words) -> list[tuple[str, str]]:
    """(label, the WebUI's word) for each option. What does not fit the loaded checkpoint stands last, marked, but for
    what is chosen, which stays where it was chosen."""
    fitting: list[tuple[str, str]] = []
    other: list[tuple[str, str]] = []
    for option in facts.options:
        last = fit(option, facts).last and option.word != facts.wanted.word
        (other if last else fitting).append((_option_label(option, facts, words), option.word))
    return fitting + other


def fit(option: Option, facts: Facts) -> Fit:
    """How the option's file goes with the loaded checkpoint."""
    return Fit.UNTOLD if option.missing else fit_of(option.known, facts.in_use.family)


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
    if option.known is not None and option.known.family is not None:
        label = family_label(option.known.family)
        parts.append(label if option.known.family_sure else words(say("{family}, guess", family=label)))
    return " · ".join([*parts, *_marks(fit(option, facts), words)])


def _marks(fit: Fit, words: Words) -> list[str]:
    """Why it stands last."""
    if fit is Fit.OTHER_FAMILY:
        return [words(say("⚠ other family"))]
    if fit is Fit.CONVERTIBLE:
        return [words(say("⚠ needs converting"))]
    if fit in (Fit.OTHER_SHAPES, Fit.NO_VAE):
        return [words(say("⚠ cannot be loaded"))]
    return []
