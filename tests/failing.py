"""Expected failures, by class, code and fields of the message: the sentences may be reworded at any time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from vae_manager.errors import VaeManagerError
from vae_manager.messages import Message

Kind = TypeVar("Kind", bound=VaeManagerError)


@contextmanager
def fails_with(kind: type[Kind], code: str, **fields: object) -> Iterator[pytest.ExceptionInfo[Kind]]:
    """The block raises `kind` with this code; its message has these fields, among others."""
    with pytest.raises(kind) as raised:
        yield raised
    error = raised.value
    assert error.code == code, f"{error.code}: {error}"
    assert has(error.message, **fields), (fields, error.message)


def has(message: Message, **fields: object) -> bool:
    """True if these are fields of the message, compared as text."""
    return {name: str(message.fields.get(name)) for name in fields} == {
        name: str(value) for name, value in fields.items()
    }


def inner(message: Message, *names: str) -> Message:
    """The message that is a field of a field … of another one."""
    for name in names:
        found = message.fields[name]
        assert isinstance(found, Message), (name, message)
        message = found
    return message
