"""The present wording of the messages with a code, so that a test finds them in a page without quoting them."""

from __future__ import annotations

import functools
import re
from string import Formatter

from .words.said import Said, all_calls


def wording(code: str, **fields: object) -> re.Pattern[str]:
    """A pattern for the English text of each message of the product with this code.

    A field that is given stands there as it is, any other one as any text.
    """
    return re.compile("|".join(_pattern(template, fields) for template in templates(code)))


def says(text: str, code: str, **fields: object) -> bool:
    """True if a message with this code is in the text, with these fields."""
    return wording(code, **fields).search(text) is not None


def worded(code: str, **fields: object) -> str:
    """The English text of the one message with this code, for a text that is compared as a whole."""
    [template] = templates(code)
    return template.format(**fields)


def templates(code: str) -> list[str]:
    """The different templates with a code."""
    found = list(dict.fromkeys(said.template for said in _calls() if said.code == code and said.template is not None))
    assert found, f"no message has the code {code}"
    return found


@functools.cache
def _calls() -> tuple[Said, ...]:
    return tuple(all_calls())


def _pattern(template: str, fields: dict[str, object]) -> str:
    parts = []
    for literal, name, _, _ in Formatter().parse(template):
        parts.append(re.escape(literal).replace(r"\ ", r"\s"))
        if name is not None:
            parts.append(re.escape(str(fields[name])) if name in fields else ".*?")
    return "".join(parts)
