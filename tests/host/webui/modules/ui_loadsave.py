"""Imitates modules/ui_loadsave.py: ui-config.json keeps the first value that a component ever had, and brings it back.

A component without a label has no key; one with `do_not_save_to_config` is left alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from modules.ui_components import InputAccordion, ToolButton

_FIELDS: dict[type, tuple[str, ...]] = {
    gr.Slider: ("value", "minimum", "maximum", "step"),
    gr.Radio: ("value",),
    gr.Checkbox: ("value",),
    gr.Textbox: ("value",),
    gr.Number: ("value",),
    gr.Dropdown: ("value",),
    InputAccordion: ("value",),
    ToolButton: (),
    gr.Button: (),
}


class UiLoadsave:
    """The file, and what the page has added to it."""

    def __init__(self, filename: str) -> None:
        self.filename = filename
        self.finalized_ui = False
        file = Path(filename)
        self.ui_settings: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    def add_component(self, path: str, x: Any) -> None:
        """Exactly these classes, not what derives from them."""
        assert not self.finalized_ui
        if type(x) not in _FIELDS:
            return
        if type(x) is InputAccordion:
            x.accordion.custom_script_source = getattr(x, "custom_script_source", None)
            self._apply(path, x.accordion, "open", "value")
        elif x.visible:
            self._apply(path, x, "visible")
        for field in _FIELDS[type(x)]:
            self._apply(path, x, field)

    def _apply(self, path: str, component: Any, field: str, saved_as: str | None = None) -> None:
        if getattr(component, "do_not_save_to_config", False):
            return
        source = getattr(component, "custom_script_source", None)
        key = f"{f'customscript/{source}/' if source else ''}{path}/{saved_as or field}"
        saved = self.ui_settings.get(key)
        if saved is None:
            self.ui_settings[key] = getattr(component, field)
        elif field != "value" or _possible(component, saved):
            setattr(component, field, str(saved) if isinstance(component, gr.Textbox) and field == "value" else saved)

    def add_block(self, x: Any, path: str = "") -> None:
        """All components inside a block."""
        if hasattr(x, "children"):
            for child in x.children:
                self.add_block(child, path)
        elif x.label is not None:
            self.add_component(f"{path}/{x.label}", x)
        elif isinstance(x, gr.Button) and x.value is not None:
            self.add_component(f"{path}/{x.value}", x)

    def dump_defaults(self) -> None:
        text = json.dumps(self.ui_settings, indent=4, ensure_ascii=False)
        Path(self.filename).write_text(text, encoding="utf-8")


def _possible(component: Any, value: Any) -> bool:
    """Whether a choice is still among the choices."""
    if not isinstance(component, (gr.Radio, gr.Dropdown)):
        return True
    choices = [choice[0] if isinstance(choice, tuple) else choice for choice in component.choices]
    wanted = value if getattr(component, "multiselect", False) else [value]
    return all(one in choices for one in wanted)
