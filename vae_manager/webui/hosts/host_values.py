"""Values of a WebUI that not every version has: flags, options, modules and components, each with a default.

This is the one module that reads them, so that a missing name is never an AttributeError in the middle of the start.
`needed` reads a value that a function of the adapter cannot do without, and names it in its error. The module also has
each adapter's surface (the names that it calls), the permissions of actions, and the state of the VAE in use.
"""

from __future__ import annotations

import enum
import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ...messages import Message

if TYPE_CHECKING:
    from ...files import Identity


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
    """Return the name of the folder with this WebUI's adapter."""
    if importlib.util.find_spec("modules_forge") is None:
        return "a1111" if _has(A1111_SURFACE) else "unknown"
    if importlib.util.find_spec("modules_forge.main_entry") is not None:  # there sd_vae's functions have no effect
        return "forge" if _has(FORGE_SURFACE) else "unknown"
    return "reforge" if _has(REFORGE_SURFACE) else "unknown"


def lacking_here() -> list[str]:
    """Return the names without which no adapter that resembles this WebUI can work."""
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


def module(name: str) -> ModuleType | None:
    """Return a module of the WebUI; None if it is missing or cannot be imported."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def value(owner: str, name: str, default: Any = None) -> Any:
    """Return an attribute of a module of the WebUI."""
    return getattr(module(owner), name, default)


def needed(owner: str, name: str) -> Any:
    """Read as `value`, without a default. Raises AttributeError, which names both."""
    return getattr(importlib.import_module(owner), name)


NO_GUARDS = "vae_manager_no_guards"
"""Flag of the extension that keeps the guards off."""


# -- flags -------------------------------------------------------------------------------------------------------------
def flag(name: str, default: Any = None) -> Any:
    """Return a flag that the WebUI was started with."""
    return getattr(value("modules.shared", "cmd_opts"), name, default)


def flags() -> Any:
    """Return all flags that the WebUI was started with; any of them may be missing."""
    return value("modules.shared", "cmd_opts")


# -- options -----------------------------------------------------------------------------------------------------------
def option(name: str, default: Any) -> Any:
    """Return the option's value; `default` before its registration: the model loads before settings are."""
    opts = value("modules.shared", "opts")
    stored = getattr(opts, "data", {})
    if name in stored:
        return stored[name]
    info = getattr(opts, "data_labels", {}).get(name)
    return info.default if info is not None else default


def has_option(name: str) -> bool:
    """Return True if the WebUI, or an extension, has registered an option of this name."""
    return name in getattr(value("modules.shared", "opts"), "data_labels", {})


def option_info(name: str) -> Any:
    """Return the option's registration; None if it was not registered."""
    return getattr(value("modules.shared", "opts"), "data_labels", {}).get(name)


def preset_option(name: str, initial: Any) -> None:
    """Set an option of the WebUI to `initial` in the configuration, unless it is there already."""
    stored = getattr(value("modules.shared", "opts"), "data", None)
    if stored is not None:
        stored.setdefault(name, initial)


# -- folders -----------------------------------------------------------------------------------------------------------
def data_path() -> Path:
    """Return the WebUI's data folder; by default the folder in which it runs."""
    for owner in ("modules.paths", "modules.shared", "modules.paths_internal"):
        found = value(owner, "data_path")
        if found:
            return Path(found)
    return Path(flag("data_dir") or Path.cwd())


def models_path() -> Path:
    """Return the folder of all models (`--models-dir`); `models` in the data folder if the WebUI names no other."""
    for owner in ("modules.paths", "modules.shared", "modules.paths_internal"):
        found = value(owner, "models_path")
        if found:
            return Path(found)
    return data_path() / "models"


# -- state of the WebUI ------------------------------------------------------------------------------------------------
def state(name: str, default: Any) -> Any:
    """Return a field of the WebUI's state of the running job."""
    return getattr(value("modules.shared", "state"), name, default)


def component(name: str) -> Any:
    """Return a component of the row that Forge shows at the top of each page; None before it is built."""
    return value("modules_forge.main_entry", name)


class Permission(enum.Enum):
    """A kind of action; flags of the WebUI can forbid each."""

    CHOOSE = "choose"
    CHOOSE_FOR_TAB = "choose for tab"
    PREFER = "prefer"
    """Write the preference of a checkpoint into its metadata, a file beside it."""
    GET = "get"
    CHANGE_SOURCES = "change sources"
    """Set the endpoint, or fetch files that the catalogue does not offer."""
    CHANGE_FILES = "change files"
    """Rename, move, delete or convert a file of the VAE folders."""
    ADOPT_FILES = "adopt files"
    """Take a file from anywhere on this machine into a VAE folder."""
    CHANGE_QUICK_SETTINGS = "change quick settings"
    RELOAD_PAGE = "reload page"
    MANAGE_DOWNLOADS = "manage downloads"
    """Pause, reorder, cancel, discard or continue a download."""
    ACCEPT_TERMS = "accept terms"
    """Accept the terms of a licence, for all who use this WebUI."""
    CHECK_FILES = "check files"
    """Verify files, look for duplicates, and stop such work."""


OWNERS = frozenset({Permission.MANAGE_DOWNLOADS, Permission.ACCEPT_TERMS, Permission.CHECK_FILES})
"""Permissions of the person at the WebUI's own machine. A shared WebUI refuses them to all others."""


@dataclass(frozen=True)
class InUse:
    """The actual VAE in the loaded model, in contrast to the requested one."""

    checkpoint: str | None
    """The loaded checkpoint's name; None while no model is loaded."""
    family: str | None
    """The checkpoint's family (`sd1`, `sdxl`, …), if the host provides it."""
    path: str | None
    """The VAE file whose weights are in the model; None means the checkpoint's own."""
    dtype: str | None
    """`fp32`, `fp16`, `bf16`."""
    checkpoint_file: str | None = None
    """Path of the loaded checkpoint."""
    decoded_by_taesd: bool = False
    """The WebUI is set to decode with TAESD: the chosen VAE does not decode at all."""
    overridden: bool = False
    """A picture is being made with a VAE of its own (this tab only, X/Y/Z, a request): the choice returns
    afterwards."""
    identity: Identity | None = None
    """The identity of the file at the time that the weights were read; None if it is unknown."""
    swap: Swap | None = None
    """The swap that put it in, if one has been made since the checkpoint was loaded."""
    coming: str | None = None
    """The checkpoint that the host loads with the next picture, while no checkpoint is loaded."""
    notice: Message | None = None
    """A notice about the VAE in use, or about the request of the last picture."""
    refusal: Refusal | None = None
    """The VAE that was requested last and is not in use, until another choice is made or it goes in after all."""
    ignored: tuple[Ignored, ...] = ()
    """Files that are chosen beside the VAE and that the WebUI does not get."""


@dataclass(frozen=True)
class Refusal:
    """A VAE that the setting requested, and the reason why it is not in use."""

    path: str
    message: Message
    serial: int
    """A number that differs for each request."""


@dataclass(frozen=True)
class Ignored:
    """A file that is chosen and not used, and the reason."""

    name: str
    message: Message


@dataclass(frozen=True)
class Swap:
    """A record of the last exchange of the VAE in the model."""

    path: str | None
    seconds: float
    from_memory: bool
