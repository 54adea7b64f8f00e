"""View of the panel below the address field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from markupsafe import Markup

from ....catalogue.entry import HubSource, name_at
from ....files import FileRecord
from ....messages import Message, megabytes, msg
from ....records.verdict import AskFirst, Refused, obstacle_of
from ...translation import Translator
from ..address_view_model import AddressFacts, FileChoice
from ..rendering import ERROR, PLAIN, WARNING, Line, render
from ..vae_options import family_label
from .labels import family_name
from .status import lines

_html = partial(render, "address_panel.html")


def address_panel(facts: AddressFacts, translate: Translator) -> Markup:
    """Render what the file is, a choice among several files, or the reason why it cannot be looked at."""
    if facts.problem is not None:
        return lines([Line(WARNING, facts.problem)], translate)
    if facts.record is None:
        return _html("choice", translate, [_choice(file, translate) for file in facts.files])
    return _html("panel", translate, facts.record.path.name, _facts(facts.record, translate), _lines(facts))


def _choice(file: FileChoice, translate: Translator) -> Mapping[str, object]:
    source, size = file.listed.source, file.listed.size
    listed = megabytes(size) if size is not None else ""
    return {
        "source": str(source),
        "name": source.path if isinstance(source, HubSource) else name_at(source),
        "facts": _facts(file.record, translate) if file.record is not None else listed,
        "no_vae": file.no_vae,
    }


def _facts(record: FileRecord, translate: Translator) -> str:
    """Return size, layout, dtype and family in one line."""
    parts = [megabytes(record.size)]
    if record.table is None:
        return parts[0]
    if record.has_encoder or record.has_decoder:
        parts.append(translate(_what(record)))
        parts += [record.dtype] if record.dtype is not None else []
        if record.family.family is not None:
            parts.append(family_name(record.family, translate))
        elif record.family.candidates:
            names = ", ".join(family_label(family) for family in record.family.candidates)
            parts.append(translate(msg("for {families}", code="for-families", families=names)))
    return " · ".join(parts)


def _what(record: FileRecord) -> Message:
    if record.layout == "checkpoint":
        return msg("whole checkpoint")
    if record.layout == "tiny":
        return msg("tiny autoencoder for previews", code="tiny-autoencoder")
    if not record.has_encoder:
        return msg("decoder alone", code="decoder-alone")
    if not record.has_decoder:
        return msg("encoder alone", code="encoder-alone")
    return msg("VAE, layout {layout}", code="vae-in-layout", layout=record.layout)


def _lines(facts: AddressFacts) -> Sequence[Line]:
    record = facts.record
    if record is None:
        return ()
    found = [_verdict(facts)]
    if record.entry is not None and record.sha256 == record.entry.sha256:
        text = msg("Its server publishes the hash of {vae}.", code="hash-of-entry", vae=record.entry.name)
        found.append(Line(PLAIN, text))
    for name in facts.here:
        found.append(Line(WARNING, msg("You have these bytes already: {file}.", code="bytes-here", file=name)))
    if facts.name_problem is not None and facts.no_vae is None:
        found.append(Line(WARNING, facts.name_problem))
    return found


def _verdict(facts: AddressFacts) -> Line:
    """Return the line on what this WebUI can do with the file."""
    if facts.no_vae is not None:
        return Line(ERROR, facts.no_vae)
    answer = facts.answer
    if isinstance(answer, Refused):
        return Line(ERROR, answer.reason.message)
    obstacle = obstacle_of(answer) if answer is not None else None
    if obstacle is not None and facts.converts:
        text = msg(
            "{obstacle} It is converted after the download: a second file is made beside it.",
            code="converted-after-download",
            obstacle=obstacle.message,
        )
        return Line(PLAIN, text)
    if obstacle is not None:
        return Line(WARNING, obstacle.message)
    if isinstance(answer, AskFirst):
        return Line(WARNING, answer.reason.message)
    return Line(PLAIN, msg("This WebUI can load it as it is.", code="loadable-as-it-is"))
