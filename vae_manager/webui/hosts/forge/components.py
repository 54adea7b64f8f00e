"""Components of a checkpoint on Forge: the files beside it, in the list of modules of each preset.

A list of modules holds VAEs and text encoders. Forge has one list; Forge Neo has one for each preset, and a common one
that holds the list of the preset on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modules import sd_models

from .. import host_values
from ..common import options
from . import detection, modules_list
from .detection import OPTION

if TYPE_CHECKING:
    from .adapter import Forge


def use(host: Forge, files: Sequence[Path], presets: Sequence[str]) -> None:
    """Put `files` into the list of now and into those of `presets`; the next picture is made with them.

    A VAE among them replaces the VAE of a list. Everything else in a list stays. Called under the queue lock. Raises
    RefusedError for a file that Forge's loader must not get, and DiskError.
    """
    paths = [str(path.absolute()) for path in files]
    now = _with(modules_list.chosen(), paths)
    for name in dict.fromkeys(_options_of(presets)):
        options.write(name, _with(_listed(name), paths))
    for name in detection.options_of_modules():
        options.write(name, now)
    data = sd_models.model_data
    if data.forge_loading_parameters:  # filled once the UI exists
        data.forge_loading_parameters = {**data.forge_loading_parameters, "additional_modules": now}
    host.vae.refusal = None


def _with(files: Sequence[str], more: Sequence[str]) -> list[str]:
    old, new = modules_list.sort_out(files), modules_list.sort_out(more)
    found = list(dict.fromkeys([*(new.vaes or old.vaes), *old.others, *new.others]))
    return sorted(found) if detection.has_presets() else found  # as each of the two does


def _listed(option: str) -> list[str]:
    value = options.read(option, [])
    return [str(path) for path in value] if isinstance(value, list) else []


def _options_of(presets: Sequence[str]) -> list[str]:
    """Return the options with the lists of these presets, on a Forge that has presets."""
    if not detection.has_presets():
        return []
    return [name for name in (f"{OPTION}_{preset}" for preset in presets) if host_values.has_option(name)]
