"""Loader of catalogues: the built-in one and the user's own.

A user's entry needs no more than this, in `<data_path>/vae-manager/catalogue.yaml`:

    - id: my-vae
      name: My VAE
      family: sd1
      sha256: 735e4c3a447a3255760d7f86845f09f937809baa529c17370d83e4c3758f3c75
      source: hub:owner/name/my-vae.safetensors

An entry with `encoder: t5xxl` instead of `family` is a text encoder.

The environment variable VAE_MANAGER_CATALOGUE names a file that replaces the built-in catalogue.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

import yaml

from ..errors import VaeManagerError
from ..messages import msg
from .engines import ENCODERS, ENGINES
from .entry import (
    FAMILIES,
    VAE_SUFFIXES,
    Catalogue,
    CatalogueProblem,
    EncoderEntry,
    Entry,
    Evaluation,
    Family,
    Layout,
    Licence,
    LocalSource,
    Source,
    name_at,
    safe_file_name,
)
from .schema import (
    Fields,
    ValidationError,
    ValidationIssue,
    as_count,
    as_link,
    as_number,
    as_sha256,
    entry_nodes,
    line_of,
    read_text,
)
from .source_text import parse_source

__all__ = ["BUILT_IN", "CATALOGUE_VARIABLE", "file_name_in", "load", "read_entry", "sources_in"]


_FIELDS: Final = {field.name for kind in (Entry, EncoderEntry) for field in dataclasses.fields(kind)}
_USER_KEYS: Final = (_FIELDS - {"evidence"}) | {"source"}
_BUILT_IN_KEYS: Final = _USER_KEYS | {"evidence"}
_OF_A_VAE: Final = ("family", "layout", "evaluations")
"""Keys that an entry of a text encoder does not have."""
_LICENCE_KEYS: Final = {"name", "link"}
_EVALUATION_KEYS: Final = {field.name for field in dataclasses.fields(Evaluation)}
_PERMISSIVE: Final = frozenset({"mit", "apache-2.0"})
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

MAX_ISSUES: Final = 50
"""The page shows them all."""
BUILT_IN: Final = Path(__file__).with_name("vaes.yaml")
BUILT_IN_ENCODERS: Final = Path(__file__).with_name("text_encoders.yaml")
ENCODER_SUFFIXES: Final = (".safetensors", ".gguf")
"""Extensions of the files of text encoders that are offered: those that hold no code."""
CATALOGUE_VARIABLE: Final = "VAE_MANAGER_CATALOGUE"


def read_entry(
    node: yaml.Node, *, built_in: bool, folder: Path
) -> tuple[Entry | EncoderEntry | None, list[ValidationIssue]]:
    """Read one item of a catalogue; None if it has an issue. The key `encoder` makes it a text encoder, not a VAE.

    A relative local source counts from `folder`. A user's entry is offered by default; a built-in one is offered only
    with an explicit key.
    """
    fields = Fields(node, _BUILT_IN_KEYS if built_in else _USER_KEYS)
    if not isinstance(node, yaml.MappingNode):
        return None, fields.issues
    entry = _entry(fields, built_in=built_in, folder=folder)
    return (None if fields.issues else entry), fields.issues


def _entry(fields: Fields, *, built_in: bool, folder: Path) -> Entry | EncoderEntry:
    if "encoder" in fields.nodes:
        for key in _OF_A_VAE:
            if key in fields.nodes:
                fields.add_issue(fields.nodes[key], msg("A text encoder has no “{key}”.", code="key-of-a-vae", key=key))
        common = _common(fields, built_in=built_in, folder=folder, endings=ENCODER_SUFFIXES)
        return EncoderEntry(encoder=fields.required("encoder", _encoder), engines=_engines(fields), **common)
    return Entry(
        family=fields.required("family", _family),
        layout=fields.read("layout", _layout) or "ldm",
        evaluations=tuple(_evaluation(one) for one in fields.mappings("evaluations", _EVALUATION_KEYS)),
        **_common(fields, built_in=built_in, folder=folder, endings=VAE_SUFFIXES),
    )


def _common(fields: Fields, *, built_in: bool, folder: Path, endings: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields that VAEs and text encoders share; offered files have a name with one of `endings`."""
    id = fields.required("id", _id)
    sources = sources_in(fields, folder)
    offered = fields.flag("offered", default=not built_in and bool(sources))
    if offered and not sources and not fields.issues:
        fields.add_issue(
            fields.nodes["offered"], msg("An entry that is offered needs a “source”.", code="missing-source")
        )
    because = fields.text("not_offered_because")
    if not offered and not built_in and because is None:
        because = "Your own catalogue does not offer it."
    fallback = f"{id}{endings[0]}"
    return {
        "id": id,
        "name": fields.required("name", str),
        "file_name": file_name_in(fields, sources, fallback=fallback, endings=endings if offered else ()),
        "sha256": fields.required("sha256", as_sha256),
        "purpose": fields.text("purpose") or "",
        "licence": _licence(fields),
        "sources": sources,
        "size": fields.read("size", as_count),
        "dtype": fields.text("dtype"),
        "offered": offered,
        "not_offered_because": because,
        "gated": fields.flag("gated", default=False),
        "evidence": (fields.read("evidence", _evidence) or "B") if built_in else "user",
        "aliases": tuple(fields.texts("aliases")),
    }


def sources_in(
    fields: Fields, folder: Path, http_hosts: Collection[str] | None = (), endpoint: str = ""
) -> tuple[Source, ...]:
    """Return the sources of the keys `source` and `sources`, in this order; a relative path counts from `folder`.

    Plain http is for this machine and the hosts `http_hosts`; None: for all, where the request is checked anyway.
    Pages of the hub at `endpoint` mean its files.
    """
    texts = fields.texts("sources")
    one = fields.text("source")
    sources: list[Source] = []
    for text in [one, *texts] if one is not None else texts:
        try:
            sources.append(_from_folder(parse_source(text, http_hosts=http_hosts, endpoint=endpoint), folder))
        except VaeManagerError as error:
            fields.add_issue(fields.nodes["source" if text is one else "sources"], error.message)
    return tuple(sources)


def _from_folder(source: Source, folder: Path) -> Source:
    return LocalSource(folder / source.path) if isinstance(source, LocalSource) else source


def file_name_in(
    fields: Fields, sources: tuple[Source, ...], *, fallback: str, endings: tuple[str, ...] = VAE_SUFFIXES
) -> str:
    """Return the key `file_name`, or the name at the first source that has one, or `fallback`; always a safe name.

    It must have one of `endings`, those that the WebUI lists, in any case; no `endings` allow all.
    """
    given = fields.text("file_name")
    known = (name for name in map(name_at, sources) if name is not None)
    name = given or (next(known, None) if sources else fallback)
    if name is None:
        fields.add_issue(
            fields.node, msg("Only the server knows this file's name: give a “file_name”.", code="unknown-file-name")
        )
        return ""
    node = fields.nodes["file_name"] if given else fields.nodes.get("source", fields.nodes.get("sources", fields.node))
    try:
        safe_file_name(name)
    except VaeManagerError as error:
        fields.add_issue(node, error.message)
        return name
    if endings and not name.lower().endswith(endings):
        fields.add_issue(
            node,
            msg(
                "The WebUI lists {endings} only: give a “file_name” that ends so.",
                code="unlisted-extension",
                endings=", ".join(endings),
            ),
        )
    return name


def _licence(fields: Fields) -> Licence | None:
    """Return the licence of `licence: MIT`, or `licence: {name: …, link: …}`."""
    node = fields.nodes.get("licence")
    name: str | None
    if isinstance(node, yaml.MappingNode):
        inner = Fields(node, _LICENCE_KEYS, fields.issues)
        name, link = inner.required("name", str), inner.read("link", as_link)
    else:
        name, link = fields.text("licence"), None
    return Licence(name, link, permissive=name.lower() in _PERMISSIVE) if name else None


def _evaluation(fields: Fields) -> Evaluation:
    return Evaluation(
        dataset=fields.required("dataset", str),
        rfid=fields.required("rfid", as_number),
        psnr=fields.required("psnr", str),
        ssim=fields.required("ssim", str),
        psim=fields.required("psim", str),
        steps=fields.read("steps", as_count),
    )


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValidationError(
            msg(
                "“{text}” cannot be an id: letters, digits, dots, dashes and underscores can.", code="bad-id", text=text
            )
        )
    return text


def _family(text: str) -> Family:
    if text not in FAMILIES:
        raise ValidationError(
            msg(
                "“{text}” is not a family; these are: {known}.", code="bad-family", text=text, known=", ".join(FAMILIES)
            )
        )
    return cast(Family, text)


def _encoder(text: str) -> str:
    if text not in ENCODERS:
        raise ValidationError(
            msg(
                "“{text}” is not a text encoder; these are: {known}.",
                code="bad-encoder",
                text=text,
                known=", ".join(ENCODERS),
            )
        )
    return text


def _engines(fields: Fields) -> tuple[str, ...]:
    named = tuple(fields.texts("engines"))
    for text in named:
        if text not in ENGINES:
            fields.add_issue(
                fields.nodes["engines"],
                msg(
                    "“{text}” is not an engine; these are: {known}.",
                    code="bad-engine",
                    text=text,
                    known=", ".join(ENGINES),
                ),
            )
    return named


def _layout(text: str) -> Layout:
    known = get_args(Layout)
    if text not in known:
        raise ValidationError(
            msg("“{text}” is not a layout; these are: {known}.", code="bad-layout", text=text, known=", ".join(known))
        )
    return cast(Layout, text)


def _evidence(text: str) -> Literal["A", "B"]:
    if text not in ("A", "B"):
        raise ValidationError(msg("“evidence” must be A or B.", code="bad-evidence"))
    return cast(Literal["A", "B"], text)


def load(user_file: Path | None = None) -> Catalogue:
    """Return the built-in entries, then those of `user_file`, which need not exist.

    Never raises for the content of a file: invalid entries are among the `problems`, and the others are used. The files
    are read at each call.
    """
    shelf = _CatalogueBuilder()
    replacement = os.environ.get(CATALOGUE_VARIABLE)
    for file in (Path(replacement),) if replacement else (BUILT_IN, BUILT_IN_ENCODERS):
        shelf.read(file, built_in=True)
    if user_file is not None:
        shelf.read(user_file, built_in=False)
    entries = shelf.entries.values()
    return Catalogue(
        tuple(entry for entry in entries if isinstance(entry, Entry)),
        tuple(shelf.problems),
        tuple(entry for entry in entries if isinstance(entry, EncoderEntry)),
    )


class _CatalogueBuilder:
    """The entries read so far, with which a new one must not clash."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry | EncoderEntry] = {}
        self.problems: list[CatalogueProblem] = []
        self._offered_names: dict[tuple[type, str], Entry | EncoderEntry] = {}
        """By the class of entry, which decides the folder, and the name in lower case."""

    def read(self, file: Path, *, built_in: bool) -> None:
        text, issue = read_text(file)
        nodes, issues = entry_nodes(text)
        if issue is not None:
            issues = [issue]
        for node in nodes:
            entry, found_issues = read_entry(node, built_in=built_in, folder=file.parent)
            issues += found_issues
            if entry is not None:
                issues += self._place(entry, line_of(node))
        issues.sort(key=lambda issue: issue.line)
        if len(issues) > MAX_ISSUES:
            more = msg("{count} more problems follow in this file.", count=len(issues) - MAX_ISSUES)
            issues = [*issues[:MAX_ISSUES], ValidationIssue(issues[MAX_ISSUES].line, more)]
        self.problems += [CatalogueProblem(file, issue.line, issue.message) for issue in issues]

    def _place(self, entry: Entry | EncoderEntry, line: int) -> list[ValidationIssue]:
        if entry.id in self.entries:
            return [
                ValidationIssue(
                    line,
                    msg("The id “{id}” is already taken; give this entry another one.", code="id-taken", id=entry.id),
                )
            ]
        place = type(entry), entry.file_name.lower()
        name_clash = self._offered_names.get(place)
        if entry.offered and name_clash is not None and name_clash.sha256 != entry.sha256:
            # Downloading one would replace the other under the same name.
            return [
                ValidationIssue(
                    line,
                    msg(
                        "“{id}” already uses the file name {name} for other bytes; give this entry a “file_name”.",
                        code="file-name-taken",
                        id=name_clash.id,
                        name=entry.file_name,
                    ),
                )
            ]
        self.entries[entry.id] = entry
        if entry.offered:
            self._offered_names.setdefault(place, entry)
        return []
