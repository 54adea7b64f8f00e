"""A catalogue of the user that no page could wait for is refused with a sentence, or read quickly."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
import yaml

from vae_manager.catalogue import Catalogue, load, schema

BUILT_IN = len(load().entries)
SECONDS = 2.0
"""Limit of processor time. The refusals and readings here take a small part of it."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.yaml"


@pytest.fixture(params=["C", "Python"])
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the YAML library's C part and without: not every machine has it."""
    if request.param == "Python":
        monkeypatch.setattr(schema, "_LOADER", yaml.SafeLoader)


def entries(count: int, first: int = 0) -> str:
    return "".join(
        f"- id: vae-{number}\n  name: My VAE {number}\n  family: sd1\n  sha256: {number:064x}\n"
        f"  source: hub:owner/name/my-vae-{number}.safetensors\n"
        for number in range(first, first + count)
    )


def read(file: Path, text: str) -> Catalogue:
    file.write_text(text, encoding="utf-8")
    began = time.process_time()
    catalogue = load(file)
    assert time.process_time() - began < SECONDS
    return catalogue


@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize(
    "text",
    [
        entries(40_000),
        "\n" * 200_000,
        "# a comment\n" * 200_000,
        "- id: a\n" * 200_000,
        "- " * 100_000 + "a",
        "[" * 100_000 + "]" * 100_000,
        "{a: " * 50_000 + "b" + "}" * 50_000,
        "- [" + "a, " * 150_000 + "a]\n",
        "- id: &a [x, x]\n" + "".join(f"- id: &a{n} [*a{n - 1 if n else ''}, *a]\n" for n in range(500)),
        "a: &a [x, x]\nb: &b [*a, *a]\n" + "".join(f"k{n}: [*a, *b]\n" for n in range(100)),
    ],
    ids=["entries", "nothing", "comments", "items", "deep", "deep flow", "deep maps", "one line", "bomb", "aliases"],
)
def test_too_much_is_refused_at_once(file: Path, text: str) -> None:
    catalogue = read(file, text)
    assert len(catalogue.entries) == BUILT_IN
    assert len(catalogue.problems) == 1


@pytest.mark.usefixtures("_loader")
def test_many_entries_are_read(file: Path) -> None:
    catalogue = read(file, entries(500))
    assert catalogue.problems == ()
    assert len(catalogue.entries) == BUILT_IN + 500


@pytest.mark.usefixtures("_loader")
def test_one_bad_line_among_many_costs_one_entry_and_little_time(file: Path) -> None:
    catalogue = read(file, entries(200) + "- id: [\n" + entries(200, first=200))
    assert len(catalogue.entries) == BUILT_IN + 400
    assert {problem.line for problem in catalogue.problems} <= {1001, 1002}


def test_lines_are_those_of_the_file_though_items_are_read_alone(file: Path) -> None:
    catalogue = read(file, entries(3) + "- id: [\n" + entries(1, first=3).replace("sd1", "nothing"))
    assert [problem.line for problem in catalogue.problems] == [17, 19] or [
        problem.line for problem in catalogue.problems
    ] == [16, 19]


@pytest.mark.parametrize("number", ["9" * 100_000, "-1", "1e999", "nan", "0x" + "f" * 50_000])
def test_size_that_is_no_size_costs_one_entry(file: Path, number: str) -> None:
    catalogue = read(file, entries(1).rstrip() + f"\n  size: {number}\n" + entries(1, first=1))
    assert [problem.line for problem in catalogue.problems] == [6]
    assert len(catalogue.entries) == BUILT_IN + 1


def test_thousands_of_problems_are_not_all_told(file: Path) -> None:
    catalogue = read(file, "- id: a\n" * 9_000)
    assert len(catalogue.entries) == BUILT_IN
    assert len(catalogue.problems) < 100


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX")
def test_what_is_no_plain_file_is_not_waited_for(file: Path) -> None:
    os.mkfifo(file)
    assert len(load(file).problems) == 1


@pytest.mark.skipif(not Path("/proc/kallsyms").is_file(), reason="Linux")
def test_a_file_that_does_not_tell_its_size(tmp_path: Path) -> None:
    """Read a link to a system file, whose size is not known."""
    link = tmp_path / "catalogue.yaml"
    link.symlink_to("/proc/kallsyms")
    if len(link.open("rb").read(schema.MAX_BYTES + 1)) <= schema.MAX_BYTES:
        pytest.skip("too short here")
    text, issue = schema.read_text(link)
    assert text == ""
    assert issue is not None
