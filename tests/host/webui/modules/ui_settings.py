"""Imitates modules/ui_settings.py: the Settings tab with a page for each section, and the quick settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from modules import script_callbacks, shared, ui_common
from modules.call_queue import wrap_gradio_call_no_job
from modules.ui_components import FormRow
from tests.host import gradios

QUICKSETTINGS = "quicksettings_list"
"""The option that names them."""

MANAGED: tuple[str, ...] = ()
"""What *Apply settings* leaves alone."""

_BY_TYPE = {str: gr.Textbox, int: gr.Number, bool: gr.Checkbox}


def _component_args(key: str) -> dict[str, Any]:
    args = shared.opts.data_labels[key].component_args
    return dict(args() if callable(args) else args or {})


def get_value_for_setting(key: str) -> Any:
    args = {name: value for name, value in _component_args(key).items() if name != "precision"}
    return gr.update(value=getattr(shared.opts, key), **args)


def create_setting_component(key: str, is_quicksettings: bool = False) -> Any:
    """The component of one option, with its refresh button if it has one."""
    info = shared.opts.data_labels[key]
    component = info.component or _BY_TYPE.get(type(info.default))
    if component is None:
        raise TypeError(f"bad options item type: {type(info.default)} for key {key}")
    value = shared.opts.data.get(key, info.default)

    def make() -> Any:
        made = component(label=info.label, value=value, elem_id=f"setting_{key}", **_component_args(key))
        if info.refresh is not None:
            ui_common.create_refresh_button(made, info.refresh, info.component_args, f"refresh_{key}")
        return made

    if info.refresh is None or is_quicksettings:
        return make()
    with FormRow():
        return make()


class UiSettings:
    """The tab, and the quick settings taken out of it."""

    submit: Any = None
    result: Any = None
    interface: Any = None
    text_settings: Any = None

    def __init__(self) -> None:
        self.components: list[Any] = []
        self.component_dict: dict[str, Any] = {}
        self.dummy_component: Any = None
        self.quicksettings_list: list[str] = []

    def run_settings(self, *args: Any) -> tuple[str, str]:
        """Apply settings: every option whose component is on the tab."""
        opts = shared.opts
        shown = [
            (key, value)
            for key, value, component in zip(opts.data_labels, args, self.components, strict=True)
            if component is not self.dummy_component and key not in MANAGED
        ]
        for key, value in shown:
            assert opts.same_type(value, opts.data_labels[key].default), f"Bad value for setting {key}: {value}"
        changed = [key for key, value in shown if opts.set(key, value)]
        opts.save(shared.config_filename)
        return opts.dumpjson(), f"{len(changed)} settings changed{': ' if changed else ''}{', '.join(changed)}."

    def run_settings_single(self, value: Any, key: str) -> tuple[Any, str]:
        """A quick setting was changed; one that did not take is shown with its old value again."""
        opts = shared.opts
        if not opts.same_type(value, opts.data_labels[key].default):
            return gr.update(visible=True), opts.dumpjson()
        if value is None or not opts.set(key, value):
            return gr.update(value=getattr(opts, key)), opts.dumpjson()
        opts.save(shared.config_filename)
        return get_value_for_setting(key), opts.dumpjson()

    def register_settings(self) -> None:
        script_callbacks.ui_settings_callback()

    def create_ui(self, loadsave: Any, dummy_component: Any) -> None:
        self.dummy_component = dummy_component
        shared.settings_components = self.component_dict
        shared.opts.reorder()
        with gr.Blocks(analytics_enabled=False) as self.interface:
            with gr.Row():
                with gr.Column(scale=6):
                    self.submit = gr.Button(value="Apply settings", variant="primary", elem_id="settings_submit")
                with gr.Column():
                    restart = gr.Button(value="Reload UI", variant="primary", elem_id="settings_restart_gradio")
            self.result = gr.HTML(elem_id="settings_result")
            with gr.Tabs(elem_id="settings"):
                self._create_sections()
            self.text_settings = gr.Textbox(elem_id="settings_json", value=shared.opts.dumpjson, visible=False)
            restart.click(fn=shared.state.request_restart, inputs=[], outputs=[], **gradios.js("restart_reload"))

    def _create_sections(self) -> None:
        """A tab for each section, in the order of the options."""
        page, current = None, None
        for key, info in shared.opts.data_labels.items():
            if info.section[0] is not None and info.section != current:
                if page is not None:
                    page.__exit__(None, None, None)
                page, current = _section(*info.section), info.section
                page.__enter__()
            self.components.append(self._create_component(key, hidden=info.section[0] is None))
        if page is not None:
            page.__exit__(None, None, None)

    def _create_component(self, key: str, *, hidden: bool) -> Any:
        if key in getattr(shared.opts, QUICKSETTINGS) and not shared.cmd_opts.freeze_settings:
            self.quicksettings_list.append(key)
            return self.dummy_component
        if hidden:
            return self.dummy_component
        self.component_dict[key] = create_setting_component(key)
        return self.component_dict[key]

    def add_quicksettings(self) -> None:
        order = getattr(shared.opts, QUICKSETTINGS)
        with gr.Row(elem_id="quicksettings", variant="compact"):
            for key in sorted(self.quicksettings_list, key=order.index):
                self.component_dict[key] = create_setting_component(key, is_quicksettings=True)

    def add_functionality(self, demo: gr.Blocks) -> None:
        self.submit.click(
            fn=wrap_gradio_call_no_job(self.run_settings, extra_outputs=[gr.update()]),
            inputs=self.components,
            outputs=[self.text_settings, self.result],
        )
        for key in self.quicksettings_list:
            component, info = self.component_dict[key], shared.opts.data_labels[key]
            methods = [component.change]
            if isinstance(component, gr.Textbox):
                methods = [component.submit, component.blur]
            elif hasattr(component, "release"):
                methods = [component.release]
            for method in methods:
                method(
                    fn=lambda value, key=key: self.run_settings_single(value, key=key),
                    inputs=[component],
                    outputs=[component, self.text_settings],
                    show_progress="hidden" if info.refresh is None else "full",
                )
        shown = [key for key in shared.opts.data_labels if key in self.component_dict]
        demo.load(
            fn=lambda: [get_value_for_setting(key) for key in shown],
            inputs=[],
            outputs=[self.component_dict[key] for key in shown],
            queue=False,
        )


@contextmanager
def _section(identifier: str, title: str) -> Iterator[None]:
    with (
        gr.TabItem(elem_id=f"settings_{identifier}", label=title),
        gr.Column(elem_id=f"column_settings_{identifier}", variant="compact"),
    ):
        yield
