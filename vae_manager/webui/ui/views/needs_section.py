"""View of the components that the checkpoint needs beside itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from markupsafe import Markup

from ....jobs import JobState
from ....messages import Message, megabytes, msg
from ...translation import Translator
from .. import actions
from ..rendering import Button, Line, Progress, render
from ..view_model import Facts
from .download_list import kept_line
from .status import job_line

if TYPE_CHECKING:
    from ..needs_view_model import NeedRow, NeedsFacts

_html = partial(render, "needs_section.html")


def needs(facts: Facts, translate: Translator) -> Markup:
    """Render the components of the checkpoint; empty if its file holds them all, or nothing is known of it."""
    shown = facts.needs
    if shown is None or shown.needs.facts is None:
        return Markup()
    is_coming = any(row.job is not None and not row.job.state.ended for row in shown.rows)
    may_use = facts.choose_refused is None
    return _html(
        "needs",
        translate,
        engine=shown.needs.facts.engine.label,
        rows=[_row(row, translate) for row in shown.rows],
        is_ready=shown.is_ready,
        button=_button(shown, translate) if may_use and not is_coming and not shown.is_ready else None,
        terms=shown.terms,
        terms_refused=facts.terms_refused,
        is_checking=shown.is_checking,
        gaps=[_label(row) for row in shown.rows if row.component.is_missing and row.entry is None],
    )


def _button(shown: NeedsFacts, translate: Translator) -> Button | None:
    """Return the one button; None if nothing can be downloaded or used."""
    is_download = any(row.entry is not None for row in shown.rows)
    if shown.is_checking or (is_download and shown.get_refused is not None):
        return None
    accept = bool(shown.terms)
    action = actions.GetNeeds(accept).as_dict()
    if is_download:
        text = msg("Accept, get and use") if accept else msg("Get what is missing and use it")
        size = f" · {megabytes(shown.size)}" if shown.size else ""
        return Button(f"{translate(text)}{size}", action, "needs get", "", True)
    if shown.needs.missing:
        return None
    return Button(msg("Use these files"), action, "needs use", "", True)


def _row(row: NeedRow, translate: Translator) -> Mapping[str, object]:
    component, entry = row.component, row.entry
    here = row.chosen or (component.here[0].path if component.here else None)
    return {
        "label": _label(row),
        "role": component.role,
        "state": _state(row),
        "file": here.name if here is not None else None,
        "entry": entry,
        "below": _below(row, translate),
    }


def _below(row: NeedRow, translate: Translator) -> Sequence[Line | Progress]:
    """Return the line about the download: its progress, its failure, or what an earlier process left of it."""
    entry, job, left = row.entry, row.job, row.left
    if entry is None:
        return ()
    if job is not None and (not job.state.ended or job.state is JobState.FAILED):
        return job_line(job, entry.name, translate)
    return [kept_line(left.done, entry.size or left.total)] if left is not None else ()


def _label(row: NeedRow) -> Message | str:
    component = row.component
    return msg("VAE of {family}", family=component.label) if component.is_vae else component.label


def _state(row: NeedRow) -> tuple[str, Message]:
    """Return the sign and the text of a component's state."""
    if row.chosen is not None:
        return "✓", msg("in use", code="in-use")
    if row.component.here:
        return "✓", msg("already here", code="already-here")
    return (
        ("–", msg("optional", code="optional")) if row.component.is_optional else ("✗", msg("missing", code="missing"))
    )
