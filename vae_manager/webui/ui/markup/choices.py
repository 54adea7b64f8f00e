"""How a choice is called, and the lines of the dropdown."""

from __future__ import annotations

from pathlib import Path

from ....choice import Choice, Rule
from ....sentences import say
from ...words import Words
from ..facts import Facts, Option, family_label


def choice_name(choice: Choice, words: Words) -> str:
    if choice.is_automatic:
        return words(say("Automatic"))
    if choice.is_builtin:
        return words(say("Built-in (the checkpoint's own)"))
    return choice.word


def dropdown(facts: Facts, words: Words) -> list[tuple[str, str]]:
    """(label, the WebUI's word) for each option. A VAE known to be of another family stands last, marked."""
    fitting: list[tuple[str, str]] = []
    other: list[tuple[str, str]] = []
    for option in facts.options:
        misfit = option.entry is not None and facts.in_use.family not in (None, option.entry.family)
        (other if misfit else fitting).append((_option_label(option, facts, words), option.word))
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
    if option.entry is None:
        return option.word
    return f"{option.word} — {option.entry.name} · {family_label(option.entry.family)}"
