"""Messages for people: templates with fields, filled in English or through a table of translations.

Every text that reaches a person is made by `msg(...)`, with a literal template, so that a test can collect all of them
and compare them with the tables of `localizations/`. Figures are fields: the table holds "12 of 335 MB" once,
as "{done} of {total}".

A message with a `code` is identified by it, so that programs and tests never depend on the wording.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from string import Formatter
from typing import Any


@dataclass(frozen=True)
class Message:
    """A template and its fields. `str()` returns English.

    `code` is a short identifier in kebab case for programs, such as `plain-http`; a message may lack it. It is not
    stored by `to_data`, and it does not count in a comparison. The page has it in the attribute `data-vae-code`.
    """

    template: str
    fields: Mapping[str, object] = field(default_factory=dict)
    code: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.translated({})

    def translated(self, table: Mapping[str, str]) -> str:
        """Fill the template that `table` has for this one, or its own.

        A field that is itself a `Message` is translated by the same table.
        """
        filled = {
            name: value.translated(table) if isinstance(value, Message) else value
            for name, value in self.fields.items()
        }
        try:
            return table.get(self.template, self.template).format(**filled)
        except (LookupError, ValueError, AttributeError, TypeError):  # a translation by others, with other braces
            return self.template.format(**filled)

    def with_code(self, code: str) -> Message:
        """Return the message with `code`, unless it has a code already."""
        return self if self.code else replace(self, code=code)


def msg(template: str, *, code: str = "", **fields: object) -> Message:
    """Make a `Message`; `template` must be a literal string at the place of the call."""
    return Message(template, fields, code)


def datum(text: str) -> Message:
    """Return text that is data, such as a catalogue's advice, as a message with literal braces.

    The table of translations may have it.
    """
    return Message(text.replace("{", "{{").replace("}", "}}"))


def to_data(message: Message, text: Callable[[str], str] = str) -> dict[str, Any]:
    """Return a message as JSON data, so that it can be read later, in another language.

    `text` converts each field that is text.
    """
    fields = {name: _field_to_data(value, text) for name, value in message.fields.items()}
    return {"template": message.template, "fields": fields}


def from_data(data: Any) -> Message:
    """Return the message of `to_data`. Raises `ValueError`, `TypeError` or `KeyError` for invalid data."""
    if not isinstance(data["template"], str) or not isinstance(data["fields"], Mapping):
        raise TypeError("no sentence")
    for _, name, spec, conversion in Formatter().parse(data["template"]):
        # The project's templates have plain fields alone; a width from a damaged file could ask for gigabytes of
        # spaces.
        if name is not None and (not name.isidentifier() or spec or conversion):
            raise ValueError("no template of ours")
    fields = {
        str(name): from_data(value) if isinstance(value, Mapping) else value for name, value in data["fields"].items()
    }
    message = Message(data["template"], fields)
    try:
        str(message)
    except (AttributeError, IndexError) as error:
        raise ValueError("no sentence") from error
    return message


def _field_to_data(value: object, text: Callable[[str], str]) -> object:
    if isinstance(value, Message):
        return to_data(value, text)
    return value if isinstance(value, int | float) else text(str(value))


def codes_of(message: Message) -> tuple[str, ...]:
    """Return the codes of `message` and of the messages in its fields, each once."""
    inner = (code for value in message.fields.values() if isinstance(value, Message) for code in codes_of(value))
    return tuple(dict.fromkeys(code for code in (message.code, *inner) if code))


def renamed(message: Message, old: str, new: str) -> Message:
    """Return the message about a file with its new name `new` in place of `old`."""
    fields = {
        name: renamed(value, old, new) if isinstance(value, Message) else new if str(value) == old else value
        for name, value in message.fields.items()
    }
    return Message(message.template, fields, message.code)


def joined(messages: Sequence[Message]) -> Message:
    """Return one message with the sentences of `messages`, of which there is at least one, in their order."""
    *others, text = messages
    for message in reversed(others):
        text = msg("{first} {rest}", first=message, rest=text)
    return text


def megabytes(count: int) -> str:
    """Return `count` bytes in the decimal units of download pages: "335 MB" or "1.4 GB"."""
    if 0 < count < 1000:
        return f"{count:.0f} B"
    if count < 100_000:
        return f"{count / 1e3:.0f} kB"
    if count >= 1_000_000_000:
        return f"{count / 1e9:.1f} GB"
    if count >= 10_000_000:
        return f"{count / 1e6:.0f} MB"
    return f"{count / 1e6:.1f} MB"
