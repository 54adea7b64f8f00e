"""Advice as HTML: which VAE suits, and what the checkpoint needs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ....choice import AUTOMATIC, BUILTIN, Choice, Rule
from ....sentences import Sentence, say
from ...translation import Words
from ..facts import Facts
from .labels import choice_name
from .parts import LOOK, button, line, paragraph, with_buttons


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
