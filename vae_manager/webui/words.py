"""The language of the page: what the project says, in the language that the WebUI is set to.

The WebUI replaces whole text nodes by a table, so a sentence with a figure in it is never found there. Therefore the
project fills its own sentences, through a table of the same kind: `localizations/zh_CN.vae-manager.json`, chosen by the
WebUI's setting.

The table has a name of its own: WebUIs before 1.7 keep one file a name, and ours would replace the whole translation of
an extension that brings a `zh_CN.json`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path

from ..sentences import Sentence

CHINESE = Path(__file__).parents[2] / "localizations" / "zh_CN.vae-manager.json"
TRADITIONAL = ("tw", "hk", "hant")


class Words:
    """Turns sentences into text."""

    def __init__(self, table: Mapping[str, str]) -> None:
        self._table = table

    def __call__(self, sentence: Sentence | str) -> str:
        """The text of `sentence`; a `str` is data of the catalogue that the table may know."""
        if isinstance(sentence, str):
            return self._table.get(sentence, sentence)
        return sentence.translated(self._table)


def words_for(language: str, translations: Mapping[str, str]) -> Words:
    """Words in `language`, the name of a WebUI localization; `translations` is the WebUI's own table for it.

    Chinese localizations go by many names (`zh_CN`, `zh-Hans (Stable)`, …): each simplified one gets the project's
    Chinese. It comes before the WebUI's table, which knows a word such as "Use" from other places.
    """
    lowered = language.lower()
    if lowered.startswith("zh") and not any(word in lowered for word in TRADITIONAL):
        return Words({**translations, **_chinese()})
    return Words(translations)


@functools.cache
def _chinese() -> Mapping[str, str]:
    table: dict[str, str] = json.loads(CHINESE.read_text(encoding="utf-8"))
    return table
