"""Views of the trial: its progress, the ranking, the worst parts, and the card."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Final

from markupsafe import Markup

from ....choice import Choice
from ....compare import State
from ....compare.findings import phrases, standing, summary
from ....compare.ranking import Standing
from ....compare.trial_card import headings, measure_texts
from ....compare.trial_records import TrialRecord
from ....compare.trial_state import TrialState
from ....messages import Message, joined, msg
from ...translation import Translator, plain
from .. import actions
from ..rendering import ERROR, INFO, WARNING, Button, Line, Progress, moment, render
from ..trial_page import TrialSection
from .labels import choice_name

_html = partial(render, "trial_section.html")

TRIAL_PATH: Final = "/vae-manager/trial"
CARD: Final = "card.png"


def trial(section: TrialSection, life: str, translate: Translator) -> Markup:
    """Render the last trial; empty before the first."""
    now = section.now
    if now is None:
        return Markup()
    cancel = Button(msg("Cancel"), actions.StopTrial(now.id).as_dict(), "stop trial")
    notes: list[Message] = [now.note] if now.note is not None else []
    found = now.finding
    rows = [_row(row.vae, section, translate) for row in found.ranking.rows] if found is not None else []
    failed = [
        (choice_name(Choice(vae), translate), reason)
        for vae, reason in (found.errors.items() if found is not None else ())
        if found is not None and found.ranking.of(vae) is None
    ]
    return _html(
        "trial",
        translate,
        title=now.title,
        stands=_stands(now, cancel),
        cancel=cancel,
        notes=[*(summary(found) if found is not None and rows else ()), *notes],
        rows=rows,
        headings=headings(translate),
        failed=failed,
        left_out=list(found.skipped) if found is not None else [],
        crops=_crops(now, life, translate),
        card=f".{TRIAL_PATH}/{now.id}/{CARD}?{life}" if rows and now.ended else None,
        forget=actions.ForgetTrial().as_dict() if now.ended else None,
    )


def _stands(now: TrialState, cancel: Button) -> Line | Progress | None:
    if now.state is State.WAITING:
        return Line(INFO, now.waits_for or msg("Waiting for its turn", code="waiting-for-turn"), beside=[cancel])
    if now.state is State.RUNNING and now.waits_for is not None:
        return Line(INFO, now.waits_for, beside=[cancel])
    if now.state is State.RUNNING:
        done, total, _ = now.step if now.step is not None else (0, 0, "")
        text = msg("{done} of {total}", done=done, total=total) if total else msg("Beginning …")
        return Progress(msg("Measuring"), text, round(100 * done / total) if total else 0)
    if now.state is State.FAILED:
        return Line(ERROR, now.error or msg("The comparison failed."))
    if now.state is State.STOPPED:
        return Line(WARNING, msg("The trial was stopped. What was measured is kept.", code="trial-stopped"))
    return None


def _row(vae: str, section: TrialSection, translate: Translator) -> Mapping[str, object]:
    now = section.now
    assert now is not None and now.finding is not None
    found, row = now.finding, now.finding.ranking.of(vae)
    assert row is not None
    name, is_used = choice_name(Choice(vae), translate), vae == section.in_use
    is_offered = section.choose_refused is None and row.standing is not Standing.USELESS
    use = Button(
        msg("Use this one"), actions.Choose(vae).as_dict(), f"use best {vae}", name,
        primary=row.standing is Standing.NEAREST,
    )  # fmt: skip
    return {
        "place": row.place,
        "name": name,
        "used": is_used,
        "standing": standing(vae, found),
        "phrases": translate(msg(", ")).join(translate(one) for one in phrases(found.defects.get(vae, ()))),
        "figures": measure_texts(vae, found),
        "use": [use] if is_offered and not is_used and now.ended else [],
    }


def _crops(now: TrialState, life: str, translate: Translator) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return, for each crop, the picture's name and the name and URL of each part; the first is the original."""
    original = translate(msg("Original")) if now.note is None else translate(msg("the middle of all", code="middle"))
    return [
        (
            crop.title,
            [
                (
                    original if not part else plain(choice_name(Choice(vae), translate)),
                    f".{TRIAL_PATH}/{now.id}/{number}/{part}.png?{life}",
                )
                for part, (vae, _) in enumerate(crop.parts)
            ],
        )
        for number, crop in enumerate(now.crops)
    ]


def measured_here(record: TrialRecord, translate: Translator, changed: Collection[str] = ()) -> Markup:
    """Render the advice of an earlier trial with the loaded checkpoint; empty if all its VAEs are `changed` files."""
    if all(row.vae in changed for row in record.rows):
        return Markup()
    head = msg(
        "Measured here with {count} pictures, {when}:",
        code="measured-here",
        count=record.pictures,
        when=moment(record.when),
    )
    rows = []
    for row in record.rows:
        said = translate(msg(", ")).join(translate(phrase) for phrase in row.phrases)
        text = row.sentence if not said else joined([row.sentence, msg("It {defects}.", defects=said)])
        if row.vae in changed:
            text = msg("The file was changed since: what was measured says nothing of it.", code="changed-since")
        rows.append((choice_name(Choice(row.vae), translate), text))
    return _html("measured", translate, head, rows)
