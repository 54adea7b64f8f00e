"""Schema of a catalogue: YAML nodes with their positions, and typed values.

The text becomes one node an entry, each with its line. Only nodes of mappings, sequences and scalars are built from the
text, so no tag can make an object.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import stat
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar, cast

import yaml

from ..errors import VaeManagerError
from ..messages import Message, megabytes, msg
from .entry import (
    SHA256,
)

__all__ = [
    "Fields",
    "ValidationError",
    "ValidationIssue",
    "as_count",
    "as_flag",
    "as_link",
    "as_number",
    "as_sha256",
    "entry_nodes",
    "line_of",
    "read_text",
]


_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast, if it was built
MAX_BYTES: Final = 1_000_000
MAX_LINES: Final = 10_000
"""Some 2,000 entries. The reader without a C library takes a second for so many, and a page waits for it."""
MAX_EVENTS: Final = 50_000
MAX_DEPTH: Final = 16
MAX_ALIASES: Final = 100
_FIRST_ITEM: Final = re.compile(r"^( *)- ", re.MULTILINE)

_T = TypeVar("_T")

_DIGITS: Final = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class ValidationIssue:
    """An issue and its line, counted from 1."""

    line: int
    message: Message


def line_of(node: yaml.Node) -> int:
    """Return the line on which `node` begins, from 1."""
    return int(node.start_mark.line) + 1


def read_text(file: Path) -> tuple[str, ValidationIssue | None]:
    """Return the text of a file, bounded; an empty one if it cannot be read."""
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would block forever
            reason = msg("it is a folder") if stat.S_ISDIR(status.st_mode) else msg("it is no plain file")
            return "", ValidationIssue(1, msg("The file cannot be read: {reason}.", code="unreadable", reason=reason))
        data = _read_bounded(file) if status.st_size <= MAX_BYTES else b""
    except FileNotFoundError:
        return "", None
    except OSError as error:
        return "", ValidationIssue(
            1, msg("The file cannot be read: {reason}.", code="unreadable", reason=error.strerror or error)
        )
    if max(status.st_size, len(data)) > MAX_BYTES or data.count(b"\n") > MAX_LINES:
        return "", ValidationIssue(
            1,
            msg(
                "The file is too long: {lines} lines and {size} are the most. None of it is used; keep the entries "
                "that you need.",
                code="file-too-long",
                lines=MAX_LINES,
                size=megabytes(MAX_BYTES),
            ),
        )
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return "", ValidationIssue(line, msg("The file is not UTF-8 text; save it as UTF-8.", code="not-utf-8"))


def _read_bounded(file: Path) -> bytes:
    """Read at most one byte above the limit: a system's own files have no size, and reading some of them never ends."""
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as opened:
        return opened.read(MAX_BYTES + 1) or b""


def entry_nodes(text: str) -> tuple[list[yaml.Node], list[ValidationIssue]]:
    """Return the items of the list in `text`, or of the list under its one key `entries`.

    If the text as a whole is not YAML, each item is read alone, so that one bad line costs one entry.
    """
    try:
        root = _compose(text)
    except _LimitExceededError as error:
        return [], [error.issue]
    except yaml.YAMLError as error:
        return _read_items_separately(text, error)
    return _list_items(root)


class _LimitExceededError(Exception):
    def __init__(self, issue: ValidationIssue) -> None:
        super().__init__(str(issue.message))
        self.issue = issue


def _compose(text: str) -> yaml.Node | None:
    """Return the nodes of a text.

    Raises `_LimitExceededError` for a text with more depth, aliases or parts than any catalogue: nodes are made by
    recursion, and each is visited several times.
    """
    depth = aliases = 0
    for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        aliases += isinstance(event, yaml.AliasEvent)
        if depth > MAX_DEPTH or aliases > MAX_ALIASES or count > MAX_EVENTS:
            line = event.start_mark.line + 1 if event.start_mark is not None else 1
            raise _LimitExceededError(
                ValidationIssue(
                    line,
                    msg(
                        "This is nested too deeply, repeated too often or too long to be a list of entries.",
                        code="too-complex",
                    ),
                )
            )
    return yaml.compose(text, Loader=_LOADER)


def _list_items(root: yaml.Node | None) -> tuple[list[yaml.Node], list[ValidationIssue]]:
    if root is None:  # only comments
        return [], []
    if isinstance(root, yaml.MappingNode) and [key.value for key, _ in root.value] == ["entries"]:
        root = root.value[0][1]
    if isinstance(root, yaml.ScalarNode) and root.tag.endswith(":null"):
        return [], []
    if isinstance(root, yaml.SequenceNode):
        return list(root.value), []
    return [], [
        ValidationIssue(line_of(root), msg("This must be a list of entries: each begins with “- ”.", code="not-a-list"))
    ]


def _read_items_separately(text: str, whole: yaml.YAMLError) -> tuple[list[yaml.Node], list[ValidationIssue]]:
    nodes: list[yaml.Node] = []
    issues: list[ValidationIssue] = []
    for before, chunk in _split_items(text):
        found_issues: list[ValidationIssue] = []
        try:
            found, found_issues = _list_items(_compose(chunk))
        except _LimitExceededError as error:
            found, found_issues = [], [error.issue]
        except yaml.YAMLError as error:
            found, found_issues = [], [_yaml_issue(error, chunk)]
        shifted: set[int] = set()
        for node in found:
            _shift_lines(node, before, shifted)
        nodes += found
        issues += [replace(issue, line=issue.line + before) for issue in found_issues]
    return nodes, issues or [_yaml_issue(whole, text)]


def _split_items(text: str) -> Iterator[tuple[int, str]]:
    """Yield each item of the outermost list as a text of its own, with the count of lines before it."""
    first = _FIRST_ITEM.search(text)
    if first is None:
        return
    lines = text.splitlines(keepends=True)
    starts = [number for number, line in enumerate(lines) if line.startswith(first[0])]
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield start, "".join(lines[start:stop])


def _shift_lines(node: yaml.Node, lines: int, shifted: set[int]) -> None:
    """Add `lines` to the positions of the node and all below it."""
    if id(node) in shifted:  # an alias has the node itself
        return
    shifted.add(id(node))
    mark = node.start_mark
    node.start_mark = yaml.Mark(mark.name, mark.index, mark.line + lines, mark.column, None, 0)
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for one in pair:
                _shift_lines(one, lines, shifted)
    elif isinstance(node, yaml.SequenceNode):
        for one in node.value:
            _shift_lines(one, lines, shifted)


def _yaml_issue(error: yaml.YAMLError, text: str) -> ValidationIssue:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line, reason = (mark.line + 1 if mark is not None else 1), error.problem or error.context or ""
    else:  # a character that YAML does not allow
        position = getattr(error, "position", 0)
        line, reason = text.count("\n", 0, position) + 1, getattr(error, "reason", "")
    # A message of the YAML library, in English.
    return ValidationIssue(line, msg("This is not YAML that can be read: {reason}.", code="not-yaml", reason=reason))


class ValidationError(Exception):
    """An invalid value; `Fields` turns it into an issue with a line."""

    def __init__(self, message: Message) -> None:
        super().__init__(str(message))
        self.message = message


class Fields:
    """The keys of one mapping. Issues are collected in `issues`; a getter then returns a substitute."""

    def __init__(self, node: yaml.Node, known: AbstractSet[str], issues: list[ValidationIssue] | None = None) -> None:
        self.node = node
        self.issues: list[ValidationIssue] = [] if issues is None else issues
        self.nodes: dict[str, yaml.Node] = {}
        if not isinstance(node, yaml.MappingNode):
            self.add_issue(node, msg("An entry is a list of “key: value” lines.", code="not-a-mapping"))
            return
        for key, value in node.value:
            self._add(key, value, known)

    def add_issue(self, node: yaml.Node, message: Message) -> None:
        """Record an issue with the line of `node`; the caller continues, so that all issues of an entry are found."""
        self.issues.append(ValidationIssue(line_of(node), message))

    def read(self, key: str, convert: Callable[[str], _T]) -> _T | None:
        """Return the value of `key` through `convert`; None if it is absent or invalid."""
        node = self.nodes.get(key)
        return None if node is None else self._value(key, node, convert)

    def required(self, key: str, convert: Callable[[str], _T]) -> _T:
        """Return the value as `read` does, but absence is an issue.

        An entry with issues is discarded, so the substitute is never used.
        """
        if key not in self.nodes:
            self.add_issue(self.node, msg("The entry has no “{key}”.", code="missing-key", key=key))
        return cast(_T, self.read(key, convert))

    def text(self, key: str) -> str | None:
        """Return one line of text without outer spaces; None if it is absent or invalid, which alone is an issue."""
        return self.read(key, str)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return `true` or `false` in any case; `default` if the key is absent or its value invalid."""
        value = self.read(key, as_flag)
        return default if value is None else value

    def texts(self, key: str) -> list[str]:
        """Return the valid lines of a list; each invalid one is an issue, and an absent list is empty."""
        return [text for text in (self._value(key, one, str) for one in self.items(key)) if text is not None]

    def mappings(self, key: str, known: AbstractSet[str]) -> list[Fields]:
        """Return the items of a list, each with the keys `known`; their issues join those of this mapping."""
        return [Fields(one, known, self.issues) for one in self.items(key)]

    def items(self, key: str) -> list[yaml.Node]:
        """Return the nodes of a list; empty if it is absent, or no list, which is an issue."""
        node = self.nodes.get(key)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.add_issue(node, msg("“{key}” must be a list.", code="value-not-a-list", key=key))
            return []
        return list(node.value)

    def _add(self, key: yaml.Node, value: yaml.Node, known: AbstractSet[str]) -> None:
        name = str(key.value)[:60]
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            if near:
                self.add_issue(
                    key, msg("“{key}” is not a known key. Is it “{near}”?", code="unknown-key", key=name, near=near[0])
                )
            else:
                self.add_issue(key, msg("“{key}” is not a known key.", code="unknown-key", key=name))
        elif name in self.nodes:
            self.add_issue(key, msg("“{key}” is there twice.", code="duplicate-key", key=name))
        elif not (isinstance(value, yaml.ScalarNode) and value.tag.endswith(":null")):  # "key:" is an empty value
            self.nodes[name] = value

    def _value(self, key: str, node: yaml.Node, convert: Callable[[str], _T]) -> _T | None:
        if not isinstance(node, yaml.ScalarNode):
            self.add_issue(node, msg("“{key}” must be a single value.", code="value-not-single", key=key))
            return None
        text = str(node.value).strip()
        if not text or not text.isprintable():
            self.add_issue(node, msg("“{key}” must be one line of text.", code="value-not-one-line", key=key))
            return None
        try:
            return convert(text)
        except (ValidationError, VaeManagerError) as error:
            self.add_issue(node, error.message)
            return None


def as_sha256(text: str) -> str:
    """Return 64 hexadecimal digits, in lower case."""
    if not SHA256.fullmatch(text.lower()):
        raise ValidationError(
            msg("“{text}” is not a SHA-256, which has 64 digits 0-9 and a-f.", code="bad-sha256", text=text[:80])
        )
    return text.lower()


def as_link(text: str) -> str:
    """Return an https address as it is; raise ValidationError for any other text. The address is not opened."""
    if not text.startswith("https://"):
        raise ValidationError(msg("“{text}” is not an https address.", code="not-https", text=text))
    return text


def as_count(text: str) -> int:
    """Return a whole number above 0; underscores may separate digits."""
    digits = text.replace("_", "")
    if not _DIGITS.fullmatch(digits):
        raise ValidationError(msg("“{text}” is not a whole number above 0.", code="bad-number", text=text))
    return int(digits)


def as_number(text: str) -> float:
    """Return a finite number, which may be negative; raise ValidationError for other text, `nan` and `inf`."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValidationError(msg("“{text}” is not a number.", code="bad-number", text=text[:80]))
    return number


def as_flag(text: str) -> bool:
    """Return the value of `true` or `false` in any case; raise ValidationError for YAML's `yes`, `on` and the like."""
    if text.lower() not in ("true", "false"):
        raise ValidationError(msg("“{text}” must be true or false.", code="bad-flag", text=text))
    return text.lower() == "true"
