"""Which one do I need? And what the files' names do."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ....sentences import Sentence, say
from ...words import Words
from ..facts import Facts
from .parts import paragraph


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
