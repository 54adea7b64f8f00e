"""`resolve` against the WebUI's rules written down a second time, as a flat list of questions."""

from __future__ import annotations

import posixpath
from dataclasses import replace

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

from vae_manager.choice import Choice, ResolutionContext, Rule, resolve

STEMS = ["sd", "sd-v1", "sdxl", "model", "model.v1", "x", "Automatic", "None"]
SUFFIXES = [".safetensors", ".vae.pt", ".ckpt"]
NAMES = st.builds(str.__add__, st.sampled_from(STEMS), st.sampled_from(SUFFIXES))
WORDS = st.one_of(st.sampled_from(["Automatic", "auto", "None"]), NAMES)


@st.composite
def situations(draw: st.DrawFn) -> ResolutionContext:
    names = draw(st.lists(NAMES, unique=True, max_size=6))
    return ResolutionContext(
        choice=Choice(draw(WORDS)),
        checkpoint_file=draw(st.sampled_from(["", "folder/", "/a/b.c/"])) + draw(NAMES),
        files={name: f"/vae/{number}/{name}" for number, name in enumerate(names)},
        vae_path=draw(st.sampled_from([None, None, None, "/forced.pt"])),
        setting_overrides_card=draw(st.booleans()),
        card_preference=draw(st.one_of(st.none(), WORDS)),
    )


def oracle(asked: ResolutionContext) -> str | None:
    """The path that the WebUI ends up with; None is the checkpoint's own VAE."""
    automatic = asked.choice.word in {"Automatic", "auto"}
    candidates: list[tuple[bool, str | None]] = []
    if asked.vae_path is not None:
        return asked.vae_path
    from_setting = None if asked.choice.word == "None" else asked.files.get(asked.choice.word)
    candidates.append((asked.setting_overrides_card and not automatic, from_setting))
    card = asked.card_preference
    candidates.append((card == "None", None))
    candidates.append((card not in (None, "Automatic") and card in asked.files, asked.files.get(card or "")))
    stem = posixpath.basename(asked.checkpoint_file).rpartition(".")[0]
    near = [path for path in asked.files.values() if posixpath.basename(path)[: len(stem)] == stem]
    candidates.append((bool(near), near[0] if near else None))
    candidates.append((True, from_setting))
    return next(path for wins, path in candidates if wins)


@settings(max_examples=300, deadline=None)
@given(situations())
def test_the_file_is_the_one_that_the_webui_takes(asked: ResolutionContext) -> None:
    assert resolve(asked).path == oracle(asked)


@settings(max_examples=200, deadline=None)
@given(situations(), NAMES)
def test_a_default_of_the_family_changes_only_what_nothing_else_decides(asked: ResolutionContext, default: str) -> None:
    without, found = resolve(asked), resolve(replace(asked, family_default=default))
    if without.rule is Rule.NOTHING_NEARER:
        assert found.path == asked.files.get(default)
        assert found.rule is (Rule.FAMILY if default in asked.files else Rule.FAMILY_MISSING)
        assert found.missing == (None if default in asked.files else default)
    else:
        assert found == without


@settings(max_examples=200, deadline=None)
@given(situations())
def test_what_is_overridden_wins_once_the_choice_is_automatic(asked: ResolutionContext) -> None:
    overrides = resolve(asked).overrides
    if overrides is not None:
        freed = resolve(replace(asked, choice=Choice("Automatic")))
        assert (freed.rule, freed.path) == (Rule.CARD, asked.files.get(overrides))
        assert freed.path != resolve(asked).path


@settings(max_examples=100, deadline=None)
@given(situations())
def test_the_rule_fits_the_answer(asked: ResolutionContext) -> None:
    found = resolve(asked)
    assert (found.missing is not None) == (found.rule is Rule.MISSING)
    if found.rule in (Rule.NOTHING_NEARER, Rule.MISSING):
        assert found.path is None
    if found.rule is Rule.NEAR_NAME:
        assert found.path is not None
    if found.rule is Rule.NOTHING_NEARER:
        assert asked.choice.is_automatic
    if found.missing is not None:
        assert found.missing == asked.choice.word
        assert found.missing not in asked.files
    if found.path is not None and found.rule is not Rule.VAE_PATH:
        assert found.path in asked.files.values()
