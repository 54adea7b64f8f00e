"""Refusals that a click can go on from: a sentence, and the button that is the answer to it."""

from __future__ import annotations

from ...errors import RefusedError
from ...sentences import Sentence

__all__ = ["Question"]


class Question(RefusedError):
    """Nothing was done: `action` does it, once a person has clicked `label`."""

    def __init__(self, sentence: Sentence, label: Sentence, action: dict[str, object]) -> None:
        super().__init__(sentence)
        self.label = label
        self.action = action
