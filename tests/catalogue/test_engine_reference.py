"""The page of the engines in the documentation."""

from __future__ import annotations

from docs.engines import PAGE, document
from vae_manager.catalogue.engines import ENGINES


def test_reference_is_up_to_date() -> None:
    """`python tasks.py docs` writes it."""
    assert PAGE.read_text(encoding="utf-8") == document()


def test_reference_has_a_row_for_each_engine() -> None:
    rows = [line for line in document().splitlines() if line.startswith("| ") and "| `" in line]
    assert len(rows) == len(ENGINES)
