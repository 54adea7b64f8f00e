"""Sentences, and the language in which they are filled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from vae_manager.messages import megabytes, msg
from vae_manager.webui import translation as module
from vae_manager.webui.translation import Translator, plain, translator_for

OURS = {"{done} of {total}": "{total} 中的 {done}", "Automatic": "自动", "Smoother, the safe default": "更平滑"}


@pytest.fixture(autouse=True)
def _own_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The project's Chinese, as far as these tests need it."""
    path = tmp_path / "zh_CN.vae-manager.json"
    path.write_text(json.dumps(OURS), encoding="utf-8")
    monkeypatch.setattr(module, "LOCALIZATIONS", tmp_path)
    module._table.cache_clear()
    yield
    module._table.cache_clear()


# -- sentences -----------------------------------------------------------------------------------------------------
def test_a_sentence_is_english_by_itself() -> None:
    message = msg("{done} of {total}", done="12 MB", total="335 MB")
    assert str(message) == "12 MB of 335 MB"
    assert message == msg("{done} of {total}", done="12 MB", total="335 MB")


def test_a_sentence_in_a_sentence_is_translated_with_it() -> None:
    outer = msg("{file}: {what}", file="a.pt", what=msg("Automatic"))
    assert str(outer) == "a.pt: Automatic"
    assert outer.translated({"Automatic": "自动", "{file}: {what}": "{what}：{file}"}) == "自动：a.pt"


def test_what_fills_a_sentence_is_never_filled_itself() -> None:
    assert str(msg("{file} is empty.", file="{count}.pt")) == "{count}.pt is empty."
    assert msg("{a} {b}", a="{b}", b="Automatic").translated(OURS) == "{b} Automatic"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (3_000_000, "3.0 MB"),
        (10_000_000, "10 MB"),
        (334_641_190, "335 MB"),
        (1_000_000_000, "1.0 GB"),
        (2_130_000_000, "2.1 GB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert megabytes(count) == text


# -- words ---------------------------------------------------------------------------------------------------------
def test_words_translate_sentences_and_texts_of_the_catalogue() -> None:
    words = Translator(OURS)
    assert words(msg("{done} of {total}", done=1, total=2)) == "2 中的 1"
    assert words("Smoother, the safe default") == "更平滑"
    assert words(msg("Unknown {x}", x=1)) == "Unknown 1"
    assert words("{unknown}") == "{unknown}", "a text is looked up, never filled"


@pytest.mark.parametrize(
    "language",
    [
        "zh_CN",
        "zh-CN",
        "ZH_cn",
        "zh",
        "zh_Hans",
        "zh-Hans (Stable)",
        "zh-Hans (Testing) [vladmandic]",
        "zh-Hans (modern)",
    ],
)
def test_every_simplified_chinese_gets_ours(language: str) -> None:
    assert translator_for(language, {})(msg("Automatic")) == "自动"


@pytest.mark.parametrize(
    "language", ["None", "", "zh_TW", "zh-TW", "zh_HK", "zh-Hant (Stable)", "ja_JP", "de_DE", "my zh"]
)
def test_nobody_else_does(language: str) -> None:
    assert translator_for(language, {})(msg("Automatic")) == "Automatic"


@pytest.mark.parametrize("language", ["zh_CN", "zh-Hans (Stable)"])
def test_our_table_comes_before_the_webuis(language: str) -> None:
    words = translator_for(language, {"Automatic": "自動", "Seed": "种子"})
    assert words(msg("Automatic")) == "自动", "the WebUI's table knows the word from elsewhere"
    assert words(msg("Seed")) == "种子"


def test_in_other_languages_our_table_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zh_CN.vae-manager.json").write_text("no table")
    assert translator_for("None", {})(msg("Automatic")) == "Automatic"


def test_our_table_is_read_once(tmp_path: Path) -> None:
    assert translator_for("zh_CN", {})("Automatic") == "自动"
    (tmp_path / "zh_CN.vae-manager.json").unlink()
    assert translator_for("zh_CN", {})("Automatic") == "自动"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("es_ES", "Automático"),
        ("es", "Automático"),
        ("es-MX (by hand)", "Automático"),
        ("zh_TW", "自動"),
        ("zh-Hant", "自動"),
        ("zh_CN", "自动"),
        ("pt_BR", "Automático (BR)"),
        ("pt_PT", "Automático (PT)"),
        ("estonian", "Automatic"),
        ("et", "Automatic"),
    ],
)
def test_another_language_needs_a_file_alone(tmp_path: Path, language: str, text: str) -> None:
    for code, word in {
        "es_ES": "Automático",
        "zh_TW": "自動",
        "pt_BR": "Automático (BR)",
        "pt_PT": "Automático (PT)",
    }.items():
        (tmp_path / f"{code}.vae-manager.json").write_text(json.dumps({"Automatic": word}), encoding="utf-8")
    assert translator_for(language, {})(msg("Automatic")) == text


@pytest.mark.parametrize("name", ["\u202egnp.exe.pt", "a\nb.pt", "a\x1b[2Jb.pt", "\udcffname.pt", "\u2066a.pt"])
def test_a_name_reads_as_what_it_is_in_every_sentence(name: str) -> None:
    text = Translator({})(msg("{file} is empty. Get it again.", file=name))
    assert text == Translator({})(msg("{file} is empty. Get it again.", file=plain(name)))
    assert name not in text and text.isprintable()
