"""Views of the comparison section and of its picture viewer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Final, TypedDict

from markupsafe import Markup

from ....choice import Choice
from ....compare import Comparison, State
from ....jobs import JobState
from ....messages import Message, msg
from ...translation import Translator, plain
from .. import actions
from ..comparison_page import (
    Section,
    figures_of,
    is_reference,
    notes_of,
    shifts_of,
    title_of,
    title_text,
    translator_of,
)
from ..rendering import ERROR, INFO, PLAIN, WARNING, Button, Line, Progress, render
from .labels import choice_name

_html = partial(render, "comparison_section.html")


def legend(white: int, translate: Translator) -> str:
    """Return the legend of a difference map. `white`: levels of 255 that white means; 0: the pictures are equal."""
    if not white:
        return translate(msg("These two are the same picture, bit for bit."))
    return translate(
        msg(
            "Black: the same. White: {levels} of 255 levels apart, in the colour where that is most.",
            code="difference-scale",
            levels=white,
        )
    )


PICTURES_PATH: Final = "/vae-manager/comparison"
ORIGINAL: Final = "original"
FIRST_LOOK: Final = "look-"
"""Beginning of the key of a first look; the number of its VAE follows."""
SHEET: Final = "sheet.png"


class Shown(TypedDict):
    """A picture that is available."""

    key: str
    """Its part of the URL."""
    name: str


class View(TypedDict):
    """The pictures for the viewer."""

    id: str
    base: str
    """The common beginning of the URLs; relative, since a WebUI may be served below a path."""
    query: str
    width: int
    height: int
    pictures: list[Shown]
    """Pictures, the reference first."""


def picture_at(comparison: Comparison, key: str, life: str) -> str:
    """Return the relative URL of one picture."""
    return f".{PICTURES_PATH}/{comparison.id}/{key}.png?{life}"


def view_of(comparison: Comparison, life: str, translate: Translator) -> View | None:
    """Return the viewer's data; None before the first picture. `life` distinguishes the URLs of processes."""
    made = {result.decoded.vae: result.decoded.pixels for result in comparison.results}
    pictures: list[Shown] = []
    if comparison.original is not None:
        pictures.append({"key": ORIGINAL, "name": translate(msg("Original"))})
    for number, vae in enumerate(comparison.vaes):
        if made.get(vae) is not None:
            pictures.append({"key": str(number), "name": plain(choice_name(Choice(vae), translate))})
    every = [comparison.original, *made.values()]
    size = next((pixels.shape for pixels in every if pixels is not None), None)
    if size is None or not pictures:
        return None
    return {
        "id": comparison.id,
        "base": f".{PICTURES_PATH}/{comparison.id}/",
        "query": f"?{life}",
        "width": int(size[1]),
        "height": int(size[0]),
        "pictures": pictures,
    }


OWN: Final = "own"
"""Stands for the user's own picture, in place of the id of a recent one."""


# -- what is compared ----------------------------------------------------------------------------------------------
def setup(section: Section, translate: Translator) -> Markup:
    """Render the selection of picture and VAEs, and the button that starts the comparison."""
    told = None
    if not section.keeps:
        told = msg("The settings say that no picture is kept. Your own image can be compared.")
    elif not section.pictures:
        told = msg("Pictures that you make are listed here. Your own image can be compared at once.")
    return _html(
        "setup",
        translate,
        pictures=[(one.kept.id, title_of(one.kept), one.why_not) for one in section.pictures],
        told=told,
        own=OWN,
        chips=[(one.offer, one.proposed, choice_name(Choice(one.offer.vae), translate)) for one in section.chips],
        refused=sum(one.offer.refusal is not None for one in section.chips),
    )


# -- how it goes ---------------------------------------------------------------------------------------------------
def progress(section: Section, translate: Translator) -> Markup:
    """Render the title, the progress and the notes of the comparison."""
    now = section.now
    if now is None:
        return Markup()
    cancel = Button(msg("Cancel"), actions.StopComparison(now.id).as_dict(), "stop comparison")
    saved = _saved(now, section, translate) if now.ended else None
    return _html(
        "progress", translate, title_text(now, translate), _stand(now, translate, cancel), cancel, saved, now.note
    )


def _stand(now: Comparison, translate: Translator, cancel: Button) -> Line | Progress | None:
    if now.state is State.WAITING:
        return Line(INFO, now.waits_for or msg("Waiting for its turn", code="waiting-for-turn"), beside=[cancel])
    if now.state is State.RUNNING:
        return _bar(now, translate)
    if now.state is State.MEASURING:
        return Line(INFO, msg("All pictures are there; the last figures follow."))
    if now.state is State.FAILED:
        return Line(ERROR, now.error or msg("The comparison failed."))
    if now.state is State.STOPPED:
        return Line(WARNING, now.error or msg("The comparison was stopped. The VAE in use is unchanged."))
    return None


def _bar(now: Comparison, translate: Translator) -> Progress:
    done, total, vae = now.step if now.step is not None else (0, len(now.vaes), "")
    name = choice_name(Choice(vae), translate) if vae else ""
    text = msg("{done} of {total} · {vae}", done=done, total=total, vae=name) if name else msg("Beginning …")
    return Progress(msg("Decoding"), text, round(100 * done / total) if total else 0)


def _saved(now: Comparison, section: Section, translate: Translator) -> Mapping[str, object] | None:
    """Return its summary, the button that saves the pictures, and their location. None without a picture."""
    made = sum(result.decoded.pixels is not None for result in now.results)
    if not made:
        return None
    told = translate(msg("1 picture") if made == 1 else msg("{count} pictures", count=made))
    if now.seconds is not None:
        told += " · " + translate(msg("{count} s in all", count=f"{now.seconds:.1f}"))
    save = Button(msg("Save"), actions.SaveComparison(now.id).as_dict(), "save comparison")
    lines, saving = [Line(PLAIN, told, beside=[save])], section.saving
    if saving is not None and not saving.state.ended:
        lines.append(Line(INFO, msg("Saving …")))
    elif saving is not None and saving.state is JobState.FAILED and saving.error is not None:
        lines.append(Line(ERROR, saving.error))
    files = _files(section) if len(lines) == 1 and section.saved else None
    return {"lines": lines, "files": files, "sheet": f".{PICTURES_PATH}/{now.id}/{SHEET}"}


def _files(section: Section) -> Message:
    sheet = section.saved[-1]
    if section.shows_paths:
        folder = str(sheet.parent.absolute())
        return msg("Saved in {folder}: {file} and the pictures beside it.", folder=folder, file=sheet.name)
    return msg("Saved where this WebUI keeps what is saved: {file} and the pictures beside it.", file=sheet.name)


# -- what came of it -----------------------------------------------------------------------------------------------
def cards(section: Section, life: str, translate: Translator) -> Markup:
    """Render a card for each VAE, in the order of decoding, with the findings on its picture."""
    now = section.now
    if now is None:
        return Markup()
    made = [_original(now, life)] if now.original is not None else []
    made += [_card(now, number, section, life, translate) for number in range(len(now.vaes))]
    return _html("cards", translate, made)


def _original(now: Comparison, life: str) -> Mapping[str, object]:
    name, source = msg("Original"), picture_at(now, ORIGINAL, life)
    return {**_NO_CARD, "key": ORIGINAL, "name": name, "source": source, "seen": msg("reference")}


_NO_CARD: Final[Mapping[str, object]] = {
    **dict.fromkeys(("used", "was_in_use"), False),
    # None: no picture, no finding, no reason why there is no picture, no first look of it
    **dict.fromkeys(("source", "seen", "waits", "look", "look_note")),
    **dict.fromkeys(("figures", "shifts", "notes", "use"), ()),
}


def _card(now: Comparison, number: int, section: Section, life: str, translate: Translator) -> Mapping[str, object]:
    key, vae = str(number), now.vaes[number]
    result, used = now.of(vae), any(chip.offer.vae == vae for chip in section.chips if chip.offer.in_use)
    card = {**_NO_CARD, "key": key, "name": choice_name(Choice(vae), translate), "used": used}
    if result is None:
        waits = (
            msg("stopped before its turn", code="stopped-before-turn")
            if now.ended
            else msg("waits for its turn", code="waits-for-turn")
        )
        if now.step is not None and now.step.vae == vae and not now.ended:
            waits = msg("is decoding …", code="is-decoding")
        look = now.look_of(vae)
        if look is None:
            return {**card, "waits": waits}
        source = picture_at(now, f"{FIRST_LOOK}{key}", life)
        return {**card, "waits": waits, "look": source, "look_note": _look_note(now, translate)}
    decoded, notes = result.decoded, [Line(WARNING, note) for note in notes_of(result)]
    if decoded.error is not None:
        notes.append(Line(ERROR, decoded.error))
    card |= {"notes": notes, "figures": figures_of(result, translate)}
    if decoded.pixels is None:
        return card
    return {
        **card,
        "source": picture_at(now, key, life),
        "seen": translator_of(result, now, translate) or ("" if now.ended else msg("is being measured …")),
        "shifts": shifts_of(result, translate),
        "was_in_use": is_reference(result, now) and not used,
        "use": [] if used or section.choose_refused is not None else [_use(vae, translate)],
    }


def _look_note(now: Comparison, translate: Translator) -> Message:
    """Return how far a first look can be from the whole picture: as far as known ones were."""
    known = [(look.error, look.vae) for look in now.looks if look.error is not None]
    if not known:
        return msg(
            "First look: the part with the most detail, decoded alone. Its colours can be off by some levels.",
            code="first-look",
        )
    error, vae = max(known)
    return msg(
        "First look: the part with the most detail, decoded alone. That of {vae} was at most {error} of 255 levels "
        "off.",
        code="first-look-error",
        vae=choice_name(Choice(vae), translate),
        error=error,
    )


def _use(vae: str, translate: Translator) -> Button:
    name = choice_name(Choice(vae), translate)
    return Button(msg("Use this one"), actions.Choose(vae).as_dict(), f"use {vae}", name, primary=True)


def kept(section: Section, life: str, translate: Translator) -> Markup:
    """Render the comparisons, the newest first; empty for fewer than two.

    The button of the newest one sends no id, so that the page follows each new comparison.
    """
    if len(section.kept) < 2:
        return Markup()
    newest = section.kept[0]
    items = [
        {
            "id": one.id,
            "asked": "" if one is newest else one.id,
            "is_shown": one is section.now,
            "title": title_text(one, translate),
            "source": _small(one, life),
            "told": _told(one),
            "state": _state(one.state),
        }
        for one in section.kept
    ]
    return _html("kept", translate, items)


def _small(comparison: Comparison, life: str) -> str | None:
    """Return the URL of its first picture."""
    results = [(str(key), comparison.of(vae)) for key, vae in enumerate(comparison.vaes)]
    made = [key for key, result in results if result is not None and result.decoded.pixels is not None]
    keys = [ORIGINAL] if comparison.original is not None else made
    return picture_at(comparison, keys[0], life) if keys else None


def _told(comparison: Comparison) -> Message:
    """Return the time of the request and the number of VAEs."""
    when, count = time.strftime("%H:%M", time.localtime(comparison.when)), len(comparison.vaes)
    return msg("{time} · 1 VAE", time=when) if count == 1 else msg("{time} · {count} VAEs", time=when, count=count)


def _state(state: State) -> tuple[str, Message] | None:
    """Return a sign and a word for an unusual state."""
    if state is State.WAITING:
        return "…", msg("waits for its turn", code="waits-for-turn")
    if state in (State.RUNNING, State.MEASURING):
        return "▶", msg("is running")
    if state is State.STOPPED:
        return "■", msg("stopped")
    return ("✗", msg("failed")) if state is State.FAILED else None
