"""Problems in a word or two, for a table's cell; the sentences come with the files."""

from __future__ import annotations

from typing import Final

from ....library.verification import Outcome
from ....sentences import Sentence, say

DAMAGED: Final = frozenset(
    {
        "truncated", "overlapping", "bad-header", "bad-offsets", "bad-zip", "bad-pickle", "duplicate-key",
        "header-too-long", "nan", "damaged",
    }
)  # fmt: skip


def problem_word(code: str) -> Sentence:
    """Return the word for a code of a problem or of a verdict."""
    if code == "empty":
        return say("empty")
    if code == "web-page":
        return say("a web page")
    if code == "lfs-pointer":
        return say("a pointer only")
    if code in DAMAGED:
        return say("damaged")
    if code == "unreadable":
        return say("cannot be read")
    if code == "wrong-suffix":
        return say("wrong extension")
    if code == "old-torch":
        return say("too old")
    if code == "unsafe-pickle":
        return say("unsafe")
    if code == "checkpoint":
        return say("whole checkpoint")
    if code == "tiny":
        return say("previews only")
    if code == "video":
        return say("for video")
    if code in ("lora", "no-vae", "not-a-model", "zip-without-model"):
        return say("no VAE")
    if code in ("no-encoder", "no-decoder", "incomplete", "scattered"):
        return say("incomplete")
    if code == "unfinished":
        return say("unfinished download")
    if code == "probably-unfinished":
        return say("perhaps unfinished")
    if code == "other-format":
        return say("another format")
    if code in (
        "other-channels",
        "other-factor",
        "other-width",
        "other-depth",
        "other-kind",
        "other-shapes",
        "unknown-tensors",
    ):
        return say("does not fit")
    if code == "asymmetric":
        return say("asymmetric")
    if code == "not-weights":
        return say("no weights")
    if code == "other-family":
        return say("other family")
    if code == "probably-other-family":
        return say("probably another family")
    return say("cannot be loaded")


def outcome_word(outcome: Outcome) -> Sentence:
    """For a verification that found a file not to be right."""
    if outcome is Outcome.CHANGED:
        return say("changed")
    if outcome is Outcome.DAMAGED:
        return say("damaged")
    return say("no VAE") if outcome is Outcome.NOT_A_VAE else say("cannot be read")
