"""Imitates modules/shared_options.py: the WebUI's own options, those that the page, generation or extensions need."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from modules import localization, shared, shared_items, ui_components
from modules.options import OptionHTML, OptionInfo, categories, options_section
from modules.paths_internal import data_path, default_output_dir
from modules.shared_cmd_options import cmd_opts

restricted_opts = {"outdir_samples", "outdir_txt2img_samples", "outdir_img2img_samples", "outdir_save", "temp_dir"}

for _category, _label in (
    ("saving", "Saving images"),
    ("sd", "Stable Diffusion"),
    ("ui", "User Interface"),
    ("system", "System"),
):
    categories.register_category(_category, _label)


def _checkpoints() -> dict[str, list[str]]:
    return {"choices": shared_items.list_checkpoint_tiles()}


def _vaes() -> dict[str, list[str]]:
    return {"choices": shared_items.sd_vae_items()}


def _localizations() -> dict[str, list[str]]:
    return {"choices": ["None", *localization.localizations]}


def _option_names() -> dict[str, list[str]]:
    assert shared.opts is not None
    return {"choices": list(shared.opts.data_labels)}


def _tabs() -> dict[str, list[str]]:
    return {"choices": list(shared.tab_names)}


def _upscalers() -> dict[str, list[str]]:
    return {"choices": [one.name for one in shared.sd_upscalers]}


def _slider(maximum: int) -> dict[str, int]:
    return {"minimum": 0, "maximum": maximum, "step": 1}


_ways = {"choices": ["Full", "TAESD"]}

options_templates: dict[str, OptionInfo] = {
    **options_section(
        ("saving-images", "Saving images/grids", "saving"),
        {
            "samples_save": OptionInfo(True, "Always save all generated images"),
            "samples_format": OptionInfo("png", "File format for images"),
            "save_images_before_highres_fix": OptionInfo(False, "Save a copy of image before applying highres fix."),
            "save_incomplete_images": OptionInfo(False, "Save incomplete images"),
        },
    ),
    **options_section(
        ("saving-paths", "Paths for saving", "saving"),
        {
            "outdir_samples": OptionInfo("", "Output directory for images", component_args=shared.hide_dirs),
            "outdir_txt2img_samples": OptionInfo(
                str(Path(default_output_dir, "txt2img-images")),
                "Output directory for txt2img images",
                component_args=shared.hide_dirs,
            ),
            "outdir_img2img_samples": OptionInfo(
                str(Path(default_output_dir, "img2img-images")),
                "Output directory for img2img images",
                component_args=shared.hide_dirs,
            ),
            "outdir_save": OptionInfo(
                str(Path(data_path, "log", "images")),
                "Directory for saving images using the Save button",
                component_args=shared.hide_dirs,
            ),
        },
    ),
    **options_section(
        ("sd", "Stable Diffusion", "sd"),
        {
            "sd_model_checkpoint": OptionInfo(
                None,
                "Stable Diffusion checkpoint",
                gr.Dropdown,
                _checkpoints,
                refresh=shared_items.refresh_checkpoints,
                infotext="Model hash",
            ),
            "sd_checkpoints_limit": OptionInfo(
                1,
                "Maximum number of checkpoints loaded at the same time",
                gr.Slider,
                {"minimum": 1, "maximum": 10, "step": 1},
            ),
            "sd_checkpoints_keep_in_cpu": OptionInfo(True, "Only keep one model on device"),
            "hires_fix_refiner_pass": OptionInfo(
                "second pass",
                "Hires fix: which pass to enable refiner for",
                gr.Radio,
                {"choices": ["first pass", "second pass", "both passes"]},
                infotext="Hires refiner",
            ),
            "refiner_switch_by_sample_steps": OptionInfo(
                False,
                "Switch to refiner by sampling steps instead of model timesteps.",
                infotext="Refiner switch by sampling steps",
            ),
            "upscaler_for_img2img": OptionInfo(None, "Upscaler for img2img", gr.Dropdown, _upscalers),
            "overlay_inpaint": OptionInfo(True, "Overlay original for inpaint"),
            "img2img_fix_steps": OptionInfo(False, "With img2img, do exactly the steps of the slider"),
            "tiling": OptionInfo(False, "Tiling", infotext="Tiling").info("produce a tileable picture"),
        },
    ),
    **options_section(
        ("vae", "VAE", "sd"),
        {
            "sd_vae_explanation": OptionHTML("A VAE turns latents into pictures, and pictures into latents."),
            "sd_vae_checkpoint_cache": OptionInfo(0, "VAE Checkpoints to cache in RAM", gr.Slider, _slider(10)),
            "sd_vae": OptionInfo(
                "Automatic", "SD VAE", gr.Dropdown, _vaes, refresh=shared_items.refresh_vae_list, infotext="VAE"
            ).info("Automatic, None for the checkpoint's own, or a file"),
            "sd_vae_overrides_per_model_preferences": OptionInfo(True, "Selected VAE overrides per-model preferences"),
            "auto_vae_precision_bfloat16": OptionInfo(False, "Automatically convert VAE to bfloat16"),
            "auto_vae_precision": OptionInfo(True, "Automatically revert VAE to 32-bit floats"),
            "sd_vae_encode_method": OptionInfo("Full", "VAE type for encode", gr.Radio, _ways, infotext="VAE Encoder"),
            "sd_vae_decode_method": OptionInfo("Full", "VAE type for decode", gr.Radio, _ways, infotext="VAE Decoder"),
        },
    ),
    **options_section(
        ("ui_gallery", "Gallery", "ui"),
        {
            "do_not_show_images": OptionInfo(False, "Do not show any images in gallery"),
            "gallery_height": OptionInfo("", "Gallery height", gr.Textbox),
        },
    ),
    **options_section(
        ("ui", "User interface", "ui"),
        {
            "localization": OptionInfo(
                "None",
                "Localization",
                gr.Dropdown,
                _localizations,
                refresh=lambda: localization.list_localizations(cmd_opts.localizations_dir),
            ).needs_reload_ui(),
            "quicksettings_list": OptionInfo(
                ["sd_model_checkpoint"], "Quicksettings list", ui_components.DropdownMulti, _option_names
            ).needs_reload_ui(),
            "ui_tab_order": OptionInfo([], "UI tab order", ui_components.DropdownMulti, _tabs).needs_reload_ui(),
            "hidden_tabs": OptionInfo([], "Hidden UI tabs", ui_components.DropdownMulti, _tabs).needs_reload_ui(),
            "ui_reorder_list": OptionInfo(
                [],
                "UI item order for txt2img/img2img tabs",
                ui_components.DropdownMulti,
                lambda: {"choices": list(shared_items.ui_reorder_categories())},
            ).needs_reload_ui(),
            "enable_reloading_ui_scripts": OptionInfo(False, "Reload UI scripts when using Reload UI option"),
        },
    ),
    **options_section(
        ("infotext", "Infotext", "ui"),
        {
            "enable_pnginfo": OptionInfo(True, "Write infotext to metadata of the generated image"),
            "add_model_name_to_info": OptionInfo(True, "Add model name to infotext"),
            "add_model_hash_to_info": OptionInfo(True, "Add model hash to infotext"),
            "add_vae_name_to_info": OptionInfo(True, "Add VAE name to infotext"),
            "add_vae_hash_to_info": OptionInfo(True, "Add VAE hash to infotext"),
            "add_version_to_infotext": OptionInfo(True, "Add program version to infotext"),
            "disable_weights_auto_swap": OptionInfo(True, "Disregard checkpoint information from pasted infotext"),
            "infotext_skip_pasting": OptionInfo(
                [], "Disregard fields from pasted infotext", ui_components.DropdownMulti, {"choices": []}
            ),
        },
    ),
    **options_section(
        ("ui", "Live previews", "ui"),
        {
            "live_previews_enable": OptionInfo(True, "Show live previews of the created image"),
            "live_previews_image_format": OptionInfo("png", "Live preview file format", gr.Radio, {"choices": ["png"]}),
            "show_progress_grid": OptionInfo(True, "Show previews of all images generated in a batch as a grid"),
            "show_progress_every_n_steps": OptionInfo(
                10, "Live preview display period", gr.Slider, {"minimum": -1, "maximum": 32, "step": 1}
            ),
            "show_progress_type": OptionInfo(
                "Approx NN",
                "Live preview method",
                gr.Radio,
                {"choices": ["Full", "Approx NN", "Approx cheap", "TAESD"]},
            ),
            "live_preview_allow_lowvram_full": OptionInfo(False, "Allow Full live preview method with lowvram/medvram"),
            "live_preview_fast_interrupt": OptionInfo(
                False, "Return image with chosen live preview method on interrupt"
            ),
        },
    ),
    **options_section(
        ("system", "System", "system"),
        {
            "disable_mmap_load_safetensors": OptionInfo(False, "Disable memmapping for loading .safetensors files."),
            "temp_dir": OptionInfo("", "Directory for temporary images; leave empty for default"),
            "auto_launch_browser": OptionInfo(
                "Disable",
                "Automatically open webui in browser on startup",
                gr.Radio,
                {"choices": ["Disable", "Local", "Remote"]},
            ),
        },
    ),
    **options_section(
        (None, "Hidden options"),
        {
            "disabled_extensions": OptionInfo([], "Disable these extensions"),
            "disable_all_extensions": OptionInfo("none", "Disable all extensions"),
            "sd_checkpoint_hash": OptionInfo("", "SHA256 hash of the current checkpoint"),
        },
    ),
}
