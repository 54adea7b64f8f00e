"""Places in the page that the browser fills with what the route gives."""

from __future__ import annotations


def region(name: str, *, live: bool = False) -> str:
    """A live one is read out by screen readers when it changes."""
    role = ' role="status" aria-live="polite"' if live else ""
    return f'<div data-vae-region="{name}"{role}></div>'


def answers_home() -> str:
    """The place for the answer to a click that no row, form or panel belongs to."""
    return "<div data-vae-home></div>"
