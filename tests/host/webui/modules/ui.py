"""Imitates modules/ui.py: the page. Built at the start and again at each Reload UI."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from fastapi import FastAPI

import modules.infotext_utils as parameters_copypaste
from modules import (
    gradio_extensons,  # noqa: F401  # changes gradio's classes before any is used
    img2img,
    script_callbacks,
    scripts,
    shared,
    shared_items,
    timer,
    txt2img,
    ui_extra_networks,
    ui_loadsave,
    ui_settings,
    ui_toprow,
)
from modules.call_queue import wrap_gradio_gpu_call
from modules.infotext_utils import PasteField
from modules.ui_common import create_output_panel
from modules.ui_components import FormGroup, FormRow, ResizeHandleRow
from modules.ui_gradio_extensions import reload_javascript
from tests.host import gradios
from tests.host.script_runner import ScriptRunner

create_setting_component = ui_settings.create_setting_component

# The WebUI does the same without --share: gradio would look for a newer version and for the public address
gr.utils.version_check = lambda: None
gr.utils.get_local_ip_address = lambda: "127.0.0.1"


@dataclass
class GenerationTab:
    """txt2img or img2img while it is built."""

    name: str
    runner: ScriptRunner
    parts: dict[str, Any] = field(default_factory=dict)
    """The components whose values the generation takes, by what they are."""
    custom_inputs: list[Any] = field(default_factory=list)

    @property
    def is_img2img(self) -> bool:
        return self.name == "img2img"

    def slider(self, part: str, label: str, elem: str, span: tuple[float, float, float], value: float) -> None:
        """`span` is minimum, maximum, step."""
        minimum, maximum, step = span
        self.parts[part] = gr.Slider(
            minimum=minimum, maximum=maximum, step=step, label=label, value=value, elem_id=f"{self.name}_{elem}"
        )

    def create_category(self, category: str) -> None:
        """One part of the left column, and the scripts that have put themselves there."""
        if category == "image" and self.is_img2img:
            with gr.Tabs(elem_id="mode_img2img"), gr.TabItem("img2img", id="img2img", elem_id="img2img_img2img_tab"):
                self.parts["init_img"] = gr.Image(
                    label="Image for img2img", elem_id="img2img_image", show_label=False, type="pil", image_mode="RGBA"
                )
        elif category == "dimensions":
            with FormRow(), gr.Column(elem_id=f"{self.name}_column_size"):
                self.slider("width", "Width", "width", (64, 2048, 8), 512)
                self.slider("height", "Height", "height", (64, 2048, 8), 512)
        elif category == "cfg":
            self.slider("cfg_scale", "CFG Scale", "cfg_scale", (1.0, 30.0, 0.5), 7.0)
        elif category == "denoising" and self.is_img2img:
            self.slider("denoising_strength", "Denoising strength", "denoising_strength", (0.0, 1.0, 0.01), 0.75)
        elif category == "batch":
            with FormRow(elem_id=f"{self.name}_column_batch"):
                self.slider("n_iter", "Batch count", "batch_count", (1, 100, 1), 1)
                self.slider("batch_size", "Batch size", "batch_size", (1, 8, 1), 1)
        elif category == "accordions":
            with gr.Row(elem_id=f"{self.name}_accordions", elem_classes="accordions"):
                self.runner.setup_ui_for_section(category)
            return
        elif category == "override_settings":
            with FormRow(elem_id=f"{self.name}_override_settings_row"):
                self.parts["override_settings"] = create_override_settings_dropdown(self.name)
        elif category == "scripts":
            with FormGroup(elem_id=f"{self.name}_script_container"):
                self.custom_inputs = self.runner.setup_ui()
        self.runner.setup_ui_for_section(category)

    def paste_fields(self) -> list[PasteField]:
        labels = {
            "width": "Size-1",
            "height": "Size-2",
            "cfg_scale": "CFG scale",
            "prompt": "Prompt",
            "negative_prompt": "Negative prompt",
            "denoising_strength": "Denoising strength",
        }
        return [PasteField(self.parts[part], label, api=part) for part, label in labels.items() if part in self.parts]


_ORDER = {
    "txt2img": [
        "prompt",
        "negative_prompt",
        "n_iter",
        "batch_size",
        "cfg_scale",
        "height",
        "width",
        "override_settings",
    ],
    "img2img": [
        "prompt",
        "negative_prompt",
        "init_img",
        "n_iter",
        "batch_size",
        "cfg_scale",
        "denoising_strength",
        "height",
        "width",
        "override_settings",
    ],
}
"""The inputs of modules.txt2img.txt2img and modules.img2img.img2img after the task's id."""

_FONTS = {
    "font": ["Source Sans Pro", "ui-sans-serif", "system-ui", "sans-serif"],
    "font_mono": ["IBM Plex Mono", "ui-monospace", "Consolas", "monospace"],
}
"""By name only, as in the WebUI: gradio's own theme would fetch them from elsewhere."""


def ordered_ui_categories() -> Iterator[str]:
    """As `ui_reorder_list` wants them."""
    wanted = {name.strip(): place * 2 + 1 for place, name in enumerate(shared.opts.ui_reorder_list)}
    known = list(shared_items.ui_reorder_categories())
    yield from sorted(known, key=lambda name: wanted.get(name, known.index(name) * 2))


def create_override_settings_dropdown(tabname: str) -> gr.Dropdown:
    dropdown = gr.Dropdown(
        [], label="Override settings", visible=False, elem_id=f"{tabname}_override_settings", multiselect=True
    )
    dropdown.change(fn=lambda given: gr.update(visible=bool(given)), inputs=[dropdown], outputs=[dropdown])
    return dropdown


def _create_generation(tab: GenerationTab, function: Any, outdir: str, dummy_component: Any) -> gr.Blocks:
    """The interface of one generation tab."""
    scripts.scripts_current = tab.runner
    tab.runner.initialize_scripts(is_img2img=tab.is_img2img)
    with gr.Blocks(analytics_enabled=False) as interface:
        if tab.name == "txt2img":
            dummy_component.render()
        toprow = ui_toprow.Toprow(is_img2img=tab.is_img2img)
        tab.parts |= {"prompt": toprow.prompt, "negative_prompt": toprow.negative_prompt}
        with (
            gr.Tabs(elem_id=f"{tab.name}_extra_tabs", elem_classes=["extra-networks"]),
            gr.Tab("Generation", id=f"{tab.name}_generation"),
            ResizeHandleRow(equal_height=False),
        ):
            with gr.Column(variant="compact", elem_id=f"{tab.name}_settings"):
                tab.runner.prepare_ui()
                for category in ordered_ui_categories():
                    tab.create_category(category)
            panel = create_output_panel(tab.name, outdir, toprow)
        ui_extra_networks.create_ui(tab.name)
        call = {
            "fn": wrap_gradio_gpu_call(function, extra_outputs=[None, "", ""]),
            **gradios.js("submit" if tab.name == "txt2img" else "submit_img2img"),
            "inputs": [dummy_component, *(tab.parts[part] for part in _ORDER[tab.name]), *tab.custom_inputs],
            "outputs": [panel.gallery, panel.generation_info, panel.infotext, panel.html_log],
            "show_progress": "hidden",
        }
        toprow.prompt.submit(**call)
        toprow.submit.click(**call)
        overrides = tab.parts["override_settings"]
        fields = [*tab.paste_fields(), *tab.runner.infotext_fields]
        parameters_copypaste.add_paste_fields(tab.name, tab.parts.get("init_img"), fields, overrides)
        fields = parameters_copypaste.paste_fields[tab.name]["fields"]
        parameters_copypaste.connect_paste(toprow.paste, fields, toprow.prompt, overrides, tab.name)
    return interface


def create_ui() -> gr.Blocks:
    """The whole page. The settings of extensions are registered first, their tabs come last but one."""
    reload_javascript()
    parameters_copypaste.reset()
    settings = ui_settings.UiSettings()
    settings.register_settings()
    opts = shared.opts
    assert scripts.scripts_txt2img is not None
    assert scripts.scripts_img2img is not None
    dummy_component = (gr.Textbox if gradios.IS_4 else gr.Label)(visible=False, render=False)
    text_tab = GenerationTab("txt2img", scripts.scripts_txt2img)
    image_tab = GenerationTab("img2img", scripts.scripts_img2img)
    interfaces = [
        (
            _create_generation(text_tab, txt2img.txt2img, opts.outdir_txt2img_samples, dummy_component),
            "txt2img",
            "txt2img",
        ),
        (
            _create_generation(image_tab, img2img.img2img, opts.outdir_img2img_samples, dummy_component),
            "img2img",
            "img2img",
        ),
    ]
    scripts.scripts_current = None
    loadsave = ui_loadsave.UiLoadsave(shared.cmd_opts.ui_config_file)
    from_file = loadsave.ui_settings.copy()
    settings.create_ui(loadsave, dummy_component)
    interfaces += script_callbacks.ui_tabs_callback()
    interfaces.append((settings.interface, "Settings", "settings"))
    shared.tab_names = [label for _, label, _ in interfaces]
    with gr.Blocks(theme=gr.themes.Default(**_FONTS), analytics_enabled=False, title="Stable Diffusion") as demo:
        settings.add_quicksettings()
        with gr.Tabs(elem_id="tabs"):
            order = {label: place for place, label in enumerate(opts.ui_tab_order)}
            for interface, label, identifier in sorted(interfaces, key=lambda item: order.get(item[1], 9999)):
                if label in opts.hidden_tabs:
                    continue
                with gr.TabItem(label, id=identifier, elem_id=f"tab_{identifier}"):
                    interface.render()
                if identifier not in ("extensions", "settings"):
                    loadsave.add_block(interface, identifier)
            loadsave.finalized_ui = True
        gr.HTML(f"<div class='versions'>stand-in WebUI &middot; gradio {gr.__version__}</div>", elem_id="footer")
        settings.add_functionality(demo)
    if from_file != loadsave.ui_settings:
        loadsave.dump_defaults()
    return demo


def setup_ui_api(app: FastAPI) -> None:
    def ping() -> dict[str, str]:
        return {}

    def profile_startup() -> dict[str, Any] | None:
        return timer.startup_record

    app.add_api_route("/internal/ping", ping, methods=["GET"])
    app.add_api_route("/internal/profile-startup", profile_startup, methods=["GET"])
