"""Collects what the project says to people."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from jinja2 import Environment, nodes

from vae_manager.catalogue import load

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "vae_manager"
CHINESE = ROOT / "localizations" / "zh_CN.vae-manager.json"


@dataclass(frozen=True)
class Said:
    """One call of `msg`."""

    place: str
    """`file:line`."""
    template: str | None
    """None where it is not a literal string."""
    names: frozenset[str] | None
    """The fields that are filled; None where a `**` hides them."""
    code: str | None = None
    """The literal `code`; None if there is none, or it is passed on from elsewhere."""


def calls(source: str, place: str) -> Iterator[Said]:
    """Every call of `msg` in a module; implicit concatenation is one literal for Python too."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or called(node) != "msg":
            continue
        first = node.args[0] if len(node.args) == 1 else None
        literal = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
        names = [keyword.arg for keyword in node.keywords if keyword.arg != "code"]
        known = None if None in names else frozenset(name for name in names if name is not None)
        codes = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
        code = codes[0].value if codes and isinstance(codes[0], ast.Constant) else None
        yield Said(f"{place}:{node.lineno}", literal, known, str(code) if code is not None else None)


def template_calls(source: str, place: str) -> Iterator[Said]:
    """Every call of `msg` in a template of the page."""
    for node in Environment().parse(source).find_all(nodes.Call):
        if getattr(node.node, "name", getattr(node.node, "attr", None)) != "msg":
            continue
        first = node.args[0] if len(node.args) == 1 and node.dyn_args is None else None
        literal = first.value if isinstance(first, nodes.Const) and isinstance(first.value, str) else None
        names = frozenset(keyword.key for keyword in node.kwargs if keyword.key != "code")
        known = None if node.dyn_kwargs is not None else names
        codes = [keyword.value for keyword in node.kwargs if keyword.key == "code"]
        code = codes[0].value if codes and isinstance(codes[0], nodes.Const) else None
        yield Said(f"{place}:{node.lineno}", literal, known, str(code) if code is not None else None)


def template_unsaid(source: str, place: str) -> Iterator[str]:
    """Where a template looks up a literal that no `msg` has made."""
    for node in Environment().parse(source).find_all(nodes.Filter):
        if node.name == "translated" and not isinstance(node.node, nodes.Name | nodes.Getattr):
            yield f"{place}:{node.lineno}"


def called(node: ast.Call) -> str | None:
    """`msg` for `msg(…)` and for `sentences.msg(…)`."""
    name: str | None = getattr(node.func, "id", getattr(node.func, "attr", None))
    return name


def unsaid(source: str, place: str) -> Iterator[str]:
    """Where `translate("…")` is given a literal that no `msg` has made: nobody would translate it."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or called(node) != "translate":
            continue
        if any(isinstance(argument, ast.Constant | ast.JoinedStr) for argument in node.args):
            yield f"{place}:{node.lineno}"


def all_unsaid() -> list[str]:
    found = [place for path, source in _sources("*.py") for place in unsaid(source, path)]
    return found + [place for path, source in _sources("*.html") for place in template_unsaid(source, path)]


def _sources(pattern: str) -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob(pattern)):
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def all_calls() -> list[Said]:
    found = [said for path, source in _sources("*.py") for said in calls(source, path)]
    return found + [said for path, source in _sources("*.html") for said in template_calls(source, path)]


def catalogue_texts(folder: Path) -> set[str]:
    """What the catalogue says in words, to the user's own entries too; `folder` is for a file of them."""
    own = folder / "own.yaml"
    own.write_text(f"- {{id: own, name: Own, family: sd1, sha256: {'0' * 64}}}\n", encoding="utf-8")
    catalogue = load(own)
    assert catalogue.problems == ()
    texts: set[str] = set()
    for published in (*catalogue.entries, *catalogue.encoders):
        texts |= {published.purpose, published.not_offered_because or ""}
    for entry in catalogue.entries:
        texts |= {figures.dataset for figures in entry.evaluations}
    return texts - {""}


def fields(template: str) -> set[str]:
    """The names between braces. Raises `ValueError` for a template that cannot be filled."""
    found = set()
    for _, name, spec, conversion in Formatter().parse(template):
        if name is not None:
            if not name.isidentifier() or spec or conversion:
                raise ValueError(f"{{{name}}} is not a plain field")
            found.add(name)
    return found
