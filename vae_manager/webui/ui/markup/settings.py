"""The settings section's own part."""

from __future__ import annotations

import json
from html import escape

from ....sentences import say
from ...translation import Words
from ..facts import Facts
from .downloads import offers
from .parts import LOOK, button, line, one_primary


def settings(facts: Facts, words: Words, *, shown_in_page: bool) -> str:
    """The settings section's own part: the quick-settings switch, and the same offers as in the accordion.

    `shown_in_page` tells whether the page, as it was built, shows SD VAE in the quick settings.
    """
    closed = facts.sources_refused
    limits = line(LOOK, words(closed), words) if closed is not None else ""
    return "".join(one_primary(_quick_settings(facts, words, shown_in_page), offers(facts, words))) + limits


def _quick_settings(facts: Facts, words: Words, shown_in_page: bool) -> str:
    on = facts.in_quick_settings
    action = escape(json.dumps({"do": "quick-settings", "on": not on}))
    disabled = " disabled" if facts.quick_settings_refused is not None else ""
    label = escape(words(say("Show SD VAE in the quick settings, at the top of every page")))
    switch = (
        f'<button type="button" class="vm-switch" role="switch" aria-checked="{str(on).lower()}" '
        f'data-vae-do="{action}" data-vae-key="quick-settings"{disabled}>'
        f'<span class="vm-knob" aria-hidden="true"></span>{label}</button>'
    )
    reload_button = _reload_button(facts, words) if on != shown_in_page else ""
    refusal = facts.quick_settings_refused
    reason = line(LOOK, words(refusal), words) if refusal is not None else ""
    return f'<div class="vm-quick">{switch}{reload_button}</div>{reason}'


def _reload_button(facts: Facts, words: Words) -> str:
    if facts.reload_refused is not None:
        return line(LOOK, words(say("The change is shown after the next Reload UI.")), words)
    return button(words(say("Reload UI to show the change")), {"do": "reload"}, "reload", primary=True)
