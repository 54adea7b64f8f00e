"""Labels of VAEs, and the advice about them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from ....catalogue.entry import FamilyGuess
from ....choice import AUTOMATIC, BUILTIN, Choice, Rule
from ....library.verification import Outcome
from ....records.verdict import AskFirst, Refused, Verdict
from ....sentences import Sentence, say
from ...translation import Words
from ..vae_options import Option, family_label, needs_conversion, sorts_last
from ..view_model import Facts
from .components import LOOK, button, line, paragraph, with_buttons

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


def advice(facts: Facts, words: Words) -> str:
    """Which one do I need? From the figures that the publishers measured; no claim of our own."""
    text = "".join(paragraph(escape(words(sentence))) for sentence in advice_sentences(facts))
    summary = escape(words(say("Which one do I need?")))
    return (
        f'<details class="vm-more" data-vae-key="advice"><summary>{summary}</summary>{text}'
        f"{figures(facts, words)}</details>"
    )


def advice_sentences(facts: Facts) -> Sequence[Sentence]:
    """What holds for the family of the loaded checkpoint."""
    sentences = [
        say(
            "Nearly every checkpoint carries a VAE of its own (Built-in). Another one changes how colours, eyes, text "
            "and fine detail come out, sometimes hardly at all."
        )
    ]
    if facts.family == "sd1":
        sentences.append(
            say(
                "Washed-out colours or smeared eyes on SD 1.x: take ft-MSE, the smoother and safer one, or ft-EMA, "
                "the sharper one. On SD 2.x little changes."
            )
        )
    if facts.family == "sdxl":
        sentences.append(say("Black pictures on SDXL in half precision: the fp16 fix is made for that."))
    return sentences


def caught(facts: Facts, words: Words) -> str:
    """Files that Automatic takes for a checkpoint though they may be meant for another one; empty without any."""
    if not facts.caught:
        return ""
    items = "".join(
        f"<li>{escape(words(say('{checkpoint} gets {file}', checkpoint=one.stem, file=one.file)))}</li>"
        for one in facts.caught
    )
    why = say(
        "Automatic takes the first file whose name begins with the checkpoint's, whatever follows. Where that is not "
        "meant, rename the file; or load the checkpoint, choose a VAE, and click “Use it with this checkpoint”."
    )
    summary = escape(words(say("Checkpoints that get a VAE by its name alone ({count})", count=len(facts.caught))))
    return (
        f'<details class="vm-more" data-vae-key="caught"><summary>{summary}</summary>{paragraph(escape(words(why)))}'
        f'<ul class="vm-caught">{items}</ul></details>'
    )


def figures(facts: Facts, words: Words) -> str:
    """The table of the catalogue's figures; empty where it has none for the family."""
    if not facts.measured:
        return ""
    head = "".join(
        f'<th scope="col">{escape(text)}</th>'
        for text in ("VAE", words(say("measured on")), "rFID ↓", "PSNR ↑", "SSIM ↑", "PSIM ↓")
    )
    body = "".join(
        f'<tr><th scope="row">{escape(entry.name)}</th><td>{escape(words(figure.dataset))}</td><td>{figure.rfid:g}</td>'
        f"<td>{escape(figure.psnr)}</td><td>{escape(figure.ssim)}</td><td>{escape(figure.psim)}</td></tr>"
        for entry in facts.measured
        for figure in entry.evaluations
    )
    note = escape(words(say("Published by the makers: pictures of 256 × 256 encoded and decoded again.")))
    return (
        f'<div class="vm-scroll"><table class="vm-figures"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"</div><p>{note}</p>"
    )


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
        sentence = say("This checkpoint's card prefers {vae}, which the WebUI does not list.", vae=name)
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
