"""Counts markers of indirect prose per 1,000 words of docstrings and comments: `python -m bench.prose [-v] [PATH…]`.

The limits are those of the markers in well-edited Python projects. The exit status is 1 if a limit is exceeded. With
`-v`, each file with a marker is listed, and each marker with its line.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

MARKERS = {
    "opens with What/Whether/Where/Who": (
        re.compile(r"(?:\A|(?<=[.:;!?]\s)|(?<=\n\n))(?:What|Whether|Where|Who)\b"),
        0.5,
    ),
    "told, tells, said, says": (re.compile(r"\b(?:told|tells?|said|says)\b", re.IGNORECASE), 0.3),
    "nobody, nothing, whatever, none": (re.compile(r"\b(?:nobody|nothing|whatever|none)\b"), 0.5),
    '"where" for "if"': (
        re.compile(r"(?<!\bfolder )(?<!\bplace )(?<!\bfile )(?<!\bline )(?<!\boffset )(?<!\bfrom )\bwhere\b"),
        0.6,
    ),
}
"""Each marker's pattern and its limit per 1,000 words. `None` in its own case is the value of Python, and no marker."""
_CODE = re.compile(r"``?[^`]+``?")
_DIRECTIVE = re.compile(r"#!|# (?:noqa|type:|fmt:|mypy:|pragma|ruff:)")


@dataclass(frozen=True)
class Prose:
    """One docstring, or the comments of adjacent lines."""

    line: int
    text: str

    @property
    def words(self) -> int:
        return len(re.findall(r"[A-Za-z][A-Za-z'’-]*", self.text))

    def marked(self) -> Iterator[str]:
        """Yield the name of a marker for each of its occurrences; code between backticks does not count."""
        text = _CODE.sub("code", self.text)
        for name, (pattern, _) in MARKERS.items():
            for _match in pattern.finditer(text):
                yield name


def prose(source: str) -> list[Prose]:
    """Return the docstrings, those of attributes too, and the comments of a module."""
    return sorted([*docstrings(source), *comments(source)], key=lambda one: one.line)


def docstrings(source: str) -> Iterator[Prose]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield Prose(node.lineno, node.value.value)


def comments(source: str) -> Iterator[Prose]:
    first, last, texts = 0, -1, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or _DIRECTIVE.match(token.string):
            continue
        if token.start[0] != last + 1 and texts:
            yield Prose(first, " ".join(texts))
            texts = []
        if not texts:
            first = token.start[0]
        texts.append(token.string.lstrip("# "))
        last = token.start[0]
    if texts:
        yield Prose(first, " ".join(texts))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("paths", nargs="*", type=Path, default=[ROOT / "vae_manager"])
    parser.add_argument("-v", "--verbose", action="store_true", help="list files and lines with markers")
    options = parser.parse_args()
    files = [file for path in options.paths for file in (sorted(path.rglob("*.py")) if path.is_dir() else [path])]
    words, counts = 0, dict.fromkeys(MARKERS, 0)
    for file in files:
        found = prose(file.read_text("utf-8"))
        marked = [(one.line, name) for one in found for name in one.marked()]
        words += sum(one.words for one in found)
        for _, name in marked:
            counts[name] += 1
        if options.verbose and marked:
            print(f"{file}: {len(marked)} markers in {sum(one.words for one in found)} words")
            for line, name in marked:
                print(f"  {line}: {name}")
    print(f"{words} words in {len(files)} files")
    exceeded = False
    for name, (_, limit) in MARKERS.items():
        rate = 1000 * counts[name] / max(words, 1)
        exceeded |= rate > limit
        print(f"{rate:6.1f}  {name} (limit {limit})")
    return int(exceeded)


if __name__ == "__main__":
    sys.exit(main())
