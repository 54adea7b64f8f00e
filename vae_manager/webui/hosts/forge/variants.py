"""In what Forge and Forge Neo differ, told at run time by what they have. Neo was read at version 2.26."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Sequence
from pathlib import Path

from modules_forge import main_entry

from .. import host_values
from ..common import options

OPTION = "forge_additional_modules"


def options_of_modules() -> Sequence[str]:
    """The options that hold the list of modules: Neo keeps one for each preset besides the common one, and its page
    begins with that (main_entry.py:345, presets.py:156)."""
    if not has_presets():
        return (OPTION,)
    preset = f"{OPTION}_{options.read('forge_preset', '')}"
    return (OPTION, preset) if host_values.has_option(preset) else (OPTION,)


def has_presets() -> bool:
    """Neo's row calls `modules_change` for a person alone, with the preset that is shown."""
    return "preset" in inspect.signature(main_entry.modules_change).parameters


def loads_video_vaes() -> bool:
    """Wan's and Qwen-Image's, whose convolutions go over time too."""
    return importlib.util.find_spec("backend.nn.wan_vae") is not None


def vae_folders() -> Sequence[Path]:
    return _folders("VAE", "vae_dir", "vae_dirs")


def encoder_folders() -> Sequence[Path]:
    return _folders("text_encoder", "text_encoder_dir", "text_encoder_dirs")


def _folders(name: str, flag: str, list_flag: str) -> list[Path]:
    """Forge has a flag for one more folder, Neo for many (main_entry.py refresh_models)."""
    more = [host_values.flag(flag), *(host_values.flag(list_flag) or [])]
    return [Path(host_values.models_path(), name).absolute(), *(Path(folder).absolute() for folder in more if folder)]
