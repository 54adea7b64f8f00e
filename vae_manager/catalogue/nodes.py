"""YAML text -> one node an entry, each of which remembers its line.

Nothing is built from the text but nodes of mappings, sequences and scalars, so no tag can make an object.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import yaml

from ..sentences import Sentence, megabytes, say

__all__ = ["Flaw", "entry_nodes", "line_of", "text_of"]

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast, where it was built
MAX_BYTES: Final = 1_000_000
MAX_LINES: Final = 10_000
"""Some 2,000 entries. The reader without a C library takes a second for so many, and a page waits for it."""
MAX_EVENTS: Final = 50_000
MAX_DEPTH: Final = 16
MAX_ALIASES: Final = 100
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
    """Return the text of a file, bounded; an empty one if it cannot be read."""
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for without end
            reason = say("it is a folder") if stat.S_ISDIR(status.st_mode) else say("it is no plain file")
            return "", Flaw(1, say("The file cannot be read: {reason}.", reason=reason))
        data = _read(file) if status.st_size <= MAX_BYTES else b""
    except FileNotFoundError:
        return "", None
    except OSError as error:
        return "", Flaw(1, say("The file cannot be read: {reason}.", reason=error.strerror or error))
    if max(status.st_size, len(data)) > MAX_BYTES or data.count(b"\n") > MAX_LINES:
        return "", Flaw(
            1,
            say(
                "The file is too long: {lines} lines and {size} are the most. None of it is used; keep the entries "
                "that you need.",
                lines=MAX_LINES,
                size=megabytes(MAX_BYTES),
            ),
        )
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return "", Flaw(line, say("The file is not UTF-8 text; save it as UTF-8."))


def _read(file: Path) -> bytes:
    """At most one byte too many: a system's own files have no size, and some of them are waited for without end."""
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as opened:
        return opened.read(MAX_BYTES + 1) or b""


def entry_nodes(text: str) -> tuple[list[yaml.Node], list[Flaw]]:
    """The items of the list that `text` is, or of the list under its one key `entries`.

    Where the text as a whole is not YAML, each item is read alone, so that one bad line costs one entry.
    """
    try:
        root = _composed(text)
    except _TooMuchError as error:
        return [], [error.flaw]
    except yaml.YAMLError as error:
        return _item_by_item(text, error)
    return _items(root)


class _TooMuchError(Exception):
    def __init__(self, flaw: Flaw) -> None:
        super().__init__(str(flaw.sentence))
        self.flaw = flaw


def _composed(text: str) -> yaml.Node | None:
    """The nodes of a text. Raises `_TooMuchError` for what nests deeper, refers to itself more often or has more parts
    than any catalogue: nodes are made by recursion, and each is looked at several times."""
    depth = aliases = 0
    for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        aliases += isinstance(event, yaml.AliasEvent)
        if depth > MAX_DEPTH or aliases > MAX_ALIASES or count > MAX_EVENTS:
            line = event.start_mark.line + 1 if event.start_mark is not None else 1
            raise _TooMuchError(
                Flaw(line, say("This is nested too deeply, repeated too often or too long to be a list of entries."))
            )
    return yaml.compose(text, Loader=_LOADER)


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
    for before, chunk in _chunks(text):
        wrong: list[Flaw] = []
        try:
            found, wrong = _items(_composed(chunk))
        except _TooMuchError as error:
            found, wrong = [], [error.flaw]
        except yaml.YAMLError as error:
            found, wrong = [], [_not_yaml(error, chunk)]
        shifted: set[int] = set()
        for node in found:
            _shift(node, before, shifted)
        nodes += found
        flaws += [replace(flaw, line=flaw.line + before) for flaw in wrong]
    return nodes, flaws or [_not_yaml(whole, text)]


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """Each item of the outermost list as a text of its own, with the count of lines before it."""
    first = _FIRST_ITEM.search(text)
    if first is None:
        return
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.startswith(first[0])]
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield start, "".join(lines[start:stop])


def _shift(node: yaml.Node, lines: int, shifted: set[int]) -> None:
    """Let the node, and all below it, stand so many lines further down."""
    if id(node) in shifted:  # an alias has the node itself
        return
    shifted.add(id(node))
    mark = node.start_mark
    node.start_mark = yaml.Mark(mark.name, mark.index, mark.line + lines, mark.column, None, 0)
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for one in pair:
                _shift(one, lines, shifted)
    elif isinstance(node, yaml.SequenceNode):
        for one in node.value:
            _shift(one, lines, shifted)


def _not_yaml(error: yaml.YAMLError, text: str) -> Flaw:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line, reason = (mark.line + 1 if mark is not None else 1), error.problem or error.context or ""
    else:  # a character that YAML does not allow
        position = getattr(error, "position", 0)
        line, reason = text.count("\n", 0, position) + 1, getattr(error, "reason", "")
    # A message of the YAML library, in English.
    return Flaw(line, say("This is not YAML that can be read: {reason}.", reason=reason))
