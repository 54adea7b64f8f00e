"""Gradio blocks of the page: the accordion and the tab."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import gradio as gr
from markupsafe import Markup

from ...errors import VaeManagerError
from ...messages import Message, msg
from ..admission import Visitor
from ..faults import FAULTS
from ..translation import Translator, translator_for
from . import views
from .gradio_compat import (
    Work,
    changed,
    keep_out_of_ui_config,
    on_change,
    on_click,
    on_input_in_browser,
    on_message,
    on_pick,
    on_sync,
    picture_field,
)
from .page import COMPARISON, DOWNLOADS, EVERYWHERE, LIBRARY, TABS, THIS_TAB, Page
from .page_handlers import acting, comparing
from .rendering import render

_frame = partial(render, "frames.html")


class _Parts(NamedTuple):
    """Components of the accordion. Those from `tab_choice` on are hidden; the page's script and the WebUI use them."""

    accordion: Any
    dropdown: Any
    refresh: Any
    scope: Any
    status: Any
    answer: Any
    refusal: Any
    under: Any
    needs: Any
    offers: Any
    hires: Any
    refiner: Any
    downloads: Any
    tab_choice: Any
    outcome: Any
    message: Any
    act: Any
    sync: Any
    pick: Any


def build_accordion(page: Page, tab: str) -> list[Any]:
    """Build the accordion of `tab` and return the components whose values go with each generation of the tab.

    They are the tab's own choice and the VAEs of two passes. The first is in the WebUI's word or by its line of the
    dropdown (`Page.word_of`), and empty if the choice applies everywhere. Its first value is empty, since a request
    through the API brings first values and must not override the choice; those of the passes mean no VAE of their own.
    """
    try:
        parts = _make(page, tab)
        _wire(page, tab, parts)
    except Exception as error:  # noqa: BLE001 - the fault is shown in its place
        fault = FAULTS.record(msg("The accordion “VAE”"), error)
        with gr.Accordion("VAE", open=False):
            gr.HTML(views.answer(fault.message, translator_for("None", {})))
        return []
    keep_out_of_ui_config(*parts)
    return [parts.tab_choice, parts.hires, parts.refiner]


def _make(page: Page, tab: str) -> _Parts:
    translate = page.translate
    prefix = f"vae_manager_{tab}"
    with gr.Accordion("VAE", open=False, elem_id=prefix, elem_classes=["vae-manager"]) as accordion:
        with gr.Row(elem_classes=["vm-pick"]):
            labels, chosen = page.first_labels()
            dropdown = gr.Dropdown(
                labels, value=chosen, label="SD VAE", elem_id=f"{prefix}_choice", scale=4, min_width=200
            )
            refresh = gr.Button(
                translate(msg("Refresh")),
                elem_id=f"{prefix}_refresh",
                elem_classes=["vm-refresh"],
                scale=0,
                min_width=90,
            )
        return _Parts(
            accordion,
            dropdown,
            refresh,
            scope=_scope(page, prefix),
            status=gr.HTML(_frame("status", translate), elem_id=f"{prefix}_status"),
            answer=gr.HTML("", elem_id=f"{prefix}_answer", elem_classes=["vm-answer"]),
            refusal=gr.HTML("", elem_classes=["vm-hidden"]),
            under=gr.HTML(_frame("under_result", translate, tab), elem_classes=["vm-hidden"]),
            needs=gr.HTML(_frame("region", translate, "needs"), elem_id=f"{prefix}_needs"),
            offers=gr.HTML(_frame("region", translate, "offers"), elem_id=f"{prefix}_offers"),
            hires=(passes := _passes(page, tab, prefix, labels))[0],
            refiner=passes[1],
            downloads=gr.HTML(_frame("region", translate, "downloads-now", live=True), elem_id=f"{prefix}_downloads"),
            tab_choice=gr.Textbox("", visible=False, elem_id=f"{prefix}_tab_choice"),
            outcome=gr.Textbox("", visible=False),
            message=gr.Textbox("", visible=False),
            act=_unseen_button(f"{prefix}_act"),
            sync=_unseen_button(f"{prefix}_sync"),
            pick=_unseen_button(f"{prefix}_pick"),
        )


def _wire(page: Page, tab: str, parts: _Parts) -> None:
    """Connect each event of the accordion with its work.

    The dropdown gets values by `sync` alone, which the page's script serialises: a late answer would replace a newer
    pick.
    """
    dropdown, scope, tab_choice, answer = parts.dropdown, parts.scope, parts.tab_choice, parts.answer

    def unchanged(*_: Any) -> Any:
        return changed()

    def refused(message: Message) -> tuple[Any, str]:
        return changed(), views.answer(message, page.translate)

    def picked(visitor: Visitor, label: str, where: str) -> tuple[str, str]:
        seen, word = page.seen_by(visitor), page.word_of(label)
        try:
            own = seen.pick(word, where)
        except VaeManagerError as error:
            return outcome_of(label, where, ""), views.answer(error.message, seen.translate)
        doubt = page.doubt_in_tab(own) if own else None
        return outcome_of(label, where, own), views.answer(doubt, page.translate) if doubt is not None else ""

    def outcome_of(label: str, where: str, own: str) -> str:
        return json.dumps({"pick": [label, where], "own": own})

    def synced(visitor: Visitor, own: str) -> Any:
        """Return the value with the current lines: gradio 4 shows an empty field for a value outside its lines."""
        facts = page.facts()
        return changed(choices=page.labels(facts), value=page.label_of(page.word_of(own) or facts.wanted.word))

    def relisted(visitor: Visitor, label: str) -> Any:
        """Return the current lines for a single pass, and its value only if its line reads otherwise now.

        This answer may be late: a value would take back a pick that was made after the question.
        """
        labels = page.pass_labels(page.labels(page.facts()))
        shown = page.label_of(page.pass_word(label))
        choices = labels if shown in labels else [*labels, shown]  # a file that has gone
        return changed(choices=choices) if shown == label else changed(choices=choices, value=shown)

    def refreshed(visitor: Visitor) -> str:
        page.host.refresh()
        return ""

    # A generation that starts before the server's answer uses the tab's choice too; the choice is checked then.
    pick = f"(label, where) => vaeManager.pick('{tab}', label, where)"
    on_input_in_browser(dropdown, pick, [dropdown, scope], [tab_choice])
    apply_to = f"(label, where) => vaeManager.pick('{tab}', where === {json.dumps(THIS_TAB)} ? label : '', where)"
    on_input_in_browser(scope, apply_to, [dropdown, scope], [tab_choice])
    picks = Work(page.host, picked, refused)
    on_pick(parts.pick, picks, [parts.message, scope], [parts.outcome, answer], tab_choice, tab)
    on_message(parts.act, acting(page), [parts.message], parts.refusal, tab)
    lines_came = f"vaeManager.linesCame('{tab}');"
    on_sync(parts.sync, Work(page.host, synced, unchanged), [tab_choice], [dropdown], js_after=lines_came)
    for one_pass in (parts.hires, parts.refiner):
        on_sync(parts.sync, Work(page.host, relisted, unchanged), [one_pass], [one_pass])
    refresh = Work(page.host, refreshed, lambda message: refused(message)[1])
    on_click(parts.refresh, refresh, [], [answer], js_after="() => { vaeManager.renew(); }")
    on_change(tab_choice, f"(word) => {{ vaeManager.tabChose('{tab}', word); }}")


def _scope(page: Page, prefix: str) -> Any:
    translate = page.translate
    first = THIS_TAB if page.host.shared_with_others else EVERYWHERE
    return gr.Radio(
        [(translate(msg("everywhere")), EVERYWHERE), (translate(msg("this tab only", code="this-tab-only")), THIS_TAB)],
        value=first,
        label=translate(msg("Applies to")),
        elem_id=f"{prefix}_scope",
        elem_classes=["vm-scope"],
    )


def _passes(page: Page, tab: str, prefix: str, labels: Sequence[str]) -> tuple[Any, Any]:
    """Build the dropdowns of hires fix, which img2img has not, and of the refiner."""
    translate = page.translate
    lines = page.pass_labels(labels)
    with (
        gr.Accordion(
            translate(msg("Another VAE for hires. fix or the refiner")), open=False, elem_id=f"{prefix}_passes"
        ),
        gr.Row(),
    ):
        hires, refiner = (
            gr.Dropdown(lines, value=lines[0], label=translate(label), elem_id=f"{prefix}_{name}", visible=visible)
            for name, label, visible in (
                ("hires", msg("VAE for hires. fix"), tab == TABS[0]),
                ("refiner", msg("VAE for the refiner"), True),
            )
        )
    return hires, refiner


def _unseen_button(element: str) -> Any:
    """Return a button, hidden by CSS, for the page's script; gradio omits one with `visible=False` from the page."""
    return gr.Button(visible=True, elem_id=element, elem_classes=["vm-hidden"])


def settings_region(translate: Translator) -> Markup:
    """Return the placeholder of the settings section."""
    return _frame("settings", translate)


NAME = f"vae_manager_{LIBRARY}"
SECOND = f"vae_manager_{COMPARISON}"
THIRD = f"vae_manager_{DOWNLOADS}"


def build_tab(page: Page) -> Any:
    """Build the tab's pages: regions that the browser fills when they become visible, and one channel for messages."""
    translate = page.translate
    with (
        gr.Blocks(analytics_enabled=False) as blocks,
        gr.Column(elem_id=f"{NAME}_page", elem_classes=["vae-manager", "vm-tab"]),
    ):
        home = gr.HTML(_frame("home", translate))
        with gr.Tabs(elem_id=f"{NAME}_pages") as pages:
            with gr.TabItem(translate(msg("Library")), id=LIBRARY):
                shelf = gr.HTML(_frame("library", translate), elem_id=f"{NAME}_shelf")
            with gr.TabItem(translate(msg("Comparison")), id=COMPARISON, elem_id=f"{SECOND}_page"):
                which = gr.HTML(_frame("which", translate))
                with gr.Row(elem_classes=["vm-compare"]):
                    setup = gr.HTML(_frame("region", translate, "compare-setup"), elem_id=f"{SECOND}_setup")
                    own = picture_field(translate(msg("Your own image")), f"{SECOND}_own")
                results = gr.HTML(_frame("comparison", translate), elem_id=f"{SECOND}_results")
            with gr.TabItem(translate(msg("Downloads")), id=DOWNLOADS, elem_id=f"{THIRD}_page"):
                fetched = gr.HTML(_frame("downloads", translate))
        message = gr.Textbox("", visible=False)
        refusal = gr.HTML("", elem_classes=["vm-hidden"])
        act, compare = (
            gr.Button(visible=True, elem_id=f"{NAME}_{name}", elem_classes=["vm-hidden"]) for name in ("act", "compare")
        )

    with blocks:
        on_message(act, acting(page), [message], refusal, LIBRARY)
        on_message(compare, comparing(page), [message, own], refusal, LIBRARY)
        on_change(own, "(picture) => { vaeComparison.pictureCame(picture !== null); }")
    keep_out_of_ui_config(pages, home, refusal, shelf, which, setup, own, results, fetched, message, act, compare)
    return blocks
