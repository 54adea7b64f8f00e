"""What the loaded checkpoint's card prefers, and what can be done about it."""

from __future__ import annotations

from html import escape

from ....choice import AUTOMATIC, BUILTIN, Choice, Rule
from ....sentences import Sentence, say
from ...words import Words
from ..facts import Facts
from .choices import choice_name
from .parts import LOOK, button, line, paragraph, with_buttons


def checkpoint_button(facts: Facts, words: Words) -> str:
    """Keep the VAE in use for this checkpoint, or no longer; nothing while it is not the one that is meant."""
    word = facts.in_use_word
    if word is None or facts.in_use.overridden or facts.in_use.path != facts.resolution.path:
        return ""
    if word == facts.resolution.preferred:
        return _no_longer(word, facts, words)
    if word == BUILTIN.word and not facts.choice.is_builtin:
        return ""  # what a checkpoint without a wish has anyway
    return _prefer(say("Use it with this checkpoint"), word, word, facts, words)


def checkpoint_lines(facts: Facts, words: Words) -> str:
    """Where the card, the choice and what is in use do not go together."""
    if facts.in_use.checkpoint is None:
        return ""
    lines = [_preference(facts.resolution.preferred, facts, words)] if facts.resolution.preferred else []
    if not facts.choice.is_automatic and facts.resolution.rule in (Rule.CARD, Rule.NEAR_NAME):
        sentence = say(
            "{vae} is chosen, but what this checkpoint asks for comes first: in the settings, “Selected VAE overrides "
            "per-model preferences” is off.",
            vae=choice_name(facts.choice, words),
        )
        if facts.choice.word != facts.resolution.preferred:
            lines.append(line(LOOK, words(sentence), words))
    return "".join(lines)


def _preference(preferred: str, facts: Facts, words: Words) -> str:
    name = choice_name(Choice(preferred), words)
    if facts.resolution.overrides is not None:
        sentence = say(
            "This checkpoint's card prefers {vae}; the setting SD VAE overrides it, since “Selected VAE overrides "
            "per-model preferences” is on.",
            vae=name,
        )
        buttons = _automatic(facts, words) + _no_longer(preferred, facts, words)
        return with_buttons(paragraph(escape(words(sentence))), buttons)
    if preferred == facts.choice.word and facts.resolution.rule is Rule.SETTING:
        sentence = say(
            "This checkpoint's card prefers {vae}. While it is chosen, every other checkpoint gets it too; with "
            "Automatic, each gets its own.",
            vae=name,
        )
        return with_buttons(paragraph(escape(words(sentence))), _automatic(facts, words))
    if preferred != BUILTIN.word and all(option.missing or option.word != preferred for option in facts.options):
        sentence = say("This checkpoint's card prefers {vae}, which is not in the VAE folders.", vae=name)
        return with_buttons(line(LOOK, words(sentence), words), _no_longer(preferred, facts, words))
    return ""


def _no_longer(preferred: str, facts: Facts, words: Words) -> str:
    return _prefer(say("Remove preference"), AUTOMATIC.word, preferred, facts, words)


def _prefer(text: Sentence, word: str, about: str, facts: Facts, words: Words) -> str:
    """The button keeps its place for the keyboard when it turns into its opposite."""
    if facts.prefer_refused is not None:
        return ""
    label = words(text)
    spoken = f"{label} — {choice_name(Choice(about), words)} — {facts.in_use.checkpoint}"
    action: dict[str, object] = {"do": "prefer", "checkpoint": facts.in_use.checkpoint, "word": word}
    return button(label, action, f"prefer {about}", named=spoken)


def _automatic(facts: Facts, words: Words) -> str:
    if facts.choose_refused is not None:
        return ""
    return button(words(say("Choose Automatic")), {"do": "choose", "word": AUTOMATIC.word}, "automatic")
