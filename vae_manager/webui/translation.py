"""The language of the page: the project's messages in the language that the WebUI is set to.

The WebUI replaces whole text nodes by a table, so it never finds a sentence with a figure in it. Therefore the project
fills its own sentences, through tables of the same kind: `localizations/CODE.vae-manager.json`, one file a language,
chosen by the WebUI's setting. Such a table has a name of its own: WebUIs before 1.7 keep one file a name, and a
`zh_CN.json` here would replace the whole translation of another extension. What a table lacks is taken from the WebUI's
own, else shown in English.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Final

from ..messages import Message

if TYPE_CHECKING:
    from .hosts.host import Host

LOCALIZATIONS = Path(__file__).parents[2] / "localizations"
SUFFIX: Final = ".vae-manager.json"
"""Behind the code of the language, such as `zh_CN`, in the name of a table."""
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(?![a-z])")
_TRADITIONAL: Final = re.compile(r"(?<![a-z])(?:tw|hk|mo|hant)(?![a-z])")


_MISLEADING: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
"""Control characters, lone surrogates, and characters that reverse the reading direction or break the line: with them a
name reads as another one."""

_ROOT: Final = r"(?:[A-Za-z]:[\\/]|\\\\|/)"
_QUOTED_PATH: Final = re.compile(rf"""'({_ROOT}[^'\n]*)(?:'|$)|"({_ROOT}[^"\n]*)(?:"|$)""")
"""A text that was cut off may lack the second quote."""
_FILE_ADDRESS: Final = re.compile(r"\bfile://[^\s'\"<>|]*")
_IN_NAME: Final = r"""[^'"<>|:;,\n/\\]"""
_SPACE_IN_NAME: Final = rf"""[ ](?=[^\s/\\'"<>|:;,](?:{_IN_NAME}*(?<!\s))?[\\/])"""
"""A space that belongs to a folder's name, since a separator follows."""
_BARE_PATH: Final = re.compile(rf"""(?<![\w:/.\\]){_ROOT}(?=[^\s/\\])(?:[^\s'"<>|]|{_SPACE_IN_NAME})*""")
"""A path in the middle of a text, such as an error of the system."""


def plain(name: str) -> str:
    """Return a file's name, or another text from outside the project, with misleading characters replaced."""
    return _MISLEADING.sub("�", name)


class Translator:
    """A function from messages to text in one language."""

    def __init__(self, table: Mapping[str, str], *, hides_paths: bool = False) -> None:
        self._table = table
        self._hides_paths = hides_paths

    def __call__(self, message: Message | str) -> str:
        """Return the text of `message`, in which a file's name reads as what it is.

        A `str` is data of the catalogue that the table may know.
        """
        if isinstance(message, str):
            return self._table.get(message, message)
        return plain((without_paths(message) if self._hides_paths else message).translated(self._table))

    def place(self, text: str) -> str:
        """Return an address or a path, as data, limited to the part that the reader may see."""
        return str(_without(text)) if self._hides_paths else text


def translator_of(host: Host) -> Translator:
    """Return a translator to the host's language, which leaves paths out if the reader may not see them."""
    return translator_for(host.language(), host.translations(), hides_paths=not host.shows_paths)


def translator_for(language: str, translations: Mapping[str, str], *, hides_paths: bool = False) -> Translator:
    """Return a translator to `language`, the name of a WebUI localization.

    `translations` is the WebUI's own table for it. The project's table precedes it, since the WebUI's translates a word
    such as "Use" for other contexts.
    """
    own = _table(language)
    return Translator({**translations, **own} if own else translations, hides_paths=hides_paths)


def english(message: Message, host: Host) -> str:
    """Return the text for programs: in English, without paths if the reader may not see them."""
    return str(message if host.shows_paths else without_paths(message))


def without_paths(message: Message) -> Message:
    """Return the sentence with its paths reduced to their last names."""
    return Message(message.template, {name: _without(value) for name, value in message.fields.items()}, message.code)


def _without(value: object) -> object:
    if isinstance(value, Message):
        return without_paths(value)
    if isinstance(value, int | float):
        return value
    text = str(value)
    if PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute():
        return _last(text)
    text = _QUOTED_PATH.sub(lambda found: f"'{_last(found[1] or found[2])}'", text)
    text = _FILE_ADDRESS.sub(lambda found: _last(found[0]), text)
    return _BARE_PATH.sub(lambda found: _last(found[0]), text)


def _last(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]


@functools.cache
def _table(language: str) -> Mapping[str, str]:
    """Return the project's table for a WebUI localization, whose name people choose freely; empty without one.

    `zh_CN`, `zh-Hans (Stable)` and `zh` all mean simplified Chinese; `pt_BR` gets a table of `pt` if it has no own one.
    """
    wanted = _variant(language)
    codes = {path.name.removesuffix(SUFFIX): path for path in sorted(LOCALIZATIONS.glob(f"*{SUFFIX}"))}
    same = [code for code in codes if wanted is not None and _variant(code) == wanted]
    exact = [code for code in same if language.lower().replace("-", "_").startswith(code.lower())]
    if not same:
        return {}
    table: dict[str, str] = json.loads(codes[(exact or same)[0]].read_text(encoding="utf-8"))
    return table


def _variant(name: str) -> tuple[str, bool] | None:
    """Return a localization's language, and True if it uses traditional characters; None for an unknown language."""
    language = _LANGUAGE.match(name.lower())
    if language is None:
        return None
    return language[0], language[0] == "zh" and _TRADITIONAL.search(name.lower()) is not None
