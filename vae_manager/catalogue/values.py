"""The keys of one YAML mapping, read strictly, and the kinds of values that they have."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final, TypeVar, cast

import yaml

from ..errors import VaeManagerError
from ..sentences import Sentence, say
from .nodes import Flaw, line_of

__all__ = ["Fields", "Flawed", "as_count", "as_flag", "as_link", "as_number", "as_sha256"]

_T = TypeVar("_T")

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_DIGITS: Final = re.compile(r"[1-9][0-9]{0,17}")


class Flawed(Exception):
    """A value that cannot be used; `Fields` turns it into a flaw with a line."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


class Fields:
    """The keys of one mapping. What is wrong gathers in `flaws`; a getter then answers with a stand-in."""

    def __init__(self, node: yaml.Node, known: AbstractSet[str], flaws: list[Flaw] | None = None) -> None:
        self.node = node
        self.flaws: list[Flaw] = [] if flaws is None else flaws
        self.nodes: dict[str, yaml.Node] = {}
        if not isinstance(node, yaml.MappingNode):
            self.flaw(node, say("An entry is a list of “key: value” lines."))
            return
        for key, value in node.value:
            self._add(key, value, known)

    def flaw(self, node: yaml.Node, sentence: Sentence) -> None:
        self.flaws.append(Flaw(line_of(node), sentence))

    def read(self, key: str, convert: Callable[[str], _T]) -> _T | None:
        """The value of `key` through `convert`; None where it is absent or flawed."""
        node = self.nodes.get(key)
        return None if node is None else self._value(key, node, convert)

    def required(self, key: str, convert: Callable[[str], _T]) -> _T:
        """Like `read`, but absence is a flaw. An entry with flaws is thrown away, so its stand-in is never seen."""
        if key not in self.nodes:
            self.flaw(self.node, say("The entry has no “{key}”.", key=key))
        return cast(_T, self.read(key, convert))

    def text(self, key: str) -> str | None:
        return self.read(key, str)

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.read(key, as_flag)
        return default if value is None else value

    def texts(self, key: str) -> list[str]:
        return [text for text in (self._value(key, one, str) for one in self.items(key)) if text is not None]

    def mappings(self, key: str, known: AbstractSet[str]) -> list[Fields]:
        return [Fields(one, known, self.flaws) for one in self.items(key)]

    def items(self, key: str) -> list[yaml.Node]:
        node = self.nodes.get(key)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.flaw(node, say("“{key}” must be a list.", key=key))
            return []
        return list(node.value)

    def _add(self, key: yaml.Node, value: yaml.Node, known: AbstractSet[str]) -> None:
        name = str(key.value)[:60]
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            if near:
                self.flaw(key, say("“{key}” is not a known key. Is it “{near}”?", key=name, near=near[0]))
            else:
                self.flaw(key, say("“{key}” is not a known key.", key=name))
        elif name in self.nodes:
            self.flaw(key, say("“{key}” is there twice.", key=name))
        elif not (isinstance(value, yaml.ScalarNode) and value.tag.endswith(":null")):  # "key:" says nothing
            self.nodes[name] = value

    def _value(self, key: str, node: yaml.Node, convert: Callable[[str], _T]) -> _T | None:
        if not isinstance(node, yaml.ScalarNode):
            self.flaw(node, say("“{key}” must be a single value.", key=key))
            return None
        text = str(node.value).strip()
        if not text or not text.isprintable():
            self.flaw(node, say("“{key}” must be one line of text.", key=key))
            return None
        try:
            return convert(text)
        except (Flawed, VaeManagerError) as error:
            self.flaw(node, error.sentence)
            return None


def as_sha256(text: str) -> str:
    """64 hexadecimal digits, in lower case."""
    if not _SHA256.fullmatch(text.lower()):
        raise Flawed(say("“{text}” is not a SHA-256, which has 64 digits 0-9 and a-f.", text=text[:80]))
    return text.lower()


def as_link(text: str) -> str:
    if not text.startswith("https://"):
        raise Flawed(say("“{text}” is not an https address.", text=text))
    return text


def as_count(text: str) -> int:
    """A whole number above 0; underscores may stand between digits."""
    digits = text.replace("_", "")
    if not _DIGITS.fullmatch(digits):
        raise Flawed(say("“{text}” is not a whole number above 0.", text=text))
    return int(digits)


def as_number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Flawed(say("“{text}” is not a number.", text=text[:80]))
    return number


def as_flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise Flawed(say("“{text}” must be true or false.", text=text))
    return text.lower() == "true"
