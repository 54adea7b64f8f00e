"""YAML text -> one node an entry, each of which remembers its line.

Nothing is built from the text but nodes of mappings, sequences and scalars, so no tag can make an object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from ..sentences import Sentence, say

__all__ = ["Flaw", "entry_nodes", "line_of", "text_of"]

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast, where it was built
_FIRST_ITEM: Final = re.compile(r"^( *)- ", re.MULTILINE)


@dataclass(frozen=True)
class Flaw:
    """What is wrong, and where. Lines count from 1."""

    line: int
    sentence: Sentence


def line_of(node: yaml.Node) -> int:
    """The line on which `node` begins, from 1."""
    return int(node.start_mark.line) + 1


def text_of(file: Path) -> tuple[str, Flaw | None]:
    """What a file says; nothing where there is none."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return "", None
    except OSError as error:
        return "", Flaw(1, say("The file cannot be read: {reason}.", reason=error.strerror or error))
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return "", Flaw(line, say("The file is not UTF-8 text; save it as UTF-8."))


def entry_nodes(text: str) -> tuple[list[yaml.Node], list[Flaw]]:
    """The items of the list that `text` is, or of the list under its one key `entries`.

    Where the text as a whole is not YAML, each item is read alone, so that one bad line costs one entry.
    """
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        return _item_by_item(text, error)
    return _items(root)


def _items(root: yaml.Node | None) -> tuple[list[yaml.Node], list[Flaw]]:
    if root is None:  # nothing but comments
        return [], []
    if isinstance(root, yaml.MappingNode) and [key.value for key, _ in root.value] == ["entries"]:
        root = root.value[0][1]
    if isinstance(root, yaml.ScalarNode) and root.tag.endswith(":null"):
        return [], []
    if isinstance(root, yaml.SequenceNode):
        return list(root.value), []
    return [], [Flaw(line_of(root), say("This must be a list of entries: each begins with “- ”."))]


def _item_by_item(text: str, whole: yaml.YAMLError) -> tuple[list[yaml.Node], list[Flaw]]:
    nodes: list[yaml.Node] = []
    flaws: list[Flaw] = []
    for chunk in _chunks(text):
        try:
            found, wrong = _items(yaml.compose(chunk, Loader=_LOADER))
        except yaml.YAMLError as error:
            found, wrong = [], [_not_yaml(error, chunk)]
        nodes += found
        flaws += wrong
    return nodes, flaws or [_not_yaml(whole, text)]


def _chunks(text: str) -> Iterator[str]:
    """Each item of the outermost list as a text of its own, padded so that its lines keep their numbers."""
    first = _FIRST_ITEM.search(text)
    if first is None:
        return
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.startswith(first[0])]
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield "\n" * start + "".join(lines[start:stop])


def _not_yaml(error: yaml.YAMLError, text: str) -> Flaw:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line, reason = (mark.line + 1 if mark is not None else 1), error.problem or error.context or ""
    else:  # a character that YAML does not allow
        position = getattr(error, "position", 0)
        line, reason = text.count("\n", 0, position) + 1, getattr(error, "reason", "")
    # A message of the YAML library, in English.
    return Flaw(line, say("This is not YAML that can be read: {reason}.", reason=reason))
