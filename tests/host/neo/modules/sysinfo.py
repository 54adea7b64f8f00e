"""Imitates Neo's modules/sysinfo.py: what is set through the API, and by overrides, is of no preset."""

from __future__ import annotations

from typing import Any

from tests.host.layers import underneath

forge = underneath(globals())


def set_config(req: dict[str, Any], is_api: bool = False, run_callbacks: bool = True, save_config: bool = True) -> None:
    from modules import sd_models, shared
    from modules_forge import main_entry

    refresh = False
    for key, value in req.items():
        if value == shared.opts.data.get(key):
            continue
        if key == "sd_model_checkpoint":
            if value is not None and value not in sd_models.checkpoint_aliases:
                raise RuntimeError(f'Model "{value!r}" not found...')
            refresh |= main_entry.checkpoint_change(value, preset=None, save=False, refresh=False)
        if key == "forge_additional_modules":
            refresh |= main_entry.modules_change(value, preset=None, save=False, refresh=False)
        else:
            shared.opts.set(key, value, is_api=is_api, run_callbacks=run_callbacks)
    if refresh:
        main_entry.refresh_model_loading_parameters()
    if save_config:
        shared.opts.save(shared.config_filename)
