"""The row of the last comparisons: a click shows one of them again."""

from __future__ import annotations

import time
from html import escape

from ....compare import Comparison, State
from ....sentences import Sentence, say
from ...words import Words
from ..markup.parts import badge
from .facts import Section
from .saving import title_text
from .view import ORIGINAL, picture_at


def kept(section: Section, life: str, words: Words) -> str:
    """The newest first; nothing while there is only one."""
    if len(section.kept) < 2:
        return ""
    label = escape(words(say("The last comparisons")))
    newest = section.kept[0]
    items = "".join(
        _one(comparison, life, words, newest=comparison is newest, shown=comparison is section.now)
        for comparison in section.kept
    )
    return f'<ul class="vm-kept" aria-label="{label}">{items}</ul>'


def _one(comparison: Comparison, life: str, words: Words, *, newest: bool, shown: bool) -> str:
    """The newest one's button asks for no id: the page then goes on to each that begins."""
    current = ' aria-current="true"' if shown else ""
    id = "" if newest else escape(comparison.id)
    title = escape(title_text(comparison, words))
    return (
        f'<li><button type="button" class="vm-button" data-vae-shown="{id}" '
        f'data-vae-key="kept {escape(comparison.id)}"{current} title="{title}">{_thumb(comparison, life)}'
        f'<span class="vm-said"><bdi>{title}</bdi><span class="vm-hint">{_told(comparison, words)}</span></span>'
        f"</button></li>"
    )


def _thumb(comparison: Comparison, life: str) -> str:
    made = (str(key) for key, vae in enumerate(comparison.vaes) if _has(comparison, vae))
    key = ORIGINAL if comparison.original is not None else next(made, None)
    if key is None:
        return '<span class="vm-thumb"></span>'
    source = escape(picture_at(comparison, key, life))
    return f'<span class="vm-thumb"><img src="{source}" alt="" loading="lazy"></span>'


def _has(comparison: Comparison, vae: str) -> bool:
    result = comparison.of(vae)
    return result is not None and result.decoded.pixels is not None


def _told(comparison: Comparison, words: Words) -> str:
    """When it was asked for, how many VAEs, and what is not as usual."""
    when, count = time.strftime("%H:%M", time.localtime(comparison.when)), len(comparison.vaes)
    told = say("{time} · 1 VAE", time=when) if count == 1 else say("{time} · {count} VAEs", time=when, count=count)
    sign, state = _state(comparison.state)
    return escape(words(told)) + (f" {badge(sign, words(state))}" if state is not None else "")


def _state(state: State) -> tuple[str, Sentence | None]:
    if state is State.WAITING:
        return "…", say("waits for its turn")
    if state in (State.RUNNING, State.MEASURING):
        return "▶", say("is running")
    if state is State.STOPPED:
        return "■", say("stopped")
    return ("✗", say("failed")) if state is State.FAILED else ("", None)
