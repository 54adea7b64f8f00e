"""Runs the scripts of one tab: makes their components, knows which arguments are whose, calls their hooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from modules import errors
from modules.api import models as api_models

from tests.host.script_class import NOT_CALLED, AlwaysVisible, OnComponent, Script

Callbacks = dict[str, list[tuple[Callable[..., Any], Script]]]


def wrap_call(
    func: Callable[..., Any], filename: str, funcname: str, *args: Any, default: Any = None, **kwargs: Any
) -> Any:
    """What `func` gives; an error is printed and gives `default`."""
    try:
        return func(*args, **kwargs)
    except Exception:
        errors.report(f"Error calling: {filename}/{funcname}", exc_info=True)
    return default


class ScriptRunner:
    """The scripts of txt2img, or those of img2img."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.selectable_scripts: list[Script] = []
        self.alwayson_scripts: list[Script] = []
        self.titles: list[str] = []
        self.title_map: dict[str, Script] = {}
        self.infotext_fields: list[Any] = []
        self.paste_field_names: list[str] = []
        self.inputs: list[Any] = [None]
        self.on_before_component_elem_id: Callbacks = {}
        self.on_after_component_elem_id: Callbacks = {}

    def initialize_scripts(self, is_img2img: bool) -> None:
        """One object of each class, sorted into always visible, selectable and not shown."""
        from modules import scripts

        for known in (self.scripts, self.alwayson_scripts, self.selectable_scripts):
            known.clear()
        for data in scripts.scripts_data:
            script = wrap_call(data.script_class, data.path, "__init__")
            if script is not None:
                self._admit(script, data.path, is_img2img)
        self.apply_on_before_component_callbacks()

    def _admit(self, script: Script, path: str, is_img2img: bool) -> None:
        if unknown := [name for name in NOT_CALLED if hasattr(script, name)]:
            raise NotImplementedError(f"the stand-in never calls {unknown} of {path}")
        script.filename = path
        script.is_txt2img, script.is_img2img = not is_img2img, is_img2img
        script.tabname = "img2img" if is_img2img else "txt2img"
        visibility = script.show(is_img2img)
        if visibility:
            script.alwayson = visibility is AlwaysVisible
            self.scripts.append(script)
            (self.alwayson_scripts if script.alwayson else self.selectable_scripts).append(script)

    def apply_on_before_component_callbacks(self) -> None:
        """Takes over what the scripts have registered until now."""
        for script in self.scripts:
            for registered, mine in (
                (script.on_before_component_elem_id, self.on_before_component_elem_id),
                (script.on_after_component_elem_id, self.on_after_component_elem_id),
            ):
                for elem_id, callback in registered or []:
                    mine.setdefault(elem_id, []).append((callback, script))
                if registered:
                    registered.clear()

    def create_script_ui(self, script: Script) -> None:
        script.args_from = script.args_to = len(self.inputs)
        try:
            self._create_script_ui(script)
        except Exception:
            errors.report(f"Error creating UI for {script.name}: ", exc_info=True)

    def _create_script_ui(self, script: Script) -> None:
        """Its components become inputs, in their order, and are described for the API."""
        assert script.filename is not None
        script.controls = wrap_call(script.ui, script.filename, "ui", script.is_img2img)
        if script.controls is None:
            return
        script.name = str(wrap_call(script.title, script.filename, "title", default=script.filename)).lower()
        for control in script.controls:
            control.custom_script_source = Path(script.filename).name
        script.api_info = api_models.ScriptInfo(
            name=script.name,
            is_alwayson=script.alwayson,
            is_img2img=script.is_img2img,
            args=[api_models.describe_control(control) for control in script.controls],
        )
        self.infotext_fields += script.infotext_fields or []
        self.paste_field_names += script.paste_field_names or []
        self.inputs += script.controls
        script.args_to = len(self.inputs)

    def setup_ui_for_section(self, section: str | None, scriptlist: list[Script] | None = None) -> None:
        for script in self.alwayson_scripts if scriptlist is None else scriptlist:
            if script.alwayson and script.section != section:
                continue
            if script.create_group:
                with gr.Group(visible=script.alwayson) as group:
                    self.create_script_ui(script)
                script.group = group
            else:
                self.create_script_ui(script)

    def prepare_ui(self) -> None:
        self.inputs = [None]

    def setup_ui(self) -> list[Any]:
        """The scripts without a section of their own, and the dropdown of the selectable ones."""
        titles = {id(script): str(wrap_call(script.title, script.filename or "", "title")) for script in self.scripts}
        self.title_map = {titles[id(script)].lower(): script for script in self.scripts}
        self.titles = [titles[id(script)] for script in self.selectable_scripts]
        self.setup_ui_for_section(None)
        dropdown = gr.Dropdown(
            label="Script", elem_id="script_list", choices=["None", *self.titles], value="None", type="index"
        )
        self.inputs[0] = dropdown
        self.setup_ui_for_section(None, self.selectable_scripts)

        def select_script(script_index: int | None) -> list[Any]:
            return [gr.update(visible=place == script_index) for place, _ in enumerate(self.selectable_scripts, 1)]

        groups = [script.group for script in self.selectable_scripts]
        dropdown.change(fn=select_script, inputs=[dropdown], outputs=groups)
        self.apply_on_before_component_callbacks()
        return self.inputs

    def run(self, p: Any, *args: Any) -> Any:
        """The selected script's `run`; None if none is selected."""
        if not args[0]:
            return None
        script = self.selectable_scripts[args[0] - 1]
        return script.run(p, *args[script.args_from : script.args_to])

    def script(self, title: str) -> Script | None:
        return self.title_map.get(title.lower())

    def _each(self, method: str, p: Any, *given: Any, scripts: list[Script] | None = None, **kwargs: Any) -> None:
        """Calls the hook of every always visible script that has it; an error is printed and stops nobody."""
        for script in self.alwayson_scripts if scripts is None else scripts:
            if getattr(type(script), method) is getattr(Script, method):
                continue
            try:
                getattr(script, method)(p, *given, *p.script_args[script.args_from : script.args_to], **kwargs)
            except Exception:
                errors.report(f"Error running {method}: {script.filename}", exc_info=True)

    def setup_scrips(self, p: Any, *, is_ui: bool = True) -> None:
        """Spelt so in the WebUI."""
        self._each(
            "setup", p, scripts=[script for script in self.alwayson_scripts if is_ui or not script.setup_for_ui_only]
        )

    def before_process(self, p: Any) -> None:
        self._each("before_process", p)

    def process(self, p: Any) -> None:
        self._each("process", p)

    def before_process_batch(self, p: Any, **kwargs: Any) -> None:
        self._each("before_process_batch", p, **kwargs)

    def process_batch(self, p: Any, **kwargs: Any) -> None:
        self._each("process_batch", p, **kwargs)

    def process_before_every_sampling(self, p: Any, **kwargs: Any) -> None:
        self._each("process_before_every_sampling", p, **kwargs)

    def before_hr(self, p: Any) -> None:
        self._each("before_hr", p)

    def post_sample(self, p: Any, ps: Any) -> None:
        self._each("post_sample", p, ps)

    def postprocess_batch(self, p: Any, images: Any, **kwargs: Any) -> None:
        self._each("postprocess_batch", p, images=images, **kwargs)

    def postprocess_batch_list(self, p: Any, pp: Any, **kwargs: Any) -> None:
        self._each("postprocess_batch_list", p, pp, **kwargs)

    def postprocess_image(self, p: Any, pp: Any) -> None:
        self._each("postprocess_image", p, pp)

    def postprocess_maskoverlay(self, p: Any, ppmo: Any) -> None:
        self._each("postprocess_maskoverlay", p, ppmo)

    def postprocess_image_after_composite(self, p: Any, pp: Any) -> None:
        self._each("postprocess_image_after_composite", p, pp)

    def postprocess(self, p: Any, processed: Any) -> None:
        self._each("postprocess", p, processed)

    def before_component(self, component: Any, **kwargs: Any) -> None:
        self._announce("before_component", component, self.on_before_component_elem_id, kwargs.get("elem_id"), kwargs)

    def after_component(self, component: Any, **kwargs: Any) -> None:
        self._announce("after_component", component, self.on_after_component_elem_id, component.elem_id, kwargs)

    def _announce(
        self, method: str, component: Any, callbacks: Callbacks, elem_id: str | None, kwargs: dict[str, Any]
    ) -> None:
        made = OnComponent(component=component)
        calls: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]]
        calls = [(callback, (made,), {}) for callback, _ in callbacks.get(elem_id or "", [])]
        for script in self.scripts:
            if getattr(type(script), method) is not getattr(Script, method):
                calls.append((getattr(script, method), (component,), kwargs))
        for call, args, keywords in calls:
            try:
                call(*args, **keywords)
            except Exception:
                errors.report(f"Error running {method}: {call}", exc_info=True)
