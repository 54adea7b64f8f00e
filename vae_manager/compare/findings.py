"""The result of a trial in words: one sentence for each VAE, and the fields of JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from ..choice import BUILTIN
from ..messages import Message, msg
from .defects import Defect, Kind
from .ranking import CONFIDENT, FEWEST, Standing, as_fields
from .trial import Finding

__all__ = ["fields_of", "measures_of", "percent", "phrases", "sentence", "shown_name", "standing", "summary"]

Translator = Callable[[Any], str]

_SURE: Final = 0.999
_WHOLE: Final = {
    Kind.EXCHANGED: msg("exchanges red, green and blue", code="channels-exchanged"),
    Kind.BROKEN: msg("gives next to nothing of the picture back", code="broken-vae"),
    Kind.INVERTED: msg("makes light dark, and dark light", code="inverted-picture"),
    Kind.FLAT: msg("gives one colour alone", code="flat-picture"),
}
_SOFTER: Final = msg("loses {amount} of the detail that the sharpest keeps", code="loses-detail", amount="")
_SIDES: Final = {
    Kind.GREEN_RED: (
        msg("shifts all colours to red by {amount}", code="shifts-to-red", amount=""),
        msg("shifts all colours to green by {amount}", code="shifts-to-green", amount=""),
    ),
    Kind.BLUE_YELLOW: (
        msg("shifts all colours to yellow by {amount}", code="shifts-to-yellow", amount=""),
        msg("shifts all colours to blue by {amount}", code="shifts-to-blue", amount=""),
    ),
    Kind.BRIGHTNESS: (
        msg("is brighter by {amount}", code="is-brighter", amount=""),
        msg("is darker by {amount}", code="is-darker", amount=""),
    ),
    Kind.CONTRAST: (
        msg("adds {amount} contrast", code="adds-contrast", amount=""),
        msg("loses {amount} contrast", code="loses-contrast", amount=""),
    ),
    Kind.SATURATION: (
        msg("adds {amount} saturation", code="adds-saturation", amount=""),
        msg("loses {amount} saturation", code="loses-saturation", amount=""),
    ),
    Kind.BLUR: (_SOFTER, _SOFTER),
}
"""What a defect does if its amount is above zero, and below."""
_PARTS: Final = (Kind.CONTRAST, Kind.SATURATION, Kind.BLUR)
"""Kinds whose amounts are parts of 1; the others are in units of CIELAB."""


def percent(confidence: float) -> str:
    """Return a confidence that is never shown as certain."""
    return "> 99.9 %" if confidence > _SURE else f"{100 * confidence:.{0 if confidence < 0.99 else 1}f} %"


def phrases(defects: Sequence[Defect]) -> tuple[Message, ...]:
    """Return what is wrong, for joining by commas; empty for a VAE without a defect."""
    return tuple(_phrase(defect) for defect in defects)


def _phrase(defect: Defect) -> Message:
    if defect.kind in _WHOLE:
        return _WHOLE[defect.kind]
    if defect.kind is Kind.NO_PICTURE:
        return msg("gives no picture (NaN) for {count} of them", code="gives-no-picture", count=int(defect.amount))
    if defect.kind is Kind.NAN:
        return msg("gives NaN in 16 bits for {count} of them", code="nan-in-16-bits", count=int(defect.amount))
    if defect.kind is Kind.OVERFLOW:
        return msg("overflows in 16 bits, in {layer}", code="overflows", layer=defect.beside)
    size = abs(defect.amount)
    amount = f"{100 * size:.0f} %" if defect.kind in _PARTS else f"{size:.1f}"
    side = _SIDES[defect.kind][defect.amount < 0]
    return Message(side.template, {"amount": amount}, side.code)


def shown_name(vae: str) -> Message | str:
    """Return the name of a choice for people: that of the checkpoint's own VAE is a word."""
    return msg("Built-in (the checkpoint's own)", code="built-in") if vae == BUILTIN.word else vae


def standing(vae: str, finding: Finding) -> Message:
    """Return where a VAE stands beside the nearest one, as a sentence."""
    row = finding.ranking.of(vae)
    if vae in finding.errors:
        return finding.errors[vae]
    if row is None:
        return msg("It was not measured with the same pictures as the others.", code="not-ranked")
    sure = percent(row.confidence)
    if row.standing is Standing.USELESS:
        return msg("Of no use for your pictures.", code="useless")
    if row.standing is Standing.NEAREST:
        others = [one for one in finding.ranking.rows if one.vae != vae and one.standing is not Standing.USELESS]
        if not others and len(finding.ranking.rows) > 1:
            return msg("The only one that gives your pictures back.", code="only-useful-one")
        if not others:
            return msg("The only one that was measured.", code="only-one")
        if all(one.standing is Standing.EQUAL for one in others):
            return msg("Nearest to your pictures; the difference to the others is small.", code="nearest-by-little")
        if row.confidence >= CONFIDENT:
            return msg("Nearest to your pictures ({percent} sure).", code="nearest", percent=sure)
        return msg("Nearest so far; these pictures do not decide it.", code="nearest-so-far")
    nearest = shown_name(finding.ranking.rows[0].vae)
    if row.standing is Standing.EQUAL:
        return msg(
            "As near as {vae}: the difference is small ({percent} sure).", code="equal", vae=nearest, percent=sure
        )
    if row.standing is Standing.UNCLEAR:
        return msg("These pictures do not decide between it and {vae}.", code="unclear", vae=nearest)
    behind = f"{row.behind:.1f}"
    return msg(
        "Farther from your pictures than {vae}, by {behind} ({percent} sure).",
        code="farther",
        vae=nearest,
        behind=behind,
        percent=sure,
    )


def sentence(vae: str, finding: Finding, translate: Translator = str) -> str:
    """Return the standing and the defects of a VAE."""
    said = translate(standing(vae, finding))
    found = phrases(finding.defects.get(vae, ()))
    if not found:
        return said
    rest = translate(msg(", ")).join(translate(phrase) for phrase in found)
    return translate(msg("{standing} It {defects}.", code="standing-and-defects", standing=said, defects=rest))


def summary(finding: Finding) -> tuple[Message, ...]:
    """Return notes on the whole trial: how many pictures, and what they cannot show."""
    count = finding.ranking.pictures
    notes = [msg("{count} pictures, their middle {side} × {side} pixels at most", count=count, side=finding.side)]
    if 0 < count < FEWEST:  # what is wrong with the only one is not certain either
        notes.append(msg("With fewer than {count} pictures nothing is certain.", code="too-few-pictures", count=FEWEST))
    if finding.skipped:
        notes.append(msg("{count} pictures were left out.", code="pictures-left-out", count=len(finding.skipped)))
    return tuple(notes)


def measures_of(vae: str, finding: Finding) -> dict[str, float | None]:
    """Return the measures of a VAE: units of CIELAB, and parts of 1 for what is relative."""
    profile, row, chart = finding.profiles.get(vae), finding.ranking.of(vae), finding.charts.get(vae)
    if profile is None or row is None or profile.missing == profile.pictures:
        return {}
    return {
        "distance": round(row.distance, 3),
        "colour": round(profile.colour, 3),
        "contrast": _part(profile.contrast.value),
        "saturation": _part(profile.saturation.value),
        "brightness": round(profile.brightness.value, 3),
        "green_red": round(profile.green_red.value, 3),
        "blue_yellow": round(profile.blue_yellow.value, 3),
        "detail": _part(profile.detail[0].value),
        "edges": _part(profile.edges.value),
        "faces": _part(profile.faces) if profile.faces is not None else None,
        "chart": round(chart.distance, 3) if chart is not None else None,
    }


def _part(change: float) -> float:
    """Return a relative change; less than nothing, as noise has by chance, is nothing."""
    return round(max(change, -1.0), 4)


def fields_of(finding: Finding, text: Translator = str) -> dict[str, Any]:
    """Return the fields of JSON: the ranking, the measures, what is wrong, and what was left out.

    `text` returns a message as the reader may see it.
    """
    rows = []
    for row in finding.ranking.rows:
        found = finding.defects.get(row.vae, ())
        rows.append(
            {
                **as_fields(row),
                "hash": finding.hashes.get(row.vae),
                "measures": measures_of(row.vae, finding),
                "defects": [
                    {"kind": one.kind.value, "amount": round(one.amount, 4), "beside": one.beside or None}
                    for one in found
                ],
                "sentence": sentence(row.vae, finding, text),
            }
        )
    return {
        "pictures": finding.ranking.pictures,
        "side": finding.side,
        "ranking": rows,
        "failed": [
            {"vae": vae, "error": text(error), "code": error.code or None} for vae, error in finding.errors.items()
        ],
        "left_out": [{"picture": name, "reason": text(reason)} for name, reason in finding.skipped],
    }
