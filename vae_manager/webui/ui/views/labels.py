"""Labels of VAEs, and the advice about them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from ....catalogue.entry import FamilyGuess
from ....choice import AUTOMATIC, BUILTIN, Choice, Rule
from ....library.verification import Outcome
from ....messages import Message, msg
from ....records.verdict import AskFirst, Refused, Verdict
from ...translation import Translator
from ..vae_options import Option, family_label, needs_conversion, sorts_last
from ..view_model import Facts
from .components import WARNING, button, line, paragraph, with_buttons

DAMAGED: Final = frozenset(
    {
        "truncated", "overlapping", "bad-header", "bad-offsets", "bad-zip", "bad-pickle", "duplicate-key",
        "header-too-long", "nan", "damaged",
    }
)  # fmt: skip


def problem_word(code: str) -> Message:
    """Return the word for a code of a problem or of a verdict."""
    if code == "empty":
        return msg("empty")
    if code == "web-page":
        return msg("a web page")
    if code == "lfs-pointer":
        return msg("a pointer only")
    if code in DAMAGED:
        return msg("damaged")
    if code == "unreadable":
        return msg("cannot be read")
    if code == "wrong-suffix":
        return msg("wrong extension")
    if code == "old-torch":
        return msg("too old")
    if code == "unsafe-pickle":
        return msg("unsafe")
    if code == "checkpoint":
        return msg("whole checkpoint")
    if code == "tiny":
        return msg("previews only")
    if code == "video":
        return msg("for video")
    if code in ("lora", "no-vae", "not-a-model", "zip-without-model"):
        return msg("no VAE")
    if code in ("no-encoder", "no-decoder", "incomplete", "scattered"):
        return msg("incomplete")
    if code == "unfinished":
        return msg("unfinished download")
    if code == "probably-unfinished":
        return msg("perhaps unfinished")
    if code == "other-format":
        return msg("another format")
    if code in (
        "other-channels",
        "other-factor",
        "other-width",
        "other-depth",
        "other-kind",
        "other-shapes",
        "unknown-tensors",
    ):
        return msg("does not fit")
    if code == "asymmetric":
        return msg("asymmetric")
    if code == "not-weights":
        return msg("no weights")
    if code == "other-family":
        return msg("other family")
    if code == "probably-other-family":
        return msg("probably another family")
    return msg("cannot be loaded")


def outcome_word(outcome: Outcome) -> Message:
    """For a verification that found a file not to be right."""
    if outcome is Outcome.CHANGED:
        return msg("changed")
    if outcome is Outcome.DAMAGED:
        return msg("damaged")
    return msg("no VAE") if outcome is Outcome.NOT_A_VAE else msg("cannot be read")


def choice_name(choice: Choice, translate: Translator) -> str:
    if choice.is_automatic:
        return translate(msg("Automatic"))
    if choice.is_builtin:
        return translate(msg("Built-in (the checkpoint's own)"))
    return choice.word


def family_name(family: FamilyGuess, translate: Translator) -> str:
    """The label of a family that is known; a guess is worded as one."""
    label = family_label(family.family or "")
    return label if family.sure else translate(msg("{family}, guess", family=label))


def dropdown(facts: Facts, translate: Translator) -> list[tuple[str, str]]:
    """(label, the WebUI's word) for each option. What does not fit the loaded checkpoint stands last, marked, but for
    what is chosen, which stays where it was chosen."""
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
            return translate(msg("Automatic ({file}, by name)", file=file))
        if facts.resolution.rule is Rule.CARD:
            return translate(msg("Automatic ({file}, by the checkpoint's card)", file=file))
        if facts.resolution.rule is Rule.FAMILY:
            return translate(
                msg("Automatic ({file}, your default for {family})", file=file, family=family_label(facts.family))
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
        return [translate(msg("⚠ cannot be loaded"))]
    if needs_conversion(answer):
        return [translate(msg("⚠ needs converting"))]
    if isinstance(answer, AskFirst):
        return [translate(question_word(answer.reason.code))]
    return []


def question_word(code: str) -> Message:
    """Return the reason of a question in a few words."""
    if code == "other-family":
        return msg("⚠ other family")
    if code == "probably-other-family":
        return msg("⚠ probably another family")
    if code == "probably-unfinished":
        return msg("⚠ perhaps unfinished")
    return msg("⚠ unusual network")


def advice(facts: Facts, translate: Translator) -> str:
    """Which one do I need? From the figures that the publishers measured; no claim of our own."""
    text = "".join(paragraph(escape(translate(message))) for message in advice_sentences(facts))
    summary = escape(translate(msg("Which one do I need?")))
    return (
        f'<details class="vm-more" data-vae-key="advice"><summary>{summary}</summary>{text}'
        f"{figures(facts, translate)}</details>"
    )


def advice_sentences(facts: Facts) -> Sequence[Message]:
    """What holds for the family of the loaded checkpoint."""
    sentences = [
        msg(
            "Nearly every checkpoint carries a VAE of its own (Built-in). Another one changes how colours, eyes, text "
            "and fine detail come out, sometimes hardly at all."
        )
    ]
    if facts.family == "sd1":
        sentences.append(
            msg(
                "Washed-out colours or smeared eyes on SD 1.x: take ft-MSE, the smoother and safer one, or ft-EMA, "
                "the sharper one. On SD 2.x little changes."
            )
        )
    if facts.family == "sdxl":
        sentences.append(msg("Black pictures on SDXL in half precision: the fp16 fix is made for that."))
    return sentences


def caught(facts: Facts, translate: Translator) -> str:
    """Files that Automatic takes for a checkpoint though they may be meant for another one; empty without any."""
    if not facts.caught:
        return ""
    items = "".join(
        f"<li>{escape(translate(msg('{checkpoint} gets {file}', checkpoint=one.stem, file=one.file)))}</li>"
        for one in facts.caught
    )
    why = msg(
        "Automatic takes the first file whose name begins with the checkpoint's, whatever follows. Where that is not "
        "meant, rename the file; or load the checkpoint, choose a VAE, and click “Use it with this checkpoint”."
    )
    summary = escape(translate(msg("Checkpoints that get a VAE by its name alone ({count})", count=len(facts.caught))))
    return (
        f'<details class="vm-more" data-vae-key="caught"><summary>{summary}</summary>'
        f"{paragraph(escape(translate(why)))}"
        f'<ul class="vm-caught">{items}</ul></details>'
    )


def figures(facts: Facts, translate: Translator) -> str:
    """The table of the catalogue's figures; empty where it has none for the family."""
    if not facts.measured:
        return ""
    head = "".join(
        f'<th scope="col">{escape(text)}</th>'
        for text in ("VAE", translate(msg("measured on")), "rFID ↓", "PSNR ↑", "SSIM ↑", "PSIM ↓")
    )
    body = "".join(
        f'<tr><th scope="row">{escape(entry.name)}</th><td>{escape(translate(figure.dataset))}</td>'
        f"<td>{figure.rfid:g}</td>"
        f"<td>{escape(figure.psnr)}</td><td>{escape(figure.ssim)}</td><td>{escape(figure.psim)}</td></tr>"
        for entry in facts.measured
        for figure in entry.evaluations
    )
    note = escape(translate(msg("Published by the makers: pictures of 256 × 256 encoded and decoded again.")))
    return (
        f'<div class="vm-scroll"><table class="vm-figures"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        f"</div><p>{note}</p>"
    )


def checkpoint_button(facts: Facts, translate: Translator) -> str:
    """Keep the VAE in use for this checkpoint, or no longer; nothing while it is not the one that is meant."""
    word = facts.in_use_word
    if word is None or facts.in_use.overridden or facts.in_use.path != facts.resolution.path:
        return ""
    if word == facts.resolution.preferred:
        return _no_longer(word, facts, translate)
    if word == BUILTIN.word and not facts.choice.is_builtin:
        return ""  # what a checkpoint without a wish has anyway
    return _prefer(msg("Use it with this checkpoint"), word, word, facts, translate)


def checkpoint_lines(facts: Facts, translate: Translator) -> str:
    """Where the card, the choice and what is in use do not go together."""
    if facts.in_use.checkpoint is None:
        return ""
    lines = [_preference(facts.resolution.preferred, facts, translate)] if facts.resolution.preferred else []
    if not facts.choice.is_automatic and facts.resolution.rule in (Rule.CARD, Rule.NEAR_NAME):
        message = msg(
            "{vae} is chosen, but what this checkpoint asks for comes first: in the settings, “Selected VAE overrides "
            "per-model preferences” is off.",
            vae=choice_name(facts.choice, translate),
        )
        if facts.choice.word != facts.resolution.preferred:
            lines.append(line(WARNING, translate(message), translate))
    return "".join(lines)


def _preference(preferred: str, facts: Facts, translate: Translator) -> str:
    name = choice_name(Choice(preferred), translate)
    if facts.resolution.overrides is not None:
        message = msg(
            "This checkpoint's card prefers {vae}; the setting SD VAE overrides it, since “Selected VAE overrides "
            "per-model preferences” is on.",
            vae=name,
        )
        buttons = _automatic(facts, translate) + _no_longer(preferred, facts, translate)
        return with_buttons(paragraph(escape(translate(message))), buttons)
    if preferred == facts.choice.word and facts.resolution.rule is Rule.SETTING:
        message = msg(
            "This checkpoint's card prefers {vae}. While it is chosen, every other checkpoint gets it too; with "
            "Automatic, each gets its own.",
            vae=name,
        )
        return with_buttons(paragraph(escape(translate(message))), _automatic(facts, translate))
    if preferred != BUILTIN.word and all(option.missing or option.word != preferred for option in facts.options):
        message = msg("This checkpoint's card prefers {vae}, which the WebUI does not list.", vae=name)
        return with_buttons(line(WARNING, translate(message), translate), _no_longer(preferred, facts, translate))
    return ""


def _no_longer(preferred: str, facts: Facts, translate: Translator) -> str:
    return _prefer(msg("Remove preference"), AUTOMATIC.word, preferred, facts, translate)


def _prefer(text: Message, word: str, about: str, facts: Facts, translate: Translator) -> str:
    """The button keeps its place for the keyboard when it turns into its opposite."""
    if facts.prefer_refused is not None:
        return ""
    label = translate(text)
    spoken = f"{label} — {choice_name(Choice(about), translate)} — {facts.in_use.checkpoint}"
    action: dict[str, object] = {"do": "prefer", "checkpoint": facts.in_use.checkpoint, "word": word}
    return button(label, action, f"prefer {about}", named=spoken)


def _automatic(facts: Facts, translate: Translator) -> str:
    if facts.choose_refused is not None:
        return ""
    return button(translate(msg("Choose Automatic")), {"do": "choose", "word": AUTOMATIC.word}, "automatic")
