"""HTML of the page, from the templates beside this module.

Each value in a template is escaped, a `Message` is translated, and characters that mislead are replaced (`plain`): the
environment does that, so that no template can leave it out. HTML is a type of its own, `Markup`, made here alone.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Final

from jinja2 import DictLoader, Environment, StrictUndefined, Template
from jinja2.ext import Extension
from jinja2.lexer import Token
from markupsafe import Markup, escape

from ...messages import Message, megabytes, msg
from ..translation import Translator, plain
from .actions import Action

TEMPLATES: Final = Path(__file__).with_name("templates")
_TRANSLATE: ContextVar[Translator] = ContextVar("_TRANSLATE")
"""The language of the view that is being rendered. Macros that are imported from another template see globals alone."""


def render(template: str, view: str, translate: Translator, *arguments: object, **values: object) -> Markup:
    """The HTML of one view: a macro of `template`."""
    before = _TRANSLATE.set(translate)
    try:
        macro = getattr(_template(template).module, view)
        html: Markup = macro(*arguments, **values)
        return html
    finally:
        _TRANSLATE.reset(before)


_PRIMARY: Final = ('class="vm-button vm-primary"', 'class="vm-button"')
"""With its quotes, which are escaped in every value, so that no file's name holds it."""


def one_primary(*parts: Markup) -> list[Markup]:
    """The same HTML with one primary button in all: the first. Several at once say nothing."""
    found, is_first = [], True
    for part in parts:
        before, primary, after = str(part).partition(_PRIMARY[0]) if is_first else ("", "", str(part))
        found.append(Markup(before + primary + after.replace(*_PRIMARY)))
        is_first = is_first and not primary
    return found


class _LineBreaks(Extension):
    """Leaves line breaks out of the page, with their indentation: between buttons they would be seen as spaces.

    One between two attributes, or between two words, is a space.
    """

    _AT_EDGE = re.compile(r"(?:\A|(?<=>))\s*\n\s*|\s*\n\s*(?=<|\Z)")
    _WITHIN = re.compile(r"\s*\n\s*")

    def filter_stream(self, stream: Iterable[Token]) -> Iterable[Token]:
        for token in stream:
            if token.type == "data":
                yield Token(token.lineno, "data", self._WITHIN.sub(" ", self._AT_EDGE.sub("", token.value)))
            else:
                yield token


def _shown(value: object) -> object:
    """A value of a template as the page shows it."""
    if type(value) is str:
        return value if value.isprintable() else plain(value)  # most are, and `plain` costs more
    if isinstance(value, Markup | int | float):
        return value
    return _TRANSLATE.get()(value) if isinstance(value, Message) else plain(str(value))


def _translated(text: str) -> str:
    """A text of the catalogue."""
    return _TRANSLATE.get()(text)


def moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _words(action: Mapping[str, object]) -> str:
    return " ".join(map(str, action.values()))


_BREAK: Final = re.compile(r"(?<=[._\-\s])(?=[^._\-\s])")


def _pieces(name: str) -> list[str]:
    """A file's name, cut behind its separators, where a line may break."""
    return _BREAK.split(plain(name))


_ENVIRONMENT: Final = Environment(
    # Read at once, as the modules are: an update on the disk changes neither before the next start.
    loader=DictLoader({path.name: path.read_text("utf-8") for path in TEMPLATES.glob("*.html")}),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
    extensions=[_LineBreaks],
    auto_reload=False,
)


def _form(name: str, **known: object) -> dict[str, object]:
    """Return what the form of an action sends beside its inputs."""
    return Action.by_name[name].form(**known)


_ENVIRONMENT.globals = {"form": _form, "msg": msg}
_ENVIRONMENT.filters |= {
    "exact": escape,  # as it is, misleading characters too: for what the browser sends back
    "grouped": "{:,}".format,
    "json": json.dumps,
    "megabytes": megabytes,
    "moment": moment,
    "pieces": _pieces,
    "short": "{:g}".format,
    "translated": _translated,
    "words": _words,
}


def _template(name: str) -> Template:
    return _ENVIRONMENT.get_template(name)
