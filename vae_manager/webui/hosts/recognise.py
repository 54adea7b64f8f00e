"""Which host this is, told by what it has and never by its folder's name."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

A1111_SURFACE = {
    "modules.sd_vae": ("load_vae", "load_vae_dict", "reload_vae_weights", "resolve_vae", "vae_dict", "loaded_vae_file"),
    "modules.sd_models": ("model_data",),
    "modules.call_queue": ("queue_lock",),
    "modules.script_callbacks": ("on_before_ui", "on_after_component", "on_model_loaded", "on_ui_tabs"),
    "modules.launch_utils": ("git_tag",),
}
"""What the A1111 adapter calls. A WebUI that lacks any of it is another one."""


def plug_for_this_host() -> ModuleType:
    """The module whose `into_webui()` plugs the extension into the running WebUI."""
    name = "a1111" if _is_a1111() else "unknown"
    return importlib.import_module(f"{__package__}.{name}.plug")


def _is_a1111() -> bool:
    if importlib.util.find_spec("modules_forge") is not None:  # Forge has the same functions, and they do nothing
        return False
    return all(_has(module, names) for module, names in A1111_SURFACE.items())


def _has(module: str, names: tuple[str, ...]) -> bool:
    try:
        found = importlib.import_module(module)
    except ImportError:
        return False
    return all(hasattr(found, name) for name in names)
