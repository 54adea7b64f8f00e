"""Values of a WebUI that not every version has, each with a default: flags, options, modules, components.

The one place that reads them, so that a name which a WebUI lacks is never an AttributeError in the middle of its start.
`needed` reads a value that a function of the adapter cannot do without, and names it in its error.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any


def module(name: str) -> ModuleType | None:
    """A module of the WebUI; None if it is missing or cannot be imported."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def value(owner: str, name: str, default: Any = None) -> Any:
    """An attribute of a module of the WebUI."""
    return getattr(module(owner), name, default)


def needed(owner: str, name: str) -> Any:
    """Read as `value`, without a default. Raises AttributeError, which names both."""
    return getattr(importlib.import_module(owner), name)


# -- flags -------------------------------------------------------------------------------------------------------------
def flag(name: str, default: Any = None) -> Any:
    """A flag that the WebUI was started with."""
    return getattr(value("modules.shared", "cmd_opts"), name, default)


def flags() -> Any:
    """All flags that the WebUI was started with; any of them may be missing."""
    return value("modules.shared", "cmd_opts")


# -- options -----------------------------------------------------------------------------------------------------------
def option(name: str, default: Any) -> Any:
    """The option's value; `default` if the option is not registered (yet): the model loads before settings are."""
    opts = value("modules.shared", "opts")
    stored = getattr(opts, "data", {})
    if name in stored:
        return stored[name]
    info = getattr(opts, "data_labels", {}).get(name)
    return info.default if info is not None else default


def has_option(name: str) -> bool:
    """The WebUI, or an extension, has registered an option of this name."""
    return name in getattr(value("modules.shared", "opts"), "data_labels", {})


def option_info(name: str) -> Any:
    """The option's registration; None if it was not registered."""
    return getattr(value("modules.shared", "opts"), "data_labels", {}).get(name)


def preset_option(name: str, initial: Any) -> None:
    """Let the configuration hold `initial` for an option of the WebUI that it does not hold yet."""
    stored = getattr(value("modules.shared", "opts"), "data", None)
    if stored is not None:
        stored.setdefault(name, initial)


# -- places ------------------------------------------------------------------------------------------------------------
def data_path() -> Path:
    """The WebUI's data folder; by default the folder in which it runs."""
    for owner in ("modules.paths", "modules.shared", "modules.paths_internal"):
        found = value(owner, "data_path")
        if found:
            return Path(found)
    return Path(flag("data_dir") or Path.cwd())


def models_path() -> Path:
    for owner in ("modules.paths", "modules.shared", "modules.paths_internal"):
        found = value(owner, "models_path")
        if found:
            return Path(found)
    return data_path() / "models"


# -- what the WebUI does now -------------------------------------------------------------------------------------------
def state(name: str, default: Any) -> Any:
    """A field of the WebUI's state of the job that runs."""
    return getattr(value("modules.shared", "state"), name, default)


def component(name: str) -> Any:
    """A component of the row that Forge shows at the top of each page; None before it is built."""
    return value("modules_forge.main_entry", name)
