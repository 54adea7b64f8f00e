"""Views of the comparison section and of its picture viewer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from typing import Final, TypedDict

from ....choice import Choice
from ....compare import Comparison, Result, State
from ....jobs import JobState
from ....messages import Message, msg
from ...translation import Translator, plain
from ..comparison_page import (
    Chip,
    Picture,
    Section,
    figures_of,
    is_reference,
    notes_of,
    shifts_of,
    title_of,
    title_text,
    translator_of,
)
from .components import ERROR, INFO, WARNING, badge, button, line, paragraph, with_buttons
from .labels import choice_name


def frame(translate: Translator) -> str:
    """The large picture and its tools, empty; the browser fills it. Built once for each page."""
    modes: list[tuple[str, Message]] = [
        ("wipe", msg("Wipe")),
        ("grid", msg("Side by side")),
        ("difference", msg("Difference")),
    ]
    views = "".join(_tool("view", name, translate(text)) for name, text in modes)
    zooms: list[tuple[str, str, Message]] = [
        ("out", "−", msg("Zoom out")),
        ("in", "+", msg("Zoom in")),
        ("fit", "", msg("Whole picture")),
        ("one", "1:1", msg("One pixel of the picture for one of the screen")),
    ]
    zoom = "".join(_tool("zoom", name, sign or translate(text), translate(text)) for name, sign, text in zooms)
    follow = _tool("next", "next", translate(msg("Next difference")))
    tools = escape(translate(msg("View")))
    texts = {
        "slider": msg("Boundary between {left} and {right}", left="{left}", right="{right}"),
        "value": msg("{percent} % {left}", percent="{percent}", left="{left}"),
        "place": msg("Difference {number} of {count}", number="{number}", count="{count}"),
        "same": msg("These two are the same picture, bit for bit."),
    }
    data = "".join(f' data-vae-{name}="{escape(translate(text))}"' for name, text in texts.items())
    stage = escape(translate(msg("The pictures. Plus, minus and 0 zoom, arrows move, N goes to the next difference.")))
    help_text = escape(
        translate(
            msg(
                "Drag the line. The wheel, two fingers or + and − zoom, dragging and the arrow keys move, 0 shows all; "
                "N goes where the two differ most."
            )
        )
    )
    return (
        f'<div class="vm-viewer" data-vae-viewer hidden{data}>'
        f'<div class="vm-tools" role="toolbar" aria-label="{tools}">'
        f'<span class="vm-group">{views}</span><span class="vm-group">{zoom}</span>{follow}'
        f'<span class="vm-hint" role="status" data-vae-where></span></div>'
        f'<div class="vm-stage" data-vae-stage tabindex="0" role="group" aria-label="{stage}"></div>'
        f'<p class="vm-hint" data-vae-legend hidden></p><p class="vm-hint vm-help">{help_text}</p></div>'
    )


def _tool(kind: str, name: str, text: str, spoken: str = "") -> str:
    pressed = ' aria-pressed="false"' if kind == "view" else ""
    label = f' aria-label="{escape(spoken)}" title="{escape(spoken)}"' if spoken else ""
    return f'<button type="button" class="vm-button" data-vae-{kind}="{name}"{pressed}{label}>{escape(text)}</button>'


def legend(white: int, translate: Translator) -> str:
    """Below a difference map. `white`: levels of 255 that white stands for; 0: there is no difference."""
    if not white:
        return translate(msg("These two are the same picture, bit for bit."))
    return translate(
        msg("Black: the same. White: {levels} of 255 levels apart, in the colour where that is most.", levels=white)
    )


def under_result(tab: str, translate: Translator) -> str:
    """The button under a tab's result. It is made with the accordion, and the browser puts it in its place."""
    label = escape(translate(msg("Compare VAEs")))
    hint = escape(translate(msg("Decodes this picture by other VAEs, without making it again")))
    return (
        f'<div class="vae-manager vm-under" data-vae-under="{tab}"><button type="button" class="vm-button" '
        f'data-vae-compare="{tab}" title="{hint}">{label}</button></div>'
    )


PICTURES_PATH: Final = "/vae-manager/comparison"
ORIGINAL: Final = "original"
SHEET: Final = "sheet.png"


class Shown(TypedDict):
    """One picture that is there."""

    key: str
    """Its part of the address."""
    name: str


class View(TypedDict):
    id: str
    base: str
    """The address that all others begin with; relative, since a WebUI may be served below a path."""
    query: str
    width: int
    height: int
    pictures: list[Shown]
    """The reference first."""


def picture_at(comparison: Comparison, key: str, life: str) -> str:
    """The address of one picture, relative as all are."""
    return f".{PICTURES_PATH}/{comparison.id}/{key}.png?{life}"


def view_of(comparison: Comparison, life: str, translate: Translator) -> View | None:
    """None while there is no picture. `life` tells this process's addresses from another's."""
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
"""Instead of the id of a kept picture: the one that the person puts in."""


# -- what is compared ----------------------------------------------------------------------------------------------
def setup(section: Section, translate: Translator) -> str:
    """Which picture, by which VAEs, and the button that starts it."""
    start = (
        f'<button type="button" class="vm-button vm-primary" data-vae-start data-vae-key="start">'
        f"{escape(translate(msg('Compare')))}</button>"
    )
    chosen = f"{_pictures(section, translate)}{_encode(translate)}{_chips(section, translate)}"
    return f'{chosen}<div data-vae-anchor="compare"><div class="vm-do vm-acts">{start}</div></div>'


def _pictures(section: Section, translate: Translator) -> str:
    rows = "".join(_picture(picture, translate) for picture in section.pictures)
    if not section.keeps:
        hint = msg("The settings say that no picture is kept. Your own image can be compared.")
    elif not section.pictures:
        hint = msg("Pictures that you make are listed here. Your own image can be compared at once.")
    else:
        hint = None
    told = f'<p class="vm-hint">{escape(translate(hint))}</p>' if hint is not None else ""
    own = _radio(OWN, escape(translate(msg("Your own image: encoded, then decoded again"))))
    legend = escape(translate(msg("Picture")))
    takers = "".join(_taker(tab, translate) for tab in ("txt2img", "img2img"))
    return f'<fieldset class="vm-pictures"><legend>{legend}</legend>{told}{rows}{own}{takers}</fieldset>'


def _taker(tab: str, translate: Translator) -> str:
    """Puts the picture that is shown in `tab` into the field; the browser shows it where there is one."""
    text = escape(translate(msg("Take the one shown in {tab}", tab=tab)))
    return (
        f'<button type="button" class="vm-button" data-vae-take="{tab}" data-vae-key="take {tab}" hidden>'
        f"{text}</button> "
    )


def _picture(picture: Picture, translate: Translator) -> str:
    kept = picture.kept
    text = f"<bdi>{escape(plain(title_of(kept)))}</bdi>"
    if picture.why_not is not None:
        why = escape(translate(picture.why_not))
        return _radio(kept.id, f'{text}<span class="vm-hint">{why}</span>', disabled=True)
    return _radio(kept.id, text)


def _radio(value: str, inner: str, *, disabled: bool = False) -> str:
    off = " disabled" if disabled else ""
    return (
        f'<label class="vm-option{" vm-off" if disabled else ""}"><input type="radio" name="vae-picture" '
        f'value="{escape(value)}" data-vae-picture data-vae-key="picture {escape(value)}"{off}>'
        f"<span>{inner}</span></label>"
    )


def _chips(section: Section, translate: Translator) -> str:
    legend, chips = escape(translate(msg("VAEs"))), "".join(_chip(chip, translate) for chip in section.chips)
    refused = [chip for chip in section.chips if chip.offer.refusal is not None]
    reasons = "".join(
        f"<li><bdi>{escape(plain(choice_name(Choice(chip.offer.vae), translate)))}</bdi>: "
        f"{escape(plain(translate(chip.offer.refusal)))}</li>"
        for chip in refused
        if chip.offer.refusal is not None
    )
    why = ""
    if reasons:
        summary = escape(translate(msg("{count} cannot be compared", count=len(refused))))
        why = (
            f'<details class="vm-more" data-vae-key="refused"><summary>{summary}</summary>'
            f'<ul class="vm-caught">{reasons}</ul></details>'
        )
    return f'<fieldset class="vm-chips"><legend>{legend}</legend><div>{chips}</div>{why}</fieldset>'


def _chip(chip: Chip, translate: Translator) -> str:
    """One in use is always compared where a picture was made: the others are held against it."""
    offer, name = chip.offer, plain(choice_name(Choice(chip.offer.vae), translate))
    off = offer.refusal is not None and not offer.in_use
    marks = " disabled" if off else " data-vae-proposed" if chip.proposed else ""
    title = f' title="{escape(plain(translate(offer.refusal)))}"' if offer.refusal is not None else ""
    used = " " + badge("✓", translate(msg("in use"))) if offer.in_use else ""
    in_use = " data-vae-in-use" if offer.in_use else ""
    return (
        f'<label class="vm-chip{" vm-off" if off else ""}"{title}><input type="checkbox" value="{escape(offer.vae)}" '
        f'data-vae-chip{in_use} data-vae-key="chip {escape(offer.vae)}"{marks}><span><bdi>{escape(name)}</bdi>{used}'
        f"</span></label>"
    )


def _encode(translate: Translator) -> str:
    """Matters for a picture of one's own alone; the browser shows it then."""
    one, each = escape(translate(msg("by the VAE in use, for all"))), escape(translate(msg("by each VAE itself")))
    return (
        f'<fieldset class="vm-encode" data-vae-encode hidden><legend>{escape(translate(msg("Encoded")))}</legend>'
        f'<label class="vm-option"><input type="radio" name="vae-encode" value="current" data-vae-key="encode current">'
        f"<span>{one}</span></label>"
        f'<label class="vm-option"><input type="radio" name="vae-encode" value="each" data-vae-key="encode each">'
        f"<span>{each}</span></label></fieldset>"
    )


# -- how it goes ---------------------------------------------------------------------------------------------------
def progress(section: Section, translate: Translator) -> str:
    """What the comparison is of, how far it is, and what is to be said of it."""
    now = section.now
    if now is None:
        return ""
    told = f'<p class="vm-line vm-summary"><bdi>{escape(title_text(now, translate))}</bdi></p>'
    note = line(WARNING, translate(now.note), translate) if now.note is not None else ""
    return f"{told}{_stand(now, section, translate)}{note}"


def _stand(now: Comparison, section: Section, translate: Translator) -> str:
    label = translate(msg("Cancel"))
    cancel = button(label, {"do": "stop-comparison", "id": now.id}, "stop comparison")
    if now.state is State.WAITING:
        return with_buttons(line(INFO, translate(now.waits_for or msg("Waiting for its turn")), translate), cancel)
    if now.state is State.RUNNING:
        return _bar(now, translate, cancel)
    if now.state is State.MEASURING:
        return line(INFO, translate(msg("All pictures are there; the last figures follow.")), translate)
    if now.state is State.FAILED:
        reason = now.error or msg("The comparison failed.")
        return line(ERROR, translate(reason), translate) + _save(now, section, translate)
    if now.state is State.STOPPED:
        told = now.error or msg("The comparison was stopped. The VAE in use is unchanged.")
        return line(WARNING, translate(told), translate) + _save(now, section, translate)
    return _save(now, section, translate)


def _bar(now: Comparison, translate: Translator, cancel: str) -> str:
    done, total, vae = now.step if now.step is not None else (0, len(now.vaes), "")
    share = round(100 * done / total) if total else 0
    name = plain(choice_name(Choice(vae), translate)) if vae else ""
    text = msg("{done} of {total} · {vae}", done=done, total=total, vae=name) if name else msg("Beginning …")
    spoken = escape(translate(text))
    return (
        f'<div class="vm-work"><strong>{escape(translate(msg("Decoding")))}</strong><div class="vm-progress">'
        f'<div class="vm-bar" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{share}" '
        f'aria-valuetext="{spoken}" aria-label="{escape(translate(msg("Decoding")))}"><div class="vm-done" '
        f'style="width:{share}%"></div></div><span>{spoken}</span></div>{cancel}</div>'
    )


def _save(now: Comparison, section: Section, translate: Translator) -> str:
    """What it took, the button that writes the pictures, and where they are."""
    made = sum(result.decoded.pixels is not None for result in now.results)
    if not made:
        return ""
    told = msg("1 picture") if made == 1 else msg("{count} pictures", count=made)
    parts = [translate(told)]
    if now.seconds is not None:
        parts.append(translate(msg("{count} s in all", count=f"{now.seconds:.1f}")))
    save = button(translate(msg("Save")), {"do": "save-comparison", "id": now.id}, "save comparison")
    return with_buttons(paragraph(escape(" · ".join(parts))), save) + _saved(now, section, translate)


def _saved(now: Comparison, section: Section, translate: Translator) -> str:
    saving = section.saving
    if saving is not None and not saving.state.ended:
        return line(INFO, translate(msg("Saving …")), translate)
    if saving is not None and saving.state is JobState.FAILED and saving.error is not None:
        return line(ERROR, translate(saving.error), translate)
    if not section.saved:
        return ""
    sheet = section.saved[-1]
    text = msg("Saved where this WebUI keeps what is saved: {file} and the pictures beside it.", file=sheet.name)
    if section.shows_paths:
        folder = str(sheet.parent.absolute())
        text = msg("Saved in {folder}: {file} and the pictures beside it.", folder=folder, file=sheet.name)
    link = (
        f'<a href=".{PICTURES_PATH}/{escape(now.id)}/{SHEET}" target="_blank" rel="noopener">'
        f"{escape(translate(msg('Open the sheet')))}</a>"
    )
    return f'<p class="vm-line vm-fine">{escape(plain(translate(text)))} {link}</p>'


# -- what came of it -----------------------------------------------------------------------------------------------
def cards(section: Section, life: str, translate: Translator) -> str:
    """A card for each VAE, in the order in which they decode, with what is said of its picture."""
    now = section.now
    if now is None:
        return ""
    in_use = next((chip.offer.vae for chip in section.chips if chip.offer.in_use), None)
    made = [_original(now, life, translate)] if now.original is not None else []
    for number, vae in enumerate(now.vaes):
        result = now.of(vae)
        use = "" if result is None or result.decoded.pixels is None or vae == in_use else _use(vae, section, translate)
        made.append(_card(now, str(number), vae, result, use, life, translate, used=vae == in_use))
    return f'<ul class="vm-cards">{"".join(made)}</ul>'


def _original(now: Comparison, life: str, translate: Translator) -> str:
    name = translate(msg("Original"))
    hint = escape(translate(msg("reference")))
    body = f'<p class="vm-seen">{hint}</p><div class="vm-do">{_sides(ORIGINAL, name, translate)}</div>'
    return _item(ORIGINAL, _thumb(now, ORIGINAL, name, life, translate), escape(name), body)


def _card(
    now: Comparison,
    key: str,
    vae: str,
    result: Result | None,
    use: str,
    life: str,
    translate: Translator,
    *,
    used: bool,
) -> str:
    name = plain(choice_name(Choice(vae), translate))
    title = f"<bdi>{escape(name)}</bdi>" + (" " + badge("✓", translate(msg("in use"))) if used else "")
    if result is None:
        waits = msg("stopped before its turn") if now.ended else msg("waits for its turn")
        if now.step is not None and now.step.vae == vae and not now.ended:
            waits = msg("is decoding …")
        return _item(key, '<div class="vm-thumb"></div>', title, f'<p class="vm-hint">{escape(translate(waits))}</p>')
    decoded = result.decoded
    notes = "".join(line(WARNING, translate(note), translate) for note in notes_of(result))
    if decoded.error is not None:
        notes += line(ERROR, translate(decoded.error), translate)
    if decoded.pixels is None:
        return _item(key, '<div class="vm-thumb"></div>', title, f"{notes}{_figures(figures_of(result, translate))}")
    seen = translator_of(result, now, translate) or ("" if now.ended else translate(msg("is being measured …")))
    measured = _figures(figures_of(result, translate)) + _figures(shifts_of(result, translate))
    body = f'<p class="vm-seen">{escape(seen)}</p>{measured}{notes}'
    if is_reference(result, now) and not used:
        body += _hint(translate(msg("It was in use when this was compared.")))
    body += f'<div class="vm-do">{_sides(key, name, translate)}{use}</div>'
    return _item(key, _thumb(now, key, name, life, translate), title, body)


def _item(key: str, thumb: str, title: str, body: str) -> str:
    said = f'<div class="vm-said"><strong>{title}</strong>{body}</div>'
    return f'<li class="vm-card" data-vae-card="{key}">{thumb}{said}</li>'


def _thumb(now: Comparison, key: str, name: str, life: str, translate: Translator) -> str:
    label = escape(translate(msg("Show {name}", name=name)))
    source = picture_at(now, key, life)
    return (
        f'<button type="button" class="vm-thumb" data-vae-side="right" data-vae-of="{key}" data-vae-key="thumb {key}" '
        f'aria-label="{label}" title="{label}"><img src="{escape(source)}" alt="" loading="lazy"></button>'
    )


def _sides(key: str, name: str, translate: Translator) -> str:
    made = ""
    for side, text in (("left", msg("Left")), ("right", msg("Right"))):
        label = translate(text)
        made += (
            f'<button type="button" class="vm-button" data-vae-side="{side}" data-vae-of="{key}" '
            f'data-vae-key="{side} {key}" aria-pressed="false" aria-label="{escape(f"{label} — {name}")}">'
            f"{escape(label)}</button>"
        )
    return made


def _use(vae: str, section: Section, translate: Translator) -> str:
    if section.choose_refused is not None:
        return ""
    label = translate(msg("Use this one"))
    named = f"{label} — {plain(choice_name(Choice(vae), translate))}"
    return button(label, {"do": "choose", "word": vae}, f"use {vae}", primary=True, named=named)


def _figures(parts: Sequence[str]) -> str:
    """One line that breaks between figures and not within one."""
    spans = " · ".join(f"<span>{escape(part)}</span>" for part in parts)
    return f'<p class="vm-hint">{spans}</p>' if spans else ""


def _hint(text: str) -> str:
    return f'<p class="vm-hint">{escape(text)}</p>' if text else ""


def kept(section: Section, life: str, translate: Translator) -> str:
    """The newest first; nothing while there is only one."""
    if len(section.kept) < 2:
        return ""
    label = escape(translate(msg("The last comparisons")))
    newest = section.kept[0]
    items = "".join(
        _one(comparison, life, translate, newest=comparison is newest, shown=comparison is section.now)
        for comparison in section.kept
    )
    return f'<ul class="vm-kept" aria-label="{label}">{items}</ul>'


def _one(comparison: Comparison, life: str, translate: Translator, *, newest: bool, shown: bool) -> str:
    """The newest one's button asks for no id: the page then goes on to each that begins."""
    current = ' aria-current="true"' if shown else ""
    id = "" if newest else escape(comparison.id)
    title = escape(title_text(comparison, translate))
    return (
        f'<li><button type="button" class="vm-button" data-vae-shown="{id}" '
        f'data-vae-key="kept {escape(comparison.id)}"{current} title="{title}">{_small_thumb(comparison, life)}'
        f'<span class="vm-said"><bdi>{title}</bdi><span class="vm-hint">{_told(comparison, translate)}</span></span>'
        f"</button></li>"
    )


def _small_thumb(comparison: Comparison, life: str) -> str:
    made = (str(key) for key, vae in enumerate(comparison.vaes) if _has(comparison, vae))
    key = ORIGINAL if comparison.original is not None else next(made, None)
    if key is None:
        return '<span class="vm-thumb"></span>'
    source = escape(picture_at(comparison, key, life))
    return f'<span class="vm-thumb"><img src="{source}" alt="" loading="lazy"></span>'


def _has(comparison: Comparison, vae: str) -> bool:
    result = comparison.of(vae)
    return result is not None and result.decoded.pixels is not None


def _told(comparison: Comparison, translate: Translator) -> str:
    """When it was asked for, how many VAEs, and what is not as usual."""
    when, count = time.strftime("%H:%M", time.localtime(comparison.when)), len(comparison.vaes)
    told = msg("{time} · 1 VAE", time=when) if count == 1 else msg("{time} · {count} VAEs", time=when, count=count)
    sign, state = _state(comparison.state)
    return escape(translate(told)) + (f" {badge(sign, translate(state))}" if state is not None else "")


def _state(state: State) -> tuple[str, Message | None]:
    if state is State.WAITING:
        return "…", msg("waits for its turn")
    if state in (State.RUNNING, State.MEASURING):
        return "▶", msg("is running")
    if state is State.STOPPED:
        return "■", msg("stopped")
    return ("✗", msg("failed")) if state is State.FAILED else ("", None)
