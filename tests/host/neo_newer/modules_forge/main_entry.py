"""Imitates the main_entry.py of a Neo newer than 2.26: the row shows paths below the folders.

What is wrong there and here: a module of the preset whose file has gone is a KeyError at each load of a page.
"""

from __future__ import annotations

import os

from modules import paths, shared, shared_items

from tests.host.layers import underneath

neo = underneath(globals())

module_list: dict[str, str] = neo.module_list
module_map: dict[str, str] = {}
"""Base name -> path below its folder."""


def refresh_models() -> tuple[list[str], list[str]]:
    shared_items.refresh_checkpoints()
    checkpoints = shared_items.list_checkpoint_tiles(shared.opts.sd_checkpoint_dropdown_use_short)
    module_list.clear()
    module_map.clear()
    folders = {
        os.path.abspath(os.path.join(paths.models_path, "VAE")),  # noqa: PTH100, PTH118
        os.path.abspath(os.path.join(paths.models_path, "text_encoder")),  # noqa: PTH100, PTH118
        *shared.cmd_opts.vae_dirs,
        *shared.cmd_opts.text_encoder_dirs,
    }
    for folder in folders:
        files = neo.find_files_with_extensions(folder, neo.ENDINGS)
        module_list.update(files)
        for file, path in files.items():
            module_map[file] = os.path.normpath(os.path.relpath(path, folder))
    if shared.opts.sd_modules_dropdown_use_short:
        return sorted(checkpoints), sorted(module_list)
    return sorted(checkpoints), sorted(module_map.values())


def shown_modules(modules: list[str]) -> list[str]:
    names: list[str] = neo.shown_modules(modules)
    return names if shared.opts.sd_modules_dropdown_use_short else [module_map[name] for name in names]
