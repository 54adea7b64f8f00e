"""Which VAE? For the loaded checkpoint, from what the catalogue's sources say and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ....sentences import Sentence, say
from ...translation import Words, plain
from ..facts import Builtin, Facts
from ..vae_options import family_label
from .advice import advice_sentences, figures
from .downloads import SHOWN_AT_ONCE, offer
from .parts import paragraph
from .status import not_loaded


def which_vae(facts: Facts, words: Words) -> str:
    """What the checkpoint is and carries, what is known of others, and the click that follows."""
    text = "".join(paragraph(escape(plain(words(sentence)))) for sentence in _sentences(facts))
    rows = "".join(offer(row, facts, words) for row in facts.rows[:SHOWN_AT_ONCE])
    return f'{text}<ul class="vm-rows">{rows}</ul>{_table(facts, words)}'


def _sentences(facts: Facts) -> Sequence[Sentence]:
    if facts.in_use.checkpoint is None:
        return [not_loaded(facts)]
    return [
        _checkpoint(facts, facts.builtin),
        *advice_sentences(facts)[1:],
        say(
            "Where you let faces be restored, that is done after the VAE and redraws them: look whether it has done "
            "the job already. A VAE made for this checkpoint's family is at worst no change, and you can always go "
            "back."
        ),
    ]


def _checkpoint(facts: Facts, builtin: Builtin) -> Sentence:
    checkpoint = facts.in_use.checkpoint
    family: Sentence | str = (
        family_label(facts.in_use.family) if facts.in_use.family is not None else say("of an unknown family")
    )
    if builtin.name is not None:
        return say(
            "{checkpoint} is {family}. The VAE that it carries has the same weights as {vae}.",
            checkpoint=checkpoint,
            family=family,
            vae=builtin.name,
        )
    if builtin.is_known:
        return say(
            "{checkpoint} is {family}. The VAE that it carries is none of those that are here, so what it is cannot be "
            "told.",
            checkpoint=checkpoint,
            family=family,
        )
    return say("{checkpoint} is {family}. It is not known which VAE it carries.", checkpoint=checkpoint, family=family)


def _table(facts: Facts, words: Words) -> str:
    table = figures(facts, words)
    if not table:
        return ""
    summary = escape(words(say("The publishers' figures")))
    return f'<details class="vm-more" data-vae-key="which figures"><summary>{summary}</summary>{table}</details>'
