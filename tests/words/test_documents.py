"""The documents: links lead somewhere, and the reference describes what the code has."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

import vae_manager
from vae_manager import errors
from vae_manager.catalogue import FAMILIES

from .said import PACKAGE, ROOT, all_calls

DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"
REFERENCE = DOCS / "reference"
_CODE = re.compile(r"^ *```.*?^ *```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)
_MENTION = re.compile(r"(?<![\w./-])docs/[\w./-]+\.(?:md|png|py)\b")
"""A file of the documentation, named in code or in a form."""


def documents() -> list[Path]:
    """Every Markdown file of the project, apart from those of tests."""
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / ".github").rglob("*.md")])


def links(text: str) -> list[str]:
    """The targets of all links and pictures outside code."""
    return _LINK.findall(_CODE.sub("", text))


@cache
def anchors(document: Path) -> frozenset[str]:
    """The anchors of a document's headings, as the page of a repository makes them."""
    found: list[str] = []
    for heading in _HEADING.findall(re.sub(r"^```.*?^```$", "", document.read_text("utf-8"), flags=re.M | re.S)):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(f"{name}-{found.count(name)}" if name in found else name)
    return frozenset(found)


def dead_links(document: Path) -> Iterator[str]:
    """Yield links to files and headings that are not there. Names count in their exact case, as on Linux."""
    for target in links(document.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = unquote(target).partition("#")
        file = (document.parent / place).resolve() if place else document
        if not (file == document or is_there(file)) or (
            anchor and (file.suffix != ".md" or anchor not in anchors(file))
        ):
            yield target


def is_there(file: Path) -> bool:
    """The file or folder is part of the project."""
    return (
        file.is_relative_to(ROOT)
        and file.exists()
        and all(
            part.name in {entry.name for entry in part.parent.iterdir()}
            for part in (file, *file.parents)
            if part != ROOT and part.is_relative_to(ROOT)
        )
    )


# -- links ---------------------------------------------------------------------------------------------------------
def test_links_are_found() -> None:
    text = "[a](b.md) ![c](d.png 'e')\n`[f](g)`\n```\n[h](i)\n```\n[j](<k l.md>) [m](n.md#o)"
    assert links(text.replace("'e'", '"e"')) == ["b.md", "d.png", "n.md#o"]


def test_dead_links_are_found(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("# One two\n[x](#one-two) [x](#one) [x](b.md) [x](https://example.org/a.md)")
    assert list(dead_links(document)) == ["#one", "b.md"]


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_resolve(document: Path) -> None:
    assert list(dead_links(document)) == []


def test_documents_that_code_names_are_there() -> None:
    names = subprocess.run(
        ["git", "ls-files", "*.py", "*.toml", "*.yml", "*.yaml", "*.md", "*.js", "*.css"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    texts = {name: (ROOT / name).read_text("utf-8") for name in names if name != "CHANGELOG.md"}
    lost = [
        (name, said) for name, text in texts.items() for said in _MENTION.findall(text) if not (ROOT / said).exists()
    ]
    assert lost == []


def test_index_lists_each_document() -> None:
    listed = {(DOCS / target.partition("#")[0]).resolve() for target in links(INDEX.read_text("utf-8"))}
    assert set(DOCS.rglob("*.md")) - listed == {INDEX}


def test_each_picture_is_shown_somewhere() -> None:
    shown = {
        (document.parent / target).resolve()
        for document in documents()
        for target in links(document.read_text("utf-8"))
    }
    assert set(DOCS.rglob("*.png")) - shown == set()


# -- what the reference has to describe ----------------------------------------------------------------------------
def strings(*files: str) -> Iterator[str]:
    """Every string literal of some modules."""
    for file in files:
        for path in sorted(PACKAGE.glob(file)):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def in_code(page: str) -> str:
    """All that a page of the reference shows as code."""
    return "\n".join(re.findall(r"`([^`]+)`", (REFERENCE / page).read_text("utf-8")))


def test_settings_are_described() -> None:
    names = {text for text in strings("webui/hosts/common/options.py") if re.fullmatch(r"vae_manager_[a-z0-9_]+", text)}
    prefix = "vae_manager_default_"  # one for each family
    names = (names - {prefix}) | {prefix + family for family in FAMILIES}
    described = set(re.findall(r"\bvae_manager_[a-z0-9_]+", in_code("settings.md")))
    assert len(names) > 10
    assert names == described


def test_routes_are_described() -> None:
    names = {
        text
        for text in strings("webui/api*.py", "webui/program_api.py", "webui/ui/views/comparison_section.py")
        if text.startswith("/vae-manager")
    }
    described = in_code("http-api.md")
    assert len(names) > 3
    assert {name for name in names if name not in described} == set()


def test_exit_statuses_are_described() -> None:
    classes = [
        one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.VaeManagerError)
    ]
    rows = set(re.findall(r"^\| (\d+) \|", (REFERENCE / "output.md").read_text("utf-8"), re.MULTILINE))
    assert {str(one.exit_status) for one in classes} - rows == set()


def test_files_of_the_data_folder_are_described() -> None:
    literals = strings("service.py", "downloads/*.py", "records/*.py", "library/family_evidence.py", "library/trash.py")
    names = {text for text in literals if re.fullmatch(r"[a-z-]+\.(json|jsonl|yaml|sqlite3)", text)}
    described = in_code("data-folder.md")
    assert len(names) > 8
    assert {name for name in names if name not in described} == set()


def test_messages_in_the_page_of_trouble_are_said() -> None:
    """Its first column quotes messages in italics, with an ellipsis for what is left out."""
    rows = re.findall(r"^\| (\*.+?) \|", (DOCS / "how-to" / "trouble.md").read_text("utf-8"), re.MULTILINE)
    quoted = [quote for row in rows for quote in re.findall(r"\*([^*]+)\*", row)]
    patterns = {quote: ".*".join(map(re.escape, filter(None, map(str.strip, quote.split("…"))))) for quote in quoted}
    templates = [said.template for said in all_calls() if said.template is not None]
    assert len(quoted) > 10
    assert [quote for quote, pattern in patterns.items() if not any(re.search(pattern, one) for one in templates)] == []


# -- the version ---------------------------------------------------------------------------------------------------
def test_version_stands_in_one_place() -> None:
    """The package has it; the project's metadata read it there, and the changelog has a section for it."""
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    assert re.search(r"^version *= *\"", project, re.MULTILINE) is None
    assert re.search(r"^version = \{ attr = \"vae_manager\.__version__\" \}$", project, re.MULTILINE) is not None
    sections = re.findall(r"^## \[([0-9.]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert sections[0] == vae_manager.__version__


def test_changelog_entries_of_the_version_are_lines() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    section = text.partition(f"## [{vae_manager.__version__}]")[2].partition("\n## ")[0]
    assert [line for line in section.splitlines()[1:] if line and not line.startswith(("### ", "- "))] == []
