"""Comparisons and rescues for programs: their requests, and their results as JSON.

They queue with those of the page. A picture is PNG in base64.
"""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..compare import Comparison, Encoder, RecentPicture, Result, State
from ..errors import NotFoundError, RefusedError, UsageError
from ..messages import msg
from ..service import Service
from . import program_models as models
from .comparison_job import begin
from .hosts.host import MAX_PIXELS, ComparisonRequest
from .translation import Translator, english
from .ui.comparison_page import notes_of, sheet_of, title_text

if TYPE_CHECKING:
    from ..compare.comparison_store import Pixels
    from .hosts.host import Host

__all__ = ["base64_bytes", "begin_compare", "compare", "comparison_fields", "rescue"]

TITLE = msg("A comparison asked for by a program")


def begin_compare(host: Host, service: Service, asked: models.Compare) -> str:
    """Queue a comparison; return its key in `service.comparing`."""
    return begin(host.comparing, service, _wanted(host, asked), TITLE, looks=False)


def compare(host: Host, service: Service, asked: models.Compare) -> dict[str, Any]:
    """Compare, and return the result once all is done."""
    return _done(host, service, _wanted(host, asked))


def rescue(host: Host, service: Service, asked: models.Rescue) -> dict[str, Any]:
    """Decode one of the last pictures again, until one VAE gives a picture; return the result."""
    return _done(host, service, ComparisonRequest(_kept(host, asked.infotext), (), is_rescue=True))


def _wanted(host: Host, asked: models.Compare) -> ComparisonRequest:
    if not asked.vaes:
        raise UsageError(
            msg("“vaes” is to be a list of names of VAE files; “None” is the checkpoint's own.", code="no-vaes")
        )
    if asked.picture is not None:
        return ComparisonRequest(Encoder(_pixels(asked.picture), asked.encode == "each"), asked.vaes)
    return ComparisonRequest(_kept(host, asked.infotext), asked.vaes)


def _kept(host: Host, infotext: str | None) -> RecentPicture:
    kept = host.comparing.kept
    found = next(iter(kept.all()), None) if infotext is None else kept.of_infotext(infotext)
    if found is None:
        raise NotFoundError(
            msg(
                "No such picture is kept. Make one, or send one; the settings say how many of the last ones are kept.",
                code="no-such-picture",
            )
        )
    return found


def _pixels(text: str) -> Pixels:
    """Return the pixels of a picture in base64, with or without the beginning of a data address."""
    from ..compare.pictures import read_picture

    return read_picture(base64_bytes(text), max_pixels=MAX_PIXELS)


def base64_bytes(text: str) -> bytes:
    """Return the bytes of base64, with or without the beginning of a data address. Raises UsageError."""
    try:
        return base64.b64decode(text.rpartition(",")[2], validate=True)
    except ValueError as error:
        raise UsageError(msg("“picture” is no picture in base64.", code="no-base64")) from error


def _done(host: Host, service: Service, wanted: ComparisonRequest) -> dict[str, Any]:
    """Queue the comparison with those of the page, and wait for its end."""
    done: list[Comparison] = []
    id = begin(host.comparing, service, wanted, TITLE, done.append, looks=False)
    service.comparing.wait(id)
    if not done or done[0].state is State.STOPPED:
        raise RefusedError(msg("The comparison was stopped. The VAE in use is unchanged.", code="comparison-stopped"))
    if done[0].error is not None:
        raise RefusedError(done[0].error)
    return comparison_fields(done[0], host)


def comparison_fields(done: Comparison, host: Host, *, has_sheet: bool = False) -> dict[str, Any]:
    """Return the fields of `models.Comparison`; with `has_sheet`, all pictures side by side are one of them."""
    fields = {
        "reference": "original" if done.original is not None else None if done.lacks_reference else done.reference,
        "note": english(done.note, host) if done.note is not None else None,
        "seconds": done.seconds,
        "results": [_result(result, host) for result in done.results],
    }
    if not has_sheet:
        return fields
    text = Translator({}, hides_paths=not host.shows_paths)
    sheet = sheet_of(done, done.results, text, title_text(done, text)) if done.results else None
    return {**fields, "sheet": base64.b64encode(sheet).decode() if sheet is not None else None}


def _result(result: Result, host: Host) -> dict[str, Any]:
    from ..compare.pictures import png

    decoded = result.decoded
    written = png(decoded.pixels, result.infotext) if decoded.pixels is not None else None
    return {
        "vae": decoded.vae,
        "picture": base64.b64encode(written).decode() if written is not None else None,
        "seconds": decoded.seconds,
        "peak_bytes": decoded.peak,
        "nan": decoded.nan,
        "figures": asdict(result.figures) if result.figures is not None else None,
        "words": [str(word) for word in result.findings],
        "note": " ".join(map(str, notes_of(result))) or None,
        "error": english(decoded.error, host) if decoded.error is not None else None,
        "code": (decoded.error.code or None) if decoded.error is not None else None,
        "infotext": result.infotext,
    }
