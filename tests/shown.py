"""The messages that the HTML of the page shows, found by their codes."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"br", "hr", "img", "input", "wbr"}


def coded(code: str) -> str:
    """The selector of the elements that show a message with this code, or one that contains it."""
    return f'[data-vae-code~="{code}"]'


def shows(html: str, code: str, *texts: str) -> bool:
    """True if an element shows a message with this code, and these texts, such as its fields, in it."""
    return any(code in codes and all(text in shown for text in texts) for codes, shown in elements(html))


def codes_in(html: str) -> list[str]:
    """The codes of the messages that are shown, in their order."""
    return [code for codes, _ in elements(html) for code in codes]


def elements(html: str) -> list[tuple[list[str], str]]:
    """The codes and the text of each element with codes."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return [(codes, re.sub(r"\s+", " ", "".join(texts)).strip()) for codes, texts in reader.found]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[list[str], list[str]]] = []
        self._open: list[list[str] | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID:
            return
        codes = dict(attrs).get("data-vae-code")
        texts: list[str] | None = [] if codes is not None else None
        self._open.append(texts)
        if codes is not None and texts is not None:
            self.found.append((codes.split(), texts))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and self._open:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        for texts in self._open:
            if texts is not None:
                texts.append(data)
