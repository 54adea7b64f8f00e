"""Imitates modules_forge/main_entry.py: the row above the tabs, and the choice of checkpoint and modules behind it.

What is wrong there and here: names that are not in the list are dropped without a word; of two files of one name the
later folder's is known alone; and a choice is what will be loaded for the next picture, whatever it is.
"""

from __future__ import annotations

import os
from collections.abc import KeysView
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from backend import memory_management
from backend.args import dynamic_args
from gradio.context import Context
from modules import paths, processing, sd_models, shared, shared_items, ui_common

total_vram = int(memory_management.total_vram)

ui_forge_preset: gr.Radio | None = None
ui_checkpoint: gr.Dropdown | None = None
ui_vae: gr.Dropdown | None = None
"""It has no element id; label "VAE / Text Encoder"."""

ui_forge_unet_storage_dtype_options: gr.Dropdown | None = None

forge_unet_storage_dtype_options: dict[str, tuple[Any, bool]] = {
    "Automatic": (None, False),
    "Automatic (fp16 LoRA)": (None, True),
    "float8-e4m3fn": (torch.float8_e4m3fn, False),
    "float8-e5m2": (torch.float8_e5m2, False),
}

module_list: dict[str, str] = {}
"""Base name -> path, of VAEs and text encoders alike."""


def bind_to_opts(comp: Any, k: str, save: bool = False, callback: Any = None) -> None:
    def on_change(v: Any) -> None:
        shared.opts.set(k, v)
        if save:
            shared.opts.save(shared.config_filename)
        if callback is not None:
            callback()

    comp.change(on_change, inputs=[comp], queue=False, show_progress="hidden")


def make_checkpoint_manager_ui() -> None:
    """In the quick settings row; memory settings and clip skip, which stand there too, are left out."""
    global ui_checkpoint, ui_forge_preset, ui_forge_unet_storage_dtype_options, ui_vae  # as in Forge

    if shared.opts.sd_model_checkpoint in (None, "None", "none", ""):
        if not sd_models.checkpoints_list:
            sd_models.list_models()
        if sd_models.checkpoints_list:
            shared.opts.set("sd_model_checkpoint", next(iter(sd_models.checkpoints_list.values())).name)
    ui_forge_preset = gr.Radio(
        label="UI",
        value=lambda: shared.opts.forge_preset,
        choices=["sd", "xl", "flux", "all"],
        elem_id="forge_ui_preset",
    )
    ckpt_list, vae_list = refresh_models()
    ui_checkpoint = gr.Dropdown(
        value=lambda: shared.opts.sd_model_checkpoint,
        label="Checkpoint",
        elem_classes=["model_selection"],
        choices=ckpt_list,
    )
    ui_vae = gr.Dropdown(
        value=lambda: [os.path.basename(x) for x in shared.opts.forge_additional_modules],  # noqa: PTH119
        multiselect=True,
        label="VAE / Text Encoder",
        render=False,
        choices=list(vae_list),
    )

    def gr_refresh_models() -> tuple[Any, Any]:
        a, b = refresh_models()
        return gr.update(choices=a), gr.update(choices=list(b))

    refresh_button = ui_common.ToolButton(
        value=ui_common.refresh_symbol, elem_id="forge_refresh_checkpoint", tooltip="Refresh"
    )
    outputs = [ui_checkpoint, ui_vae]
    refresh_button.click(fn=gr_refresh_models, inputs=[], outputs=outputs, show_progress="hidden", queue=False)
    Context.root_block.load(fn=gr_refresh_models, inputs=[], outputs=outputs, show_progress="hidden", queue=False)
    ui_vae.render()
    ui_forge_unet_storage_dtype_options = gr.Dropdown(
        label="Diffusion in Low Bits",
        value=lambda: shared.opts.forge_unet_storage_dtype,
        choices=list(forge_unet_storage_dtype_options),
    )
    bind_to_opts(
        ui_forge_unet_storage_dtype_options,
        "forge_unet_storage_dtype",
        save=True,
        callback=refresh_model_loading_parameters,
    )
    ui_checkpoint.change(checkpoint_change, inputs=[ui_checkpoint], show_progress="hidden")
    ui_vae.change(modules_change, inputs=[ui_vae], queue=False, show_progress="hidden")


def find_files_with_extensions(base_path: str, extensions: list[str]) -> dict[str, str]:
    """Without a dot before the ending, as in Forge."""
    return {
        file: os.path.join(root, file)  # noqa: PTH118
        for root, _, files in os.walk(base_path)
        for file in files
        if any(file.endswith(ending) for ending in extensions)
    }


def refresh_models() -> tuple[list[str], KeysView[str]]:
    """The names of checkpoints and of modules."""
    shared_items.refresh_checkpoints()
    ckpt_list = shared_items.list_checkpoint_tiles(shared.opts.sd_checkpoint_dropdown_use_short)
    module_list.clear()
    folders = [Path(paths.models_path, "VAE").absolute(), Path(paths.models_path, "text_encoder").absolute()]
    for flag in (shared.cmd_opts.vae_dir, shared.cmd_opts.text_encoder_dir):
        if isinstance(flag, str):
            folders.append(Path(flag).absolute())
    for folder in folders:
        module_list.update(find_files_with_extensions(str(folder), ["ckpt", "pt", "bin", "safetensors", "gguf"]))
    return ckpt_list, module_list.keys()


def refresh_memory_management_settings(
    async_loading: str | None = None,
    inference_memory: int | None = None,
    pin_shared_memory: str | None = None,
    model_memory: int | None = None,
) -> None:
    opts = shared.opts
    if model_memory is not None:
        inference_memory = total_vram - model_memory
    opts.set("forge_async_loading", opts.forge_async_loading if async_loading is None else async_loading)
    opts.set("forge_inference_memory", opts.forge_inference_memory if inference_memory is None else inference_memory)
    opts.set(
        "forge_pin_shared_memory", opts.forge_pin_shared_memory if pin_shared_memory is None else pin_shared_memory
    )
    processing.need_global_unload = True


def refresh_model_loading_parameters() -> None:
    """What the next picture will have loaded; nothing is loaded here."""
    checkpoint_info = sd_models.select_checkpoint()
    storage, lora_fp16 = forge_unet_storage_dtype_options.get(shared.opts.forge_unet_storage_dtype, (None, False))
    dynamic_args["online_lora"] = lora_fp16
    sd_models.model_data.forge_loading_parameters = {
        "checkpoint_info": checkpoint_info,
        "additional_modules": shared.opts.forge_additional_modules,
        "unet_storage_dtype": storage,
    }
    print(f"Model selected: {sd_models.model_data.forge_loading_parameters}")
    processing.need_global_unload = True


def checkpoint_change(ckpt_name: str, save: bool = True, refresh: bool = True) -> bool:
    """True if it changed. The name can be any of the checkpoint's."""
    new = sd_models.get_closet_checkpoint_match(ckpt_name)
    if new == sd_models.get_closet_checkpoint_match(shared.opts.data.get("sd_model_checkpoint", "")):
        return False
    shared.opts.set("sd_model_checkpoint", ckpt_name)
    if save:
        shared.opts.save(shared.config_filename)
    if refresh:
        refresh_model_loading_parameters()
    return True


def modules_change(module_values: list[str], save: bool = True, refresh: bool = True) -> bool:
    """True if they changed. Values are paths or names; of a string each letter is one."""
    modules = []
    for value in module_values:
        name = os.path.basename(value)  # noqa: PTH119
        if name in module_list:
            modules.append(module_list[name])
    if sorted(modules) == sorted(shared.opts.data.get("forge_additional_modules", [])):
        return False
    shared.opts.set("forge_additional_modules", modules)
    if save:
        shared.opts.save(shared.config_filename)
    if refresh:
        refresh_model_loading_parameters()
    return True


def forge_main_entry() -> None:
    """At the end of the page."""
    ui_forge_preset.change(
        on_preset_change, inputs=[ui_forge_preset], outputs=[ui_vae], queue=False, show_progress="hidden"
    )
    Context.root_block.load(on_preset_change, inputs=None, outputs=[ui_vae], queue=False, show_progress="hidden")
    refresh_model_loading_parameters()


def on_preset_change(preset: str | None = None) -> Any:
    """The modules stay as they are, whatever the preset; sizes and the like are not imitated."""
    if preset is not None:
        shared.opts.set("forge_preset", preset)
        shared.opts.save(shared.config_filename)
    return gr.update(visible=True)
