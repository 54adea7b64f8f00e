"""Names that each adapter needs of its WebUI, and which adapter fits the WebUI that runs."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Mapping

Surface = Mapping[str, tuple[str, ...]]
"""Names by module."""

A1111_SURFACE: Surface = {
    "modules.sd_vae": ("load_vae", "load_vae_dict", "reload_vae_weights", "resolve_vae", "vae_dict", "loaded_vae_file"),
    "modules.sd_models": ("model_data",),
    "modules.call_queue": ("queue_lock",),
    "modules.script_callbacks": ("on_before_ui", "on_after_component", "on_model_loaded", "on_ui_tabs"),
    "modules.launch_utils": ("git_tag",),
}
"""Names that the A1111 adapter calls. A WebUI that lacks any of them is not A1111."""

REFORGE_SURFACE: Surface = {
    **A1111_SURFACE,
    "modules.sd_vae": (*A1111_SURFACE["modules.sd_vae"], "_normalize_vae_state_dict", "_load_vae_dict"),
    "modules.sd_models": ("model_data", "load_model"),
    "modules_forge.main_thread": ("run_and_wait_result",),
    "modules_forge.forge_util": ("apply_circular_forge",),
    "ldm_patched.modules.model_management": ("load_model_gpu",),
}
"""Names that the reForge adapter calls."""

FORGE_SURFACE: Surface = {
    "modules_forge.main_entry": ("module_list", "modules_change", "refresh_models", "refresh_model_loading_parameters"),
    "modules.sd_models": ("model_data", "forge_model_reload"),
    "modules.processing": ("forge_model_reload", "create_infotext", "decode_latent_batch", "need_global_unload"),
    "modules.call_queue": ("queue_lock",),
    "backend.memory_management": ("load_model_gpu",),
}
"""Names that the Forge adapter calls."""


def host_here() -> str:
    """The name of the folder with this WebUI's adapter."""
    if importlib.util.find_spec("modules_forge") is None:
        return "a1111" if _has(A1111_SURFACE) else "unknown"
    if importlib.util.find_spec("modules_forge.main_entry") is not None:  # there sd_vae's functions have no effect
        return "forge" if _has(FORGE_SURFACE) else "unknown"
    return "reforge" if _has(REFORGE_SURFACE) else "unknown"


def lacking_here() -> list[str]:
    """The names without which no adapter that resembles this WebUI can work."""
    if importlib.util.find_spec("modules_forge") is None:
        return list(_lacking(A1111_SURFACE))
    has_row = importlib.util.find_spec("modules_forge.main_entry") is not None
    return list(_lacking(FORGE_SURFACE if has_row else REFORGE_SURFACE))


def _has(surface: Surface) -> bool:
    return next(_lacking(surface), None) is None


def _lacking(surface: Surface) -> Iterator[str]:
    for module, names in surface.items():
        try:
            found = importlib.import_module(module)
        except ImportError:
            yield module
            continue
        yield from (f"{module}.{name}" for name in names if not hasattr(found, name))
