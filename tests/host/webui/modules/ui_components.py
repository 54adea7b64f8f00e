"""Imitates modules/ui_components.py: components that fit inside gradio's forms, and an accordion that is an input."""

from __future__ import annotations

from typing import Any, ClassVar

import gradio as gr

from tests.host import gradios


class FormComponent:
    """Adjacent ones share a gradio form."""

    def get_expected_parent(self) -> type:
        return gr.components.Form


gr.Dropdown.get_expected_parent = FormComponent.get_expected_parent


class ToolButton(FormComponent, gr.Button):
    """A small button with one sign on it."""

    @gradios.with_signature_of(gr.Button)
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        tooltip = kwargs.pop("tooltip", None)
        super().__init__(*args, elem_classes=["tool", *kwargs.pop("elem_classes", [])], **kwargs)
        self.webui_tooltip = tooltip

    def get_block_name(self) -> str:
        return "button"


class ResizeHandleRow(gr.Row):
    """The WebUI's has a handle between its columns."""

    @gradios.with_signature_of(gr.Row)
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.elem_classes.append("resize-handle-row")

    def get_block_name(self) -> str:
        return "row"


class FormRow(FormComponent, gr.Row):
    def get_block_name(self) -> str:
        return "row"


class FormColumn(FormComponent, gr.Column):
    def get_block_name(self) -> str:
        return "column"


class FormGroup(FormComponent, gr.Group):
    def get_block_name(self) -> str:
        return "group"


class FormHTML(FormComponent, gr.HTML):
    def get_block_name(self) -> str:
        return "html"


class DropdownMulti(FormComponent, gr.Dropdown):
    """Several choices at once."""

    @gradios.with_signature_of(gr.Dropdown)
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(multiselect=True, **kwargs)

    def get_block_name(self) -> str:
        return "dropdown"


class DropdownEditable(FormComponent, gr.Dropdown):
    """Also takes what is not among its choices."""

    @gradios.with_signature_of(gr.Dropdown)
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_custom_value=True, **kwargs)

    def get_block_name(self) -> str:
        return "dropdown"


class InputAccordion(gr.Checkbox):
    """A hidden checkbox that is on while the accordion of the same element id is open; the page keeps them in step."""

    global_index: ClassVar[int] = 0

    @gradios.with_signature_of(gr.Checkbox)
    def __init__(self, value: bool, **kwargs: Any) -> None:
        self.accordion_id = kwargs.get("elem_id")
        if self.accordion_id is None:
            self.accordion_id = f"input-accordion-{InputAccordion.global_index}"
            InputAccordion.global_index += 1
        super().__init__(value, **{**kwargs, "elem_id": f"{self.accordion_id}-checkbox", "visible": False})
        follow = f'function(checked){{ inputAccordionChecked("{self.accordion_id}", checked); }}'
        self.change(fn=None, inputs=[self], **gradios.js(follow))
        shown = {**kwargs, "elem_id": self.accordion_id, "label": kwargs.get("label", "Accordion")}
        self.accordion = gr.Accordion(**shown, elem_classes=["input-accordion"], open=value)

    def extra(self) -> gr.Column:
        """A column whose contents the page moves into the accordion's title."""
        return gr.Column(elem_id=f"{self.accordion_id}-extra", elem_classes="input-accordion-extra", min_width=0)

    def __enter__(self) -> InputAccordion:
        self.accordion.__enter__()
        return self

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        self.accordion.__exit__(exc_type, exc_val, exc_tb)

    def get_block_name(self) -> str:
        return "checkbox"
