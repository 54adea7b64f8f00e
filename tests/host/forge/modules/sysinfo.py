"""Imitates Forge's modules/sysinfo.py: options set by the API, by overrides and by what restores them."""

from __future__ import annotations

from typing import Any


def get_config() -> dict[str, Any]:
    from modules import shared

    data: dict[str, Any] = shared.opts.data
    return data


def set_config(req: dict[str, Any], is_api: bool = False, run_callbacks: bool = True, save_config: bool = True) -> None:
    """Checkpoint, modules and memory go through `main_entry`, and only one refresh follows."""
    from modules import sd_models, shared
    from modules_forge import main_entry

    refresh = False
    memory_changes = {}
    for key, value in req.items():
        if value == shared.opts.data.get(key):
            continue
        if key == "sd_model_checkpoint":
            if value is not None and value not in sd_models.checkpoint_aliases:
                raise RuntimeError(f"model {value!r} not found")
            refresh |= main_entry.checkpoint_change(value, save=False, refresh=False)
        elif key == "forge_additional_modules":
            refresh |= main_entry.modules_change(value, save=False, refresh=False)
        elif key in ("forge_inference_memory", "forge_async_loading", "forge_pin_shared_memory"):
            memory_changes[key.removeprefix("forge_")] = value
        else:
            shared.opts.set(key, value, is_api=is_api, run_callbacks=run_callbacks)
    if memory_changes:
        main_entry.refresh_memory_management_settings(**memory_changes)
        refresh = True
    if refresh:
        main_entry.refresh_model_loading_parameters()
    if save_config:
        shared.opts.save(shared.config_filename)
