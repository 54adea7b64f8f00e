"""Problems of a file, as a sentence for people and a code for programs."""

from __future__ import annotations

from dataclasses import dataclass

from ..sentences import Sentence

__all__ = ["Problem"]


@dataclass(frozen=True)
class Problem:
    """One reason why a file cannot be used, or cannot be used as it is."""

    code: str
    """No bytes of a model: `empty`, `web-page`, `lfs-pointer`, `other-format`, `not-a-model`, `zip-without-model`.
    Broken: `truncated`, `bad-header`, `header-too-long`, `duplicate-key`, `overlapping`, `bad-offsets`, `bad-zip`,
    `bad-pickle`, `nan`, `unfinished`. Dangerous: `unsafe-pickle`. Unreadable: `unreadable`, `old-torch`.
    Reasons of a verdict: see `records.verdict`."""
    sentence: Sentence
