"""What the project says can be collected, filled, and said in Chinese; other tables translate a part of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from .said import (
    CHINESE,
    Said,
    all_calls,
    all_unsaid,
    calls,
    catalogue_texts,
    fields,
    template_calls,
    template_unsaid,
    unsaid,
)

SAID = all_calls()
TABLES = sorted(CHINESE.parent.glob("*.vae-manager.json"))


@pytest.fixture
def texts(tmp_path: Path) -> set[str]:
    """All that a person can meet."""
    return {said.template for said in SAID if said.template is not None} | catalogue_texts(tmp_path)


@pytest.fixture
def chinese() -> dict[str, str]:
    if not CHINESE.is_file():
        pytest.skip("localizations/zh_CN.vae-manager.json is not there yet")
    return read_table(CHINESE)


def read_table(path: Path) -> dict[str, str]:
    pairs: list[tuple[str, str]] = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=list)
    table = dict(pairs)
    assert len(table) == len(pairs), "a key is there twice"
    return table


# -- collecting ----------------------------------------------------------------------------------------------------
def test_the_collector_finds_what_there_is() -> None:
    source = """
msg("One {a}", a=1)
raise Error(msg("Two "
    "in two lines {b}.", b=msg("Three")))
messages.msg("Four", **more)
msg(text)
msg("Five" + "!")
msg(f"Six {x}")
msg("Seven" if x else "Eight")
msg("Nine", "ten")
"""
    found = {said.template: said.names for said in calls(source, "a.py") if said.template is not None}
    assert found == {
        "One {a}": {"a"},
        "Two in two lines {b}.": {"b"},
        "Three": frozenset(),
        "Four": None,
    }
    odd = [said.place for said in calls(source, "a.py") if said.template is None]
    assert sorted(odd, key=len) == ["a.py:6", "a.py:7", "a.py:8", "a.py:9", "a.py:10"]


def test_the_collector_finds_what_templates_hold() -> None:
    source = """
<p title="{{ msg("One {a}", a=1) }}">{{ msg("Two "
    "in two lines {b}.", b=msg("Three")) }}</p>
{% set label = msg("Four", **more) if x else none %}
{{ msg(text) }}
{{ msg("Five" ~ "!") }}
{{ msg("Six" if x else "Seven") }}
{{ msg("Eight", "nine") }}
"""
    found = {said.template: said.names for said in template_calls(source, "a.html") if said.template is not None}
    assert found == {"One {a}": {"a"}, "Two in two lines {b}.": {"b"}, "Three": frozenset(), "Four": None}
    odd = [said.place for said in template_calls(source, "a.html") if said.template is None]
    assert odd == ["a.html:5", "a.html:6", "a.html:7", "a.html:8"]
    assert any(".html:" in said.place for said in SAID)


def test_there_is_much_to_say() -> None:
    assert len(SAID) > 100


def test_every_template_is_a_literal_string() -> None:
    assert [said.place for said in SAID if said.template is None] == []


def test_the_page_words_nothing_that_was_not_said() -> None:
    assert all_unsaid() == []
    assert list(unsaid('translate(msg("x"))\nself.translate("x")\ntranslate(f"{x}")\ntranslate(x)', "a.py")) == [
        "a.py:2",
        "a.py:3",
    ]
    assert list(template_unsaid('{{ x|translated }}{{ x.y|translated }}\n{{ "x"|translated }}', "a.html")) == [
        "a.html:2"
    ]


def test_no_template_is_said_empty() -> None:
    assert [said.place for said in SAID if said.template is not None and not said.template.strip()] == []


@pytest.mark.parametrize("said", SAID, ids=lambda said: said.place)
def test_each_field_is_filled_and_no_other(said: Said) -> None:
    if said.template is not None and said.names is not None:
        assert fields(said.template) == said.names


def test_codes_are_short_and_in_kebab_case() -> None:
    odd = [
        said.place
        for said in SAID
        if said.code is not None and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+){0,4}", said.code)
    ]
    assert odd == []
    assert sum(said.code is not None for said in SAID) > 100


def test_the_catalogue_says_nothing_with_braces(tmp_path: Path) -> None:
    """Such a text is looked up, never filled."""
    assert [text for text in catalogue_texts(tmp_path) if "{" in text or "}" in text] == []


def test_what_the_catalogue_says_to_ones_own_entries_is_collected(tmp_path: Path) -> None:
    texts = catalogue_texts(tmp_path)
    assert {"Smoother, the safe default", "No licence is known for it."} <= texts
    assert "COCO 2017 (256 × 256, 5000 images)" in texts
    assert "Your own catalogue does not offer it." in texts


# -- in other languages --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
def test_each_table_translates_what_is_said_with_the_same_fields(path: Path, texts: set[str]) -> None:
    """A table may be incomplete: what it lacks is shown in English."""
    table = read_table(path)
    assert sorted(table.keys() - texts) == []
    assert {text: other for text, other in table.items() if fields_of(text) != fields_of(other)} == {}
    assert [text for text, other in table.items() if not other.strip() or other != other.strip()] == []


# -- in Chinese ----------------------------------------------------------------------------------------------------
def test_everything_is_said_in_chinese(chinese: dict[str, str], texts: set[str]) -> None:
    assert sorted(texts - chinese.keys()) == []


def test_nothing_is_translated_that_nobody_says(chinese: dict[str, str], texts: set[str]) -> None:
    assert sorted(chinese.keys() - texts) == []


def test_a_translation_has_the_same_fields(chinese: dict[str, str]) -> None:
    different = {text: other for text, other in chinese.items() if fields_of(text) != fields_of(other)}
    assert different == {}


def test_a_translation_is_a_text_that_says_something(chinese: dict[str, str]) -> None:
    odd: dict[str, Any] = {
        text: translation
        for text, translation in chinese.items()
        if not isinstance(translation, str) or not translation.strip() or translation != translation.strip()
    }
    assert odd == {}


def fields_of(text: str) -> set[str]:
    try:
        return fields(text)
    except ValueError as error:
        return {f"cannot be filled: {error}"}
