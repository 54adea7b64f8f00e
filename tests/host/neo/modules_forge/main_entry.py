"""Imitates Neo's modules_forge/main_entry.py: a list of modules for each preset, beside the one that is in force.

What is wrong there and here: the list is sorted by path, so that of two VAEs the last one by path wins; a choice
through the API changes the common list alone, and a page shows the preset's at its next load; and a switch of the
preset with the same checkpoint writes the list down without loading it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from backend.args import dynamic_args
from gradio.context import Context
from modules import paths, processing, sd_models, shared, shared_items, ui_common
from modules_forge.presets import PRESETS

ui_forge_preset: gr.Dropdown
ui_checkpoint: gr.Dropdown
ui_vae: gr.Dropdown
ui_forge_unet_dtype: gr.Dropdown
"""None of the four has a value before the row is built."""

forge_unet_storage_dtype_options: dict[str, tuple[Any, bool]] = {
    "Automatic": (None, False),
    "Automatic (fp16 LoRA)": (None, True),
    "float8-e4m3fn": (torch.float8_e4m3fn, False),
}

module_list: dict[str, str] = {}
ENDINGS = ("ckpt", "pt", "pth", "bin", "safetensors", "sft", "gguf")


def make_checkpoint_manager_ui() -> None:
    global ui_checkpoint, ui_forge_preset, ui_forge_unet_dtype, ui_vae  # as in Neo

    if shared.opts.sd_model_checkpoint in (None, "None", "none", ""):
        if not sd_models.checkpoints_list:
            sd_models.list_models()
        if sd_models.checkpoints_list:
            shared.opts.set("sd_model_checkpoint", next(iter(sd_models.checkpoints_list.values())).name)
    ui_forge_preset = gr.Dropdown(
        label="UI Preset", value=lambda: shared.opts.forge_preset, choices=list(PRESETS), elem_id="forge_ui_preset"
    )
    ui_checkpoint = gr.Dropdown(label="Checkpoint", value=None, choices=[], elem_id="setting_sd_model_checkpoint")
    ui_vae = gr.Dropdown(
        label="VAE / Text Encoder", value=None, choices=[], multiselect=True, elem_id="setting_sd_modules"
    )

    def refresh_model_list() -> list[Any]:
        checkpoints, modules = refresh_models()
        return [gr.update(choices=checkpoints), gr.update(choices=modules)]

    refresh_button = ui_common.ToolButton(
        value=ui_common.refresh_symbol, elem_id="forge_refresh_checkpoint", tooltip="Refresh"
    )
    refresh_button.click(fn=refresh_model_list, inputs=[], outputs=[ui_checkpoint, ui_vae], queue=False)
    Context.root_block.load(fn=refresh_model_list, inputs=[], outputs=[ui_checkpoint, ui_vae], queue=False)
    ui_forge_unet_dtype = gr.Dropdown(
        label="Diffusion in Low Bits",
        value=lambda: shared.opts.forge_unet_storage_dtype,
        choices=list(forge_unet_storage_dtype_options),
        elem_id="forge_ui_dtype",
    )
    row = {"queue": False, "show_progress": "hidden"}
    ui_checkpoint.input(checkpoint_change, inputs=[ui_checkpoint, ui_forge_preset], **row)
    ui_vae.input(modules_change, inputs=[ui_vae, ui_forge_preset], **row)
    ui_forge_unet_dtype.input(dtype_change, inputs=[ui_forge_unet_dtype, ui_forge_preset], **row)


def find_files_with_extensions(base_path: str, extensions: Iterable[str]) -> dict[str, str]:
    return {
        file: os.path.join(root, file)  # noqa: PTH118
        for root, _, files in os.walk(base_path)
        for file in files
        if any(file.endswith(ending) for ending in extensions)
    }


def refresh_models() -> tuple[list[str], list[str]]:
    """The names of checkpoints and of modules, sorted. Meanwhile the list is empty."""
    shared_items.refresh_checkpoints()
    checkpoints = shared_items.list_checkpoint_tiles(shared.opts.sd_checkpoint_dropdown_use_short)
    module_list.clear()
    folders = {
        str(Path(paths.models_path, "VAE").absolute()),
        str(Path(paths.models_path, "text_encoder").absolute()),
        *shared.cmd_opts.vae_dirs,
        *shared.cmd_opts.text_encoder_dirs,
    }
    for folder in folders:
        module_list.update(find_files_with_extensions(folder, ENDINGS))
    return sorted(checkpoints), sorted(module_list)


def refresh_model_loading_parameters(*, refresh: bool = True) -> None:
    """Set the files that the next picture loads; nothing is loaded here."""
    if not refresh:
        return
    checkpoint_info = sd_models.select_checkpoint()
    if checkpoint_info is None:
        return
    storage, lora_fp16 = forge_unet_storage_dtype_options.get(shared.opts.forge_unet_storage_dtype, (None, False))
    sd_models.model_data.forge_loading_parameters = {
        "checkpoint_info": checkpoint_info,
        "additional_modules": shared.opts.forge_additional_modules,
        "unet_storage_dtype": storage,
    }
    dynamic_args["online_lora"] = lora_fp16
    print(f"Model selected: {sd_models.model_data.forge_loading_parameters}")
    processing.need_global_unload = True


def checkpoint_change(ckpt_name: str, preset: str | None, save: bool = True, refresh: bool = True) -> bool:
    """True if it changed. The name can be any of the checkpoint's."""
    new = sd_models.get_closet_checkpoint_match(ckpt_name)
    if new == sd_models.get_closet_checkpoint_match(shared.opts.data.get("sd_model_checkpoint", "")):
        return False
    _keep("sd_model_checkpoint", "forge_checkpoint", ckpt_name, preset)
    _done(save, refresh)
    return True


def modules_change(module_values: list[str], preset: str | None, save: bool = True, refresh: bool = True) -> bool:
    """True if they changed. Values are paths or names; of a string each letter is one."""
    names = [os.path.basename(value) for value in module_values]  # noqa: PTH119
    modules = sorted(module_list[name] for name in names if name in module_list)
    if modules == shared.opts.data.get("forge_additional_modules", []):
        return False
    _keep("forge_additional_modules", "forge_additional_modules", modules, preset)
    _done(save, refresh)
    return True


def dtype_change(dtype: str, preset: str | None, save: bool = True, refresh: bool = True) -> bool:
    _keep("forge_unet_storage_dtype", "forge_unet_storage_dtype", dtype, preset)
    _done(save, refresh)
    return True


def _keep(option: str, of_preset: str, value: Any, preset: str | None) -> None:
    shared.opts.set(option, value)
    if preset is not None:
        shared.opts.set(f"{of_preset}_{preset}", value)


def _done(save: bool, refresh: bool) -> None:
    if save:
        shared.opts.save(shared.config_filename)
    refresh_model_loading_parameters(refresh=refresh)


def forge_main_entry() -> None:
    """At the end of the page."""
    shown = [ui_checkpoint, ui_vae, ui_forge_unet_dtype]
    quiet = {"queue": False, "show_progress": "hidden"}
    ui_forge_preset.change(on_preset_change, inputs=[ui_forge_preset], outputs=shown, **quiet).then(
        _load_presets, inputs=[*shown, ui_forge_preset], outputs=[], **quiet
    )
    Context.root_block.load(on_preset_change, inputs=[ui_forge_preset], outputs=shown, **quiet)
    refresh_model_loading_parameters()


def _load_presets(checkpoint: str, modules: list[str], dtype: str, preset: str) -> None:
    dtype_change(dtype, preset, save=False, refresh=False)
    modules_change(modules, preset, save=False, refresh=False)
    checkpoint_change(checkpoint, preset, save=True, refresh=True)


def on_preset_change(preset: str) -> list[Any]:
    """The row of this preset, also at each load of a page."""
    assert preset is not None
    shared.opts.set("forge_preset", preset)
    shared.opts.save(shared.config_filename)
    return [
        gr.update(value=shared.opts.data.get(f"forge_checkpoint_{preset}", shared.opts.sd_model_checkpoint)),
        gr.update(value=shown_modules(shared.opts.data.get(f"forge_additional_modules_{preset}", []))),
        gr.update(value=shared.opts.data.get(f"forge_unet_storage_dtype_{preset}", "Automatic")),
    ]


def shown_modules(modules: list[str]) -> list[str]:
    """Return the names that the row shows for a list of paths."""
    return [os.path.basename(path) for path in modules]  # noqa: PTH119
