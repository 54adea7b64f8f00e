"""Which host this is, told by what it has and never by its folder's name."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from types import ModuleType

A1111_SURFACE = {
    "modules.sd_vae": ("load_vae", "load_vae_dict", "reload_vae_weights", "resolve_vae", "vae_dict", "loaded_vae_file"),
    "modules.sd_models": ("model_data",),
    "modules.call_queue": ("queue_lock",),
    "modules.script_callbacks": ("on_before_ui", "on_after_component", "on_model_loaded", "on_ui_tabs"),
    "modules.launch_utils": ("git_tag",),
}
"""What the A1111 adapter calls. A WebUI that lacks any of it is another one."""


FORGE_SURFACE = {
    "modules_forge.main_entry": ("module_list", "modules_change", "refresh_models", "refresh_model_loading_parameters"),
    "modules.sd_models": ("model_data", "forge_model_reload"),
    "modules.processing": ("forge_model_reload", "create_infotext", "decode_latent_batch", "need_global_unload"),
    "modules.call_queue": ("queue_lock",),
    "backend.memory_management": ("load_model_gpu",),
}
"""What the adapter of Forge calls."""


def plug_for_this_host() -> ModuleType:
    """The module whose `into_webui()` plugs the extension into the running WebUI."""
    return importlib.import_module(f"{__package__}.{_name()}.plug")


def _name() -> str:
    if importlib.util.find_spec("modules_forge") is None:
        return "a1111" if _has_all(A1111_SURFACE) else "unknown"
    # Forge has A1111's functions too, and they do nothing.
    return "forge" if _has_all(FORGE_SURFACE) else "unknown"


def _has_all(surface: Mapping[str, tuple[str, ...]]) -> bool:
    return all(_has(module, names) for module, names in surface.items())


def _has(module: str, names: tuple[str, ...]) -> bool:
    try:
        found = importlib.import_module(module)
    except ImportError:
        return False
    return all(hasattr(found, name) for name in names)
