"""The page of the command line in the documentation."""

from __future__ import annotations

import argparse

from docs.command_line import PAGE, document
from vae_manager.cli import make_parser


def test_reference_is_up_to_date() -> None:
    """`python tasks.py docs` writes it."""
    assert PAGE.read_text(encoding="utf-8") == document()


def test_reference_explains_each_argument() -> None:
    assert [line for line in document().splitlines() if line.startswith("| `") and line.endswith("|  |")] == []


def test_reference_has_each_option_of_each_command() -> None:
    page = document()
    [commands] = [action for action in make_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    for name, command in commands.choices.items():
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        shown = [action for action in command._actions if action.help is not argparse.SUPPRESS]
        options = {option for action in shown for option in action.option_strings}
        assert {option for option in options - {"-h", "--help", "--json"} if f"`{option}" not in section} == set()
