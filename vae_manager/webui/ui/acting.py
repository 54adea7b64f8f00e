"""The messages of the page's script: one event a place, and one answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import VaeManagerError
from ..admission import Visitor
from . import markup
from .gradio_compat import Work, picture_of
from .messages import perform
from .page import Page
from .questions import Question


def acting(page: Page) -> Work:
    """The work of an event that brings a message."""

    def act(seen: Page, text: str) -> None:
        perform(seen.host, seen.service, text)

    return _answering(page, act)


def comparing(page: Page) -> Work:
    """The work of an event that brings a message and a picture of the person's own."""

    def compare(seen: Page, text: str, picture: Any) -> None:
        seen.compare_picture(text, picture_of(picture))

    return _answering(page, compare)


def _answering(page: Page, do: Callable[..., None]) -> Work:
    """Wrap `do`, so that its one output is the answer: empty if the message was obeyed."""

    def answered(visitor: Visitor, *inputs: Any) -> str:
        seen = page.seen_by(visitor)
        try:
            do(seen, *inputs)
        except Question as question:
            return markup.question(question, seen.words)
        except VaeManagerError as error:
            return markup.answer(error.sentence, seen.words, can_close=True)
        return ""

    return Work(page.host, answered, lambda sentence: markup.answer(sentence, page.words, can_close=True))
