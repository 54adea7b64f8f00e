"""Infotext in Forge's form names the VAE that decoded, among the text encoders, and nothing else changes."""

from __future__ import annotations

import pytest

from vae_manager.compare.pictures import with_modules

HEAD = "a cat, Module 1: not one\nNegative prompt: VAE hash: 0123456789\nSteps: 20, Sampler: Euler, Version: f2.0"
ENCODERS = "Module 1: clip_l, Module 2: t5xxl"


@pytest.mark.parametrize(
    ("before", "vaes", "name", "short_hash", "after"),
    [
        ("", [], "a", "0123456789", ", Module 1: a, VAE hash: 0123456789"),
        (", Module 1: bad", ["bad"], None, None, ""),
        (f", {ENCODERS}", [], None, None, f", {ENCODERS}"),
        (
            ", Module 1: clip_l, Module 2: a, Module 3: t5xxl",
            ["a"],
            "b",
            None,
            ", Module 1: b, Module 2: clip_l, Module 3: t5xxl",
        ),
        (
            ", Module 1: a, Module 2: b, VAE hash: 1111111111",
            ["a", "b"],
            "b",
            "2222222222",
            ", Module 1: b, VAE hash: 2222222222",
        ),
        (', Module 1: "a, b", Hires Module 1: a', ["a, b"], "c: d", None, ', Hires Module 1: a, Module 1: "c: d"'),
    ],
)
def test_the_vae_stands_first(
    before: str, vaes: list[str], name: str | None, short_hash: str | None, after: str
) -> None:
    assert with_modules(HEAD + before, vaes, name, short_hash) == HEAD + after


@pytest.mark.parametrize("text", ["", "a cat", "Model: x, Module 1: a", "Module 1: a"])
def test_what_is_no_infotext_stays_as_it_is(text: str) -> None:
    assert with_modules(text, ["a"], "b", None) == text
