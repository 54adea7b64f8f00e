"""One YAML node -> one `Entry`, strictly: a key that is not known or a value of the wrong kind is a flaw."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final, Literal, TypeVar, cast, get_args
from urllib.parse import unquote, urlsplit

import yaml

from ..errors import VaeManagerError
from ..sentences import Sentence, say
from .entry import Entry, Evaluation, Family, Layout, Licence
from .families import FAMILIES
from .names import VAE_SUFFIXES, is_vae_file_name, safe_file_name
from .nodes import Flaw, line_of
from .parsing import parse_source
from .sources import HttpsSource, HubSource, LocalSource, Source

__all__ = ["read_entry"]

_T = TypeVar("_T")

_USER_KEYS: Final = ({field.name for field in dataclasses.fields(Entry)} - {"evidence"}) | {"source"}
_BUILT_IN_KEYS: Final = _USER_KEYS | {"evidence"}
_LICENCE_KEYS: Final = {"name", "link"}
_EVALUATION_KEYS: Final = {field.name for field in dataclasses.fields(Evaluation)}
_PERMISSIVE: Final = frozenset({"mit", "apache-2.0"})
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_DIGITS: Final = re.compile(r"[1-9][0-9]{0,17}")


def read_entry(node: yaml.Node, *, built_in: bool, folder: Path) -> tuple[Entry | None, list[Flaw]]:
    """Read one item of a catalogue; None where it has a flaw.

    A relative local source counts from `folder`. A user's entry is offered unless it says otherwise, since that is the
    user's own word; a built-in one is offered only where it says so.
    """
    fields = _Fields(node, _BUILT_IN_KEYS if built_in else _USER_KEYS)
    if not isinstance(node, yaml.MappingNode):
        return None, fields.flaws
    entry = _entry(fields, built_in=built_in, folder=folder)
    return (None if fields.flaws else entry), fields.flaws


def _entry(fields: _Fields, *, built_in: bool, folder: Path) -> Entry:
    id = fields.required("id", _id)
    sources = _sources(fields, folder)
    offered = fields.flag("offered", default=not built_in and bool(sources))
    if offered and not sources and not fields.flaws:
        fields.flaw(fields.nodes["offered"], say("An entry that is offered needs a “source”."))
    because = fields.text("not_offered_because")
    if not offered and not built_in and because is None:
        because = "Your own catalogue does not offer it."
    return Entry(
        id=id,
        name=fields.required("name", str),
        family=fields.required("family", _family),
        file_name=_file_name(fields, id, sources, offered=offered),
        sha256=fields.required("sha256", _sha256),
        purpose=fields.text("purpose") or "",
        licence=_licence(fields),
        sources=sources,
        size=fields.read("size", _count),
        layout=fields.read("layout", _layout) or "ldm",
        dtype=fields.text("dtype"),
        offered=offered,
        not_offered_because=because,
        gated=fields.flag("gated", default=False),
        evidence=(fields.read("evidence", _evidence) or "B") if built_in else "user",
        aliases=tuple(fields.texts("aliases")),
        evaluations=tuple(_evaluation(one) for one in fields.mappings("evaluations", _EVALUATION_KEYS)),
    )


class _Flawed(Exception):
    """A value that cannot be used; `_Fields` turns it into a flaw with a line."""

    def __init__(self, sentence: Sentence) -> None:
        super().__init__(str(sentence))
        self.sentence = sentence


class _Fields:
    """The keys of one mapping. What is wrong gathers in `flaws`; a getter then answers with a stand-in."""

    def __init__(self, node: yaml.Node, known: AbstractSet[str], flaws: list[Flaw] | None = None) -> None:
        self.node = node
        self.flaws: list[Flaw] = [] if flaws is None else flaws
        self.nodes: dict[str, yaml.Node] = {}
        if not isinstance(node, yaml.MappingNode):
            self.flaw(node, say("An entry is a list of “key: value” lines."))
            return
        for key, value in node.value:
            self._add(key, value, known)

    def flaw(self, node: yaml.Node, sentence: Sentence) -> None:
        self.flaws.append(Flaw(line_of(node), sentence))

    def read(self, key: str, convert: Callable[[str], _T]) -> _T | None:
        """The value of `key` through `convert`; None where it is absent or flawed."""
        node = self.nodes.get(key)
        return None if node is None else self._value(key, node, convert)

    def required(self, key: str, convert: Callable[[str], _T]) -> _T:
        """Like `read`, but absence is a flaw. An entry with flaws is thrown away, so its stand-in is never seen."""
        if key not in self.nodes:
            self.flaw(self.node, say("The entry has no “{key}”.", key=key))
        return cast(_T, self.read(key, convert))

    def text(self, key: str) -> str | None:
        return self.read(key, str)

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.read(key, _flag)
        return default if value is None else value

    def texts(self, key: str) -> list[str]:
        return [text for text in (self._value(key, one, str) for one in self.items(key)) if text is not None]

    def mappings(self, key: str, known: AbstractSet[str]) -> list[_Fields]:
        return [_Fields(one, known, self.flaws) for one in self.items(key)]

    def items(self, key: str) -> list[yaml.Node]:
        node = self.nodes.get(key)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.flaw(node, say("“{key}” must be a list.", key=key))
            return []
        return list(node.value)

    def _add(self, key: yaml.Node, value: yaml.Node, known: AbstractSet[str]) -> None:
        name = str(key.value)[:60]
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            if near:
                self.flaw(key, say("“{key}” is not a known key. Is it “{near}”?", key=name, near=near[0]))
            else:
                self.flaw(key, say("“{key}” is not a known key.", key=name))
        elif name in self.nodes:
            self.flaw(key, say("“{key}” is there twice.", key=name))
        elif not (isinstance(value, yaml.ScalarNode) and value.tag.endswith(":null")):  # "key:" says nothing
            self.nodes[name] = value

    def _value(self, key: str, node: yaml.Node, convert: Callable[[str], _T]) -> _T | None:
        if not isinstance(node, yaml.ScalarNode):
            self.flaw(node, say("“{key}” must be a single value.", key=key))
            return None
        text = str(node.value).strip()
        if not text or not text.isprintable():
            self.flaw(node, say("“{key}” must be one line of text.", key=key))
            return None
        try:
            return convert(text)
        except (_Flawed, VaeManagerError) as error:
            self.flaw(node, error.sentence)
            return None


def _sources(fields: _Fields, folder: Path) -> tuple[Source, ...]:
    texts = fields.texts("sources")
    one = fields.text("source")
    sources: list[Source] = []
    for text in [one, *texts] if one is not None else texts:
        try:
            sources.append(_from_folder(parse_source(text), folder))
        except VaeManagerError as error:
            fields.flaw(fields.nodes["source" if text is one else "sources"], error.sentence)
    return tuple(sources)


def _from_folder(source: Source, folder: Path) -> Source:
    return LocalSource(folder / source.path) if isinstance(source, LocalSource) else source


def _file_name(fields: _Fields, id: str, sources: tuple[Source, ...], *, offered: bool) -> str:
    """The key `file_name`, or the name at the first source; the id for an entry that is only recognised."""
    given = fields.text("file_name")
    name = given or (_name_at(sources[0]) if sources else f"{id}{VAE_SUFFIXES[0]}")
    node = fields.nodes["file_name"] if given else fields.nodes.get("source", fields.nodes.get("sources", fields.node))
    try:
        safe_file_name(name)
    except VaeManagerError as error:
        fields.flaw(node, error.sentence)
        return name
    if offered and not is_vae_file_name(name):
        fields.flaw(
            node,
            say("The WebUI lists {endings} only: give a “file_name” that ends so.", endings=", ".join(VAE_SUFFIXES)),
        )
    return name


def _name_at(source: Source) -> str:
    if isinstance(source, HubSource):
        return source.path.rpartition("/")[2]
    if isinstance(source, HttpsSource):
        return unquote(urlsplit(source.url).path.rpartition("/")[2])
    return source.path.name


def _licence(fields: _Fields) -> Licence | None:
    """`licence: MIT`, or `licence: {name: …, link: …}`."""
    node = fields.nodes.get("licence")
    name: str | None
    if isinstance(node, yaml.MappingNode):
        inner = _Fields(node, _LICENCE_KEYS, fields.flaws)
        name, link = inner.required("name", str), inner.read("link", _link)
    else:
        name, link = fields.text("licence"), None
    return Licence(name, link, permissive=name.lower() in _PERMISSIVE) if name else None


def _evaluation(fields: _Fields) -> Evaluation:
    return Evaluation(
        dataset=fields.required("dataset", str),
        rfid=fields.required("rfid", _number),
        psnr=fields.required("psnr", str),
        ssim=fields.required("ssim", str),
        psim=fields.required("psim", str),
        steps=fields.read("steps", _count),
    )


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise _Flawed(say("“{text}” cannot be an id: letters, digits, dots, dashes and underscores can.", text=text))
    return text


def _sha256(text: str) -> str:
    if not _SHA256.fullmatch(text.lower()):
        raise _Flawed(say("“{text}” is not a SHA-256, which has 64 digits 0-9 and a-f.", text=text[:80]))
    return text.lower()


def _family(text: str) -> Family:
    if text not in FAMILIES:
        raise _Flawed(say("“{text}” is not a family; these are: {known}.", text=text, known=", ".join(FAMILIES)))
    return cast(Family, text)


def _layout(text: str) -> Layout:
    known = get_args(Layout)
    if text not in known:
        raise _Flawed(say("“{text}” is not a layout; these are: {known}.", text=text, known=", ".join(known)))
    return cast(Layout, text)


def _evidence(text: str) -> Literal["A", "B"]:
    if text not in ("A", "B"):
        raise _Flawed(say("“evidence” must be A or B."))
    return cast(Literal["A", "B"], text)


def _link(text: str) -> str:
    if not text.startswith("https://"):
        raise _Flawed(say("“{text}” is not an https address.", text=text))
    return text


def _count(text: str) -> int:
    digits = text.replace("_", "")
    if not _DIGITS.fullmatch(digits):
        raise _Flawed(say("“{text}” is not a whole number above 0.", text=text))
    return int(digits)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise _Flawed(say("“{text}” is not a number.", text=text)) from None


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise _Flawed(say("“{text}” must be true or false.", text=text))
    return text.lower() == "true"
