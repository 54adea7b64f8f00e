"""The small parts that the others are made of."""

from __future__ import annotations

import json
import re
from html import escape
from typing import Final

from ....sentences import Sentence, say
from ...translation import Words, plain
from ..questions import Question

FINE, LOOK, BROKEN = "fine", "look", "broken"
"""Three kinds of lines; each has a sign and a word beside its colour."""


_BREAK: Final = re.compile(r"(?<=[._\-\s])(?=[^._\-\s])")


def file_name(name: str) -> str:
    """A file's name as HTML, which may break behind its separators."""
    return "<wbr>".join(escape(part) for part in _BREAK.split(plain(name)))


def preview(key: str, *, large: bool = False) -> str:
    """The picture beside a file; `key` is the file's."""
    kind = "vm-preview vm-large" if large else "vm-preview"
    return f'<img class="{kind}" src="./vae-manager/preview/{key}" alt="" loading="lazy" decoding="async">'


def copy_button(sha256: str, name: str, words: Words, *, shown: str) -> str:
    """Copies a hash; it shows the first digits, or all of them."""
    label, done = escape(words(say("Copy SHA-256"))), escape(words(say("copied")))
    spoken = f"{label} {escape(shown)} — {escape(name)}"
    return (
        f'<button type="button" class="vm-copy" data-vae-copy="{escape(sha256)}" data-vae-copied="{done}" '
        f'title="{label}" aria-label="{spoken}"><code>{escape(shown)}</code></button>'
    )


def paragraph(inner: str) -> str:
    return f'<p class="vm-line">{inner}</p>'


def line(kind: str, text: str, words: Words, after: str = "") -> str:
    sign, word = {
        FINE: ("…", say("In progress")),
        LOOK: ("!", say("Warning")),
        BROKEN: ("✗", say("Problem")),
    }[kind]
    label = escape(words(word))
    return (
        f'<p class="vm-line vm-{kind}"><span class="vm-sign" role="img" aria-label="{label}">{sign}</span>'
        f"{escape(plain(text))}{after}</p>"
    )


def badge(sign: str, text: str) -> str:
    return f'<span class="vm-badge"><span aria-hidden="true">{sign}</span> {escape(text)}</span>'


def question(asked: Question, words: Words) -> str:
    """A question, with the button that is the answer to it."""
    after = button(words(asked.label), asked.action, "answer") + _close(words)
    return f'<div role="alert">{line(LOOK, words(asked.sentence), words, after)}</div>'


def answer(sentence: Sentence, words: Words, *, can_close: bool = False) -> str:
    """What a click could not do, and why; read out by screen readers as it appears."""
    close = _close(words) if can_close else ""
    return f'<div role="alert">{line(BROKEN, words(sentence), words, close)}</div>'


def _close(words: Words) -> str:
    """Closes an answer that the browser alone keeps."""
    label = escape(words(say("Hide this message")))
    return f'<button type="button" class="vm-dismiss" data-vae-close aria-label="{label}" title="{label}">✕</button>'


def button(label: str, action: dict[str, object], key: str, *, primary: bool = False, named: str = "") -> str:
    """A button that sends `action` to the server. `key` is its name across renewals of the page, so that it keeps the
    keyboard's focus; `named` is what screen readers say where `label` alone would not tell."""
    classes = "vm-button vm-primary" if primary else "vm-button"
    spoken = f' aria-label="{escape(named)}"' if named else ""
    return (
        f'<button type="button" class="{classes}" data-vae-do="{escape(json.dumps(action))}" '
        f'data-vae-key="{escape(key)}"{spoken}>{escape(label)}</button>'
    )


def one_primary(*parts: str) -> list[str]:
    """The same HTML with one primary button in all: the first. Several at once say nothing."""
    mark, seen, found = " vm-primary", False, []
    for part in parts:
        before, primary, after = part.partition(mark)
        found.append(part.replace(mark, "") if seen else before + primary + after.replace(mark, ""))
        seen = seen or bool(primary)
    return found


def with_buttons(told: str, buttons: str) -> str:
    """What is told, and at the end of its line what can be done."""
    return f'<div class="vm-told">{told}<div class="vm-do">{buttons}</div></div>' if buttons else told


def dismiss(action: dict[str, object], words: Words) -> str:
    """The small cross at the end of a line that has been read."""
    label = escape(words(say("Hide this message")))
    return (
        f'<button type="button" class="vm-dismiss" data-vae-do="{escape(json.dumps(action))}" '
        f'data-vae-key="{escape(" ".join(map(str, action.values())))}" aria-label="{label}" title="{label}">✕</button>'
    )
