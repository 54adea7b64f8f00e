"""What the imitated surface looks like from outside: names of `modules.*`, and how each is called.

`describe` runs in any process that has a `modules` package: in the stand-in, and in a real WebUI through a small
extension. `signatures-v1.10.1.json` is what the real one answers, and so are the others; test_signatures.py compares.

`python -m tests.host.signatures` prints the stand-in's own.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable
from typing import Any

MISSING = "missing"
VALUE = "value"


def describe(names: Iterable[str]) -> dict[str, str]:
    """Each dotted name's signature without annotations; `value` where nothing is called, `missing` where nothing is.

    Nothing is called or computed to find out: reading `shared.sd_model` would load a checkpoint.
    """
    return {name: _describe(name) for name in names}


def _describe(name: str) -> str:
    found = _find(name)
    if found is MISSING:
        return MISSING
    if isinstance(found, (staticmethod, classmethod)):
        found = found.__func__
    if isinstance(found, property) or not callable(found):
        return VALUE
    try:
        parameters = list(inspect.signature(found).parameters.values())
    except (TypeError, ValueError):
        return VALUE
    return f"({', '.join(_parameters(parameters))})"


def _find(name: str) -> Any:
    """The object that the name stands for, looked up without running properties."""
    parts = name.split(".")
    found: Any = None
    place = len(parts)
    while found is None and place > 0:
        try:
            found = importlib.import_module(".".join(parts[:place]))
        except ModuleNotFoundError:
            place -= 1
    for part in parts[place:]:
        found = inspect.getattr_static(found, part, MISSING)
    return MISSING if found is None and place == 0 else found


def _parameters(parameters: list[inspect.Parameter]) -> list[str]:
    """As they would be written, with defaults that are not plain values as three dots."""
    written = []
    starred = False
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            written.append("*")
        starred = starred or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        sign = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
        default = "" if parameter.default is parameter.empty else f"={_plain(parameter.default)}"
        written.append(f"{sign}{parameter.name}{default}")
    return written


def _plain(value: Any) -> str:
    return repr(value) if value is None or isinstance(value, (bool, int, float, str)) else "..."


SURFACE: dict[str, str] = {
    "modules.cache": "cache cached_data_for_file dump_cache",
    "modules.call_queue": "queue_lock wrap_gradio_call wrap_gradio_call_no_job wrap_gradio_gpu_call wrap_queued_call",
    "modules.devices": "autocast cpu device dtype dtype_inference dtype_vae force_fp16 get_optimal_device"
    " get_optimal_device_name NansException test_for_nans torch_gc without_autocast",
    "modules.errors": "display print_error_explanation record_exception report",
    "modules.extensions": "active extension_paths extensions find_extension list_extensions",
    "modules.extra_networks": "get_user_metadata",
    "modules.fifo_lock.FIFOLock": "__enter__ __exit__ acquire release",
    "modules.hashes": "cache calculate_sha256 sha256 sha256_from_cache",
    "modules.images": "image_grid read_info_from_image resize_image save_image save_image_with_geninfo",
    "modules.infotext_utils": "add_paste_fields connect_paste create_override_settings_dict get_override_settings"
    " parse_generation_parameters paste_fields PasteField quote unquote",
    "modules.launch_utils": "git_tag is_installed run_pip",
    "modules.localization": "list_localizations localization_js localizations",
    "modules.lowvram": "apply is_enabled is_needed module_in_gpu send_everything_to_cpu setup_for_low_vram",
    "modules.options": "categories OptionHTML OptionInfo options_section",
    "modules.options.OptionInfo": "html info js link needs_reload_ui needs_restart",
    "modules.options.Options": "add_option cast_value dumpjson get_default load onchange reorder same_type save set",
    "modules.options.OptionsCategories": "register_category",
    "modules.patches": "original originals patch undo",
    "modules.paths": "data_path extensions_builtin_dir extensions_dir models_path script_path",
    "modules.paths_internal": "data_path default_output_dir extensions_dir models_path script_path",
    "modules.processing": "approximation_indexes create_infotext decode_first_stage decode_latent_batch fix_seed"
    " get_fixed_seed images_tensor_to_samples process_images process_images_inner program_version",
    "modules.processing.StableDiffusionProcessing": "all_prompts all_seeds batch_size close color_corrections comment"
    " comments extra_generation_params get_conds height init is_api is_hr_pass iteration n_iter negative_prompt"
    " outpath_samples overlay_images override_settings override_settings_restore_afterwards prompt prompts"
    " refiner_checkpoint refiner_switch_at restore_faces sample sampler_name save_samples script_args scripts"
    " sd_model sd_model_hash sd_model_name sd_vae_hash sd_vae_name seed seeds setup_conds setup_prompts setup_scripts"
    " steps subseed tiling width",
    "modules.processing.StableDiffusionProcessingTxt2Img": "calculate_hr_conds calculate_target_resolution close"
    " denoising_strength enable_hr get_conds hr_checkpoint_info hr_checkpoint_name hr_resize_x hr_resize_y hr_scale"
    " hr_second_pass_steps hr_upscaler init latent_scale_mode sample sample_hr_pass setup_conds setup_prompts",
    "modules.processing.StableDiffusionProcessingImg2Img": "denoising_strength init init_images init_latent mask"
    " sample",
    "modules.progress": "add_task_to_queue current_task finish_task finished_tasks pending_tasks progressapi"
    " record_results setup_progress_api start_task",
    "modules.script_callbacks": "add_callback after_component_callback app_reload_callback app_started_callback"
    " before_component_callback before_image_saved_callback before_ui_callback callback_map clear_callbacks"
    " image_saved_callback ImageSaveParams infotext_pasted_callback model_loaded_callback on_after_component"
    " on_app_started on_before_component on_before_image_saved on_before_reload on_before_ui on_image_saved"
    " on_infotext_pasted on_model_loaded on_script_unloaded on_ui_settings on_ui_tabs ordered_callbacks"
    " remove_callbacks_for_function script_unloaded_callback ui_settings_callback ui_tabs_callback",
    "modules.script_loading": "load_module loaded_scripts",
    "modules.scripts": "AlwaysVisible basedir list_files_with_name list_scripts load_scripts OnComponent"
    " PostprocessBatchListArgs PostprocessImageArgs PostProcessMaskOverlayArgs PostSampleArgs scripts_current"
    " scripts_data scripts_img2img scripts_txt2img wrap_call",
    "modules.scripts.Script": "after_component alwayson args_from args_to before_component before_hr before_process"
    " before_process_batch controls create_group describe elem_id filename group infotext_fields is_img2img"
    " is_txt2img name on_after_component on_before_component paste_field_names post_sample postprocess"
    " postprocess_batch postprocess_batch_list postprocess_image postprocess_image_after_composite"
    " postprocess_maskoverlay process process_batch process_before_every_sampling run section setup"
    " setup_for_ui_only show tabname title ui",
    "modules.scripts.ScriptBuiltinUI": "elem_id show",
    "modules.scripts.ScriptRunner": "after_component before_component before_hr before_process before_process_batch"
    " initialize_scripts post_sample postprocess postprocess_batch postprocess_batch_list postprocess_image"
    " postprocess_image_after_composite postprocess_maskoverlay prepare_ui process process_batch"
    " process_before_every_sampling run script setup_scrips setup_ui setup_ui_for_section",
    "modules.sd_hijack": "model_hijack",
    "modules.sd_hijack.StableDiffusionModelHijack": "apply_circular circular_enabled clear_comments hijack layers"
    " redo_hijack undo_hijack",
    "modules.sd_models": "checkpoint_aliases checkpoint_tiles CheckpointInfo checkpoints_list"
    " get_checkpoint_state_dict get_closet_checkpoint_match get_state_dict_from_checkpoint list_models load_model"
    " load_model_weights model_data model_dir model_path model_target_device read_metadata_from_safetensors"
    " read_state_dict reload_model_weights reuse_model_from_already_loaded select_checkpoint send_model_to_cpu"
    " send_model_to_device send_model_to_trash setup_model SkipWritingToConfig unload_model_weights",
    "modules.sd_models.CheckpointInfo": "calculate_shorthash register",
    "modules.sd_models.SdModelData": "get_sd_model set_sd_model",
    "modules.sd_models.SkipWritingToConfig": "__enter__ __exit__ previous skip",
    "modules.sd_samplers": "sample_to_image samples_to_image_grid",
    "modules.sd_samplers_common": "apply_refiner approximation_indexes decode_first_stage images_tensor_to_samples"
    " sample_to_image samples_to_image_grid samples_to_images_tensor setup_img2img_steps single_sample_to_image"
    " store_latent",
    "modules.sd_vae": "_load_vae_dict base_vae checkpoint_info checkpoints_loaded clear_loaded_vae delete_base_vae"
    " find_vae_near_checkpoint get_base_vae get_filename get_loaded_vae_hash get_loaded_vae_name is_automatic"
    " load_vae load_vae_dict loaded_vae_file refresh_vae_list reload_vae_weights resolve_vae"
    " resolve_vae_from_setting resolve_vae_from_user_metadata resolve_vae_near_checkpoint restore_base_vae"
    " store_base_vae unspecified vae_dict vae_ignore_keys vae_path VaeResolution",
    "modules.sd_vae.VaeResolution": "tuple",
    "modules.shared": "cmd_opts config_filename data_path demo device latent_upscale_default_mode"
    " latent_upscale_modes list_checkpoint_tiles models_path natural_sort_key OptionHTML OptionInfo options_section"
    " opts parallel_processing_allowed refresh_checkpoints sd_model sd_upscalers settings_components state tab_names"
    " weight_load_location",
    "modules.shared.cmd_opts": "api api_auth ckpt_dir data_dir disable_extension_access disable_nan_check"
    " enable_insecure_extension_access freeze_settings freeze_settings_in_sections freeze_specific_settings"
    " gradio_auth hide_ui_dir_config listen lowvram medvram models_dir no_half no_half_vae no_hashing nowebui port"
    " share subpath vae_dir vae_path webui_is_non_local",
    "modules.shared_items": "list_checkpoint_tiles refresh_checkpoints refresh_vae_list sd_vae_items"
    " ui_reorder_categories",
    "modules.shared_state.State": "assign_current_image begin dict do_set_current_image end interrupt interrupted"
    " job job_count job_no need_restart nextjob request_restart sampling_step sampling_steps server_command"
    " set_current_image skip skipped stop_generating stopping_generation textinfo time_start wait_for_server_command",
    "modules.timer": "startup_record startup_timer Timer",
    "modules.timer.Timer": "dump record reset subcategory summary",
    "modules.ui": "create_setting_component create_ui setup_ui_api",
    "modules.ui_common": "create_output_panel create_refresh_button plaintext_to_html",
    "modules.ui_components": "DropdownEditable DropdownMulti FormColumn FormGroup FormHTML FormRow InputAccordion"
    " ResizeHandleRow ToolButton",
    "modules.ui_extra_networks": "extra_pages initialize register_default_pages register_page",
    "modules.ui_extra_networks.ExtraNetworksPage": "list_items read_user_metadata",
    "modules.ui_extra_networks_checkpoints_user_metadata.CheckpointUserMetadataEditor": "create_editor"
    " put_values_into_components save_user_metadata update_vae",
    "modules.ui_extra_networks_user_metadata.UserMetadataEditor": "create_default_buttons"
    " create_default_editor_elems create_ui get_user_metadata setup_save_handler write_user_metadata",
    "modules.util.MassFileLister": "exists reset update_file_entry",
    "modules.ui_gradio_extensions": "css_html javascript_html reload_javascript webpath",
    "modules.ui_loadsave": "UiLoadsave",
    "modules.ui_settings": "create_setting_component get_value_for_setting UiSettings",
}
"""Owner -> its attributes. A wish for another name goes here first, and then into the stand-in."""

OF_FORKS: dict[str, dict[str, str]] = {
    "reforge": {
        "modules.sd_models": "complete_model_teardown",
        "modules.sd_vae": "_load_vae_dict _normalize_vae_state_dict",
        "modules_forge.forge_util": "apply_circular_forge",
        "modules_forge.forge_version": "version",
        "modules_forge.main_thread": "async_run loop run_and_wait_result",
        "modules_forge.patch_basic": "patch_all_basics",
        "ldm_patched.modules.model_management": "load_model_gpu",
        "ldm_patched.modules.sd.VAE": "decode encode throw_exception_if_invalid",
    },
    "forge": {
        "modules.devices": "dtype_unet",
        "modules.infotext_utils": "infotext_to_setting_name_mapping",
        "modules.processing": "manage_model_and_prompt_cache need_global_unload",
        "modules.processing.StableDiffusionProcessing": "clear_prompt_cache",
        "modules.processing.StableDiffusionProcessingTxt2Img": "hr_additional_modules",
        "modules.scripts.PostprocessImageArgs": "__init__",
        "modules.sd_models": "checkpoints_loaded FakeInitialModel forge_model_reload match_checkpoint_to_name"
        " model_hash SdModelData",
        "modules.sd_models.FakeInitialModel": "get_prompt_lengths_on_ui",
        "modules.shared.cmd_opts": "text_encoder_dir",
        "modules.sysinfo": "get_config set_config",
        "modules.txt2img": "txt2img",
        "modules_forge.forge_version": "version",
        "modules_forge.initialization": "INITIALIZED initialize_forge",
        "modules_forge.main_entry": "bind_to_opts checkpoint_change find_files_with_extensions forge_main_entry"
        " forge_unet_storage_dtype_options make_checkpoint_manager_ui module_list modules_change on_preset_change"
        " refresh_memory_management_settings refresh_model_loading_parameters refresh_models total_vram ui_checkpoint"
        " ui_forge_preset ui_forge_unet_storage_dtype_options ui_vae",
        "modules_forge.main_thread": "async_run finished_list last_exception last_id lock loop run_and_wait_result"
        " Task waiting_list",
        "modules_forge.main_thread.Task": "work",
        "modules_forge.patch_basic": "build_loaded patch_all_basics",
        "modules_forge.shared": "diffusers_dir",
        "modules_forge.shared_options": "register",
        "modules_forge.utils": "apply_circular_forge",
        "backend.args": "dynamic_args",
        "backend.diffusion_engine.base.ForgeDiffusionEngine": "__init__ fix_for_webui_backward_compatibility"
        " get_first_stage_encoding get_prompt_lengths_on_ui is_webui_legacy_model",
        "backend.diffusion_engine.base.ForgeObjects": "__init__ shallow_copy",
        "backend.diffusion_engine.sd15.StableDiffusion": "__init__ decode_first_stage encode_first_stage"
        " get_learned_conditioning",
        "backend.loader": "forge_loader load_torch_file replace_state_dict split_state_dict",
        "backend.memory_management": "cpu current_inference_memory current_loaded_models dtype_size free_memory"
        " get_free_memory get_torch_device intermediate_device is_device_cpu load_model_gpu load_models_gpu"
        " minimum_inference_memory OOM_EXCEPTION soft_empty_cache text_encoder_device text_encoder_offload_device"
        " total_vram unet_dtype unload_all_models unload_model_clones VAE_ALWAYS_TILED vae_device vae_dtype"
        " vae_offload_device",
        "backend.memory_management.LoadedModel": "__init__ model_load model_unload",
        "backend.misc.checkpoint_pickle": "Empty load Unpickler",
        "backend.nn.vae.IntegratedAutoencoderKL": "decode encode process_in process_out",
        "backend.patcher.base.ModelPatcher": "__init__ clone forge_patch_model forge_unpatch_model is_clone model_size"
        " model_state_dict set_model_vae_decode_wrapper set_model_vae_encode_wrapper set_model_vae_regulation",
        "backend.patcher.vae.VAE": "__init__ clone decode decode_inner encode encode_inner",
        "backend.state_dict": "filter_state_dict_with_prefix load_state_dict state_dict_has try_filter_state_dict",
        "backend.utils": "load_torch_file",
    },
}
"""What is besides in a fork of A1111's WebUI, by the folder of its stand-in."""


def names_of(like: str | None = None) -> tuple[str, ...]:
    """The whole surface: A1111's, and what a fork has besides."""
    surfaces = (SURFACE, OF_FORKS[like] if like is not None else {})
    return tuple(
        f"{owner}.{name}" for surface in surfaces for owner, names in surface.items() for name in names.split()
    )


NAMES = names_of()


def fork_here() -> str | None:
    """Which one this process is; None for A1111's."""
    if _find("modules_forge.main_entry.modules_change") is not MISSING:
        return "forge"
    if _find("modules_forge.forge_util") is not MISSING:
        return "reforge"
    return None


def recorded() -> dict[str, str]:
    """The whole surface, in the process that this runs in."""
    return describe(names_of(fork_here()))


def main() -> None:
    """The stand-in's, as JSON; as argument, the folder of another one that goes before."""
    import json
    import tempfile

    from tests.host.disguise import become_the_webui

    like = sys.argv[1] if len(sys.argv) > 1 else None

    with tempfile.TemporaryDirectory() as folder:
        become_the_webui(["--data-dir", folder, "--port", "0", "--no-half"], like or "webui")
        initialize: Any = importlib.import_module("modules.initialize")
        initialize.imports()
        print(json.dumps(recorded(), indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
