"""Labels of VAEs, and the advice about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from ....catalogue.entry import FamilyGuess
from ....choice import AUTOMATIC, BUILTIN, Choice, Rule
from ....library.verification import Outcome
from ....messages import Message, msg
from ....records.verdict import AskFirst, Refused, Verdict
from ...translation import Translator
from .. import actions
from ..rendering import PLAIN, WARNING, Button, Line
from ..vae_options import Option, family_label, needs_conversion, sorts_last
from ..view_model import Facts

_WORDS: Final = {
    code: replace(word, code=code)
    for word, codes in (
        (msg("empty"), "empty"),
        (msg("a web page"), "web-page"),
        (msg("a pointer only"), "lfs-pointer"),
        (msg("damaged"), "truncated overlapping bad-header bad-offsets bad-zip bad-pickle duplicate-key"),
        (msg("damaged"), "header-too-long nan damaged"),
        (msg("cannot be read"), "unreadable"),
        (msg("wrong extension"), "wrong-suffix"),
        (msg("too old"), "old-torch"),
        (msg("unsafe"), "unsafe-pickle"),
        (msg("whole checkpoint"), "checkpoint"),
        (msg("previews only"), "tiny"),
        (msg("for video"), "video"),
        (msg("no VAE"), "lora no-vae not-a-model zip-without-model"),
        (msg("incomplete"), "no-encoder no-decoder incomplete scattered"),
        (msg("unfinished download"), "unfinished"),
        (msg("perhaps unfinished"), "probably-unfinished"),
        (msg("another format"), "other-format"),
        (msg("does not fit"), "other-channels other-factor other-width other-depth other-kind other-shapes"),
        (msg("does not fit"), "unknown-tensors"),
        (msg("asymmetric"), "asymmetric"),
        (msg("no weights"), "not-weights"),
        (msg("other family"), "other-family"),
        (msg("probably another family"), "probably-other-family"),
    )
    for code in codes.split()
}


def problem_word(code: str) -> Message:
    """Return the word for a code of a problem or of a verdict."""
    return _WORDS.get(code, msg("cannot be loaded", code="not-loadable"))


def outcome_word(outcome: Outcome) -> Message:
    """Return the word for a failed verification."""
    if outcome is Outcome.CHANGED:
        return msg("changed")
    if outcome is Outcome.DAMAGED:
        return msg("damaged")
    return msg("no VAE") if outcome is Outcome.NOT_A_VAE else msg("cannot be read")


def choice_name(choice: Choice, translate: Translator) -> str:
    """Return the translated label of Automatic and Built-in; a file's name is not translated."""
    if choice.is_automatic:
        return translate(msg("Automatic"))
    if choice.is_builtin:
        return translate(msg("Built-in (the checkpoint's own)", code="built-in"))
    return choice.word


def family_name(family: FamilyGuess, translate: Translator) -> str:
    """Return the label of a known family; a guess is marked as one."""
    label = family_label(family.family or "")
    return label if family.sure else translate(msg("{family}, guess", code="guessed-family", family=label))


def dropdown(facts: Facts, translate: Translator) -> list[tuple[str, str]]:
    """Return (label, the WebUI's word) for each option.

    An option that does not fit the loaded checkpoint comes last, with a mark, except for the chosen one, which keeps
    its place.
    """
    fitting: list[tuple[str, str]] = []
    other: list[tuple[str, str]] = []
    for option in facts.options:
        last = sorts_last(option.answer) and option.word != facts.wanted.word
        (other if last else fitting).append((_option_label(option, facts, translate), option.word))
    return fitting + other


def _option_label(option: Option, facts: Facts, translate: Translator) -> str:
    choice = Choice(option.word)
    if choice.is_automatic and facts.choice.is_automatic and facts.resolution.path:
        file = Path(facts.resolution.path).name
        if facts.resolution.rule is Rule.NEAR_NAME:
            return translate(msg("Automatic ({file}, by name)", code="automatic-by-name", file=file))
        if facts.resolution.rule is Rule.CARD:
            return translate(msg("Automatic ({file}, by the checkpoint's card)", code="automatic-by-card", file=file))
        if facts.resolution.rule is Rule.FAMILY:
            return translate(
                msg(
                    "Automatic ({file}, your default for {family})",
                    code="automatic-by-family",
                    file=file,
                    family=family_label(facts.family or ""),
                )
            )
    if choice.file_name is None:
        return choice_name(choice, translate)
    if option.missing:
        return translate(msg("{file} — missing", file=option.word))
    parts = [option.word if option.entry is None else f"{option.word} — {option.entry.name}"]
    if option.record is not None and option.record.family.family is not None:
        parts.append(family_name(option.record.family, translate))
    return " · ".join([*parts, *_marks(option.answer, translate)])


def _marks(answer: Verdict | None, translate: Translator) -> list[str]:
    """Return the reason why the option stands last."""
    if isinstance(answer, Refused):
        return [translate(msg("⚠ cannot be loaded", code="option-not-loadable"))]
    if needs_conversion(answer):
        return [translate(msg("⚠ needs converting", code="option-needs-converting"))]
    if isinstance(answer, AskFirst):
        return [translate(question_word(answer.reason.code))]
    return []


def question_word(code: str) -> Message:
    """Return the reason of a question in a few words."""
    if code == "other-family":
        return msg("⚠ other family", code="option-of-other-family")
    if code == "probably-other-family":
        return msg("⚠ probably another family", code="option-probably-of-other-family")
    if code == "probably-unfinished":
        return msg("⚠ perhaps unfinished", code="option-perhaps-unfinished")
    return msg("⚠ unusual network", code="option-of-unusual-network")


def checkpoint_button(facts: Facts, translate: Translator) -> list[Button]:
    """Return a button that sets or removes the checkpoint's preference; empty while another VAE is in use."""
    word = facts.in_use_word
    if word is None or facts.in_use.overridden or facts.in_use.path != facts.resolution.path:
        return []
    if word == facts.resolution.preferred:
        return _no_longer(word, facts, translate)
    if word == BUILTIN.word and not facts.choice.is_builtin:
        return []  # the default of a checkpoint without a preference
    return _prefer(msg("Use it with this checkpoint"), word, word, facts, translate)


def checkpoint_lines(facts: Facts, translate: Translator) -> list[Line]:
    """Return lines for conflicts between the card, the choice and the VAE in use."""
    if facts.in_use.checkpoint is None:
        return []
    lines = _preference(facts.resolution.preferred, facts, translate) if facts.resolution.preferred else []
    if not facts.choice.is_automatic and facts.resolution.rule in (Rule.CARD, Rule.NEAR_NAME):
        message = msg(
            "{vae} is chosen, but what this checkpoint asks for comes first: in the settings, “Selected VAE overrides "
            "per-model preferences” is off.",
            code="card-comes-first",
            vae=choice_name(facts.choice, translate),
        )
        if facts.choice.word != facts.resolution.preferred:
            lines.append(Line(WARNING, message))
    return lines


def _preference(preferred: str, facts: Facts, translate: Translator) -> list[Line]:
    name = choice_name(Choice(preferred), translate)
    if facts.resolution.overrides is not None:
        message = msg(
            "This checkpoint's card prefers {vae}; the setting SD VAE overrides it, since “Selected VAE overrides "
            "per-model preferences” is on.",
            code="card-overridden",
            vae=name,
        )
        return [Line(PLAIN, message, beside=[*_automatic(facts), *_no_longer(preferred, facts, translate)])]
    if preferred == facts.choice.word and facts.resolution.rule is Rule.SETTING:
        message = msg(
            "This checkpoint's card prefers {vae}. While it is chosen, every other checkpoint gets it too; with "
            "Automatic, each gets its own.",
            code="card-choice-for-all",
            vae=name,
        )
        return [Line(PLAIN, message, beside=_automatic(facts))]
    if preferred != BUILTIN.word and all(option.missing or option.word != preferred for option in facts.options):
        message = msg(
            "This checkpoint's card prefers {vae}, which the WebUI does not list.", code="card-not-listed", vae=name
        )
        return [Line(WARNING, message, beside=_no_longer(preferred, facts, translate))]
    return []


def _no_longer(preferred: str, facts: Facts, translate: Translator) -> list[Button]:
    return _prefer(msg("Remove preference"), AUTOMATIC.word, preferred, facts, translate)


def _prefer(label: Message, word: str, about: str, facts: Facts, translate: Translator) -> list[Button]:
    """Make the preference button; its key is that of its opposite, so that the keyboard focus stays."""
    if facts.prefer_refused is not None:
        return []
    action = actions.Prefer(facts.in_use.checkpoint or "", word).as_dict()
    spoken = f"{choice_name(Choice(about), translate)} — {facts.in_use.checkpoint}"
    return [Button(label, action, f"prefer {about}", spoken)]


def _automatic(facts: Facts) -> list[Button]:
    if facts.choose_refused is not None:
        return []
    return [Button(msg("Choose Automatic"), actions.Choose(AUTOMATIC.word).as_dict(), "automatic")]
