"""Components of a checkpoint on Forge: the files beside it, in the list of modules of each preset.

A list of modules holds VAEs and text encoders. Forge has one list; Forge Neo has one for each preset, and a common one
that holds the list of the preset on the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modules import sd_models

from ....errors import RefusedError
from ....messages import msg
from .. import host_values
from ..common import options
from . import detection, modules_list
from .detection import OPTION, plain_path

if TYPE_CHECKING:
    from .adapter import Forge


def lists(presets: Sequence[str]) -> dict[str, Sequence[Path]]:
    """Return the list in force, and those of these presets, by their options.

    The preset that is shown may be none of them. Its list is among them, since the next page brings it into force, but
    not if it has a VAE: that one is for the preset's own checkpoints.
    """
    names = dict.fromkeys([OPTION, *_options_of(presets)])
    shown = [name for name in detection.options_of_modules() if name not in names]
    names.update(dict.fromkeys(name for name in shown if not modules_list.sort_out(modules_list.chosen(name)).vaes))
    found = {name: modules_list.chosen(name) for name in names}
    return {name: [Path(path) for path in files] for name, files in found.items()}


def use(host: Forge, wanted: Mapping[str, Sequence[Path]]) -> None:
    """Put files into the lists; the next picture is made with those of the list in force.

    Called under the queue lock. Raises RefusedError before any change, or DiskError.
    """
    for path in {path for files in wanted.values() for path in files}:
        _must_be_listed(path)
    new = {name: _with(modules_list.chosen(name), files) for name, files in wanted.items()}
    for name, paths in new.items():
        options.write(name, paths)
    data = sd_models.model_data
    if data.forge_loading_parameters and OPTION in new:  # filled once the UI exists
        data.forge_loading_parameters = {**data.forge_loading_parameters, "additional_modules": new[OPTION]}
    host.vae.refusal = None


def _must_be_listed(path: Path) -> None:
    """Raise RefusedError if the WebUI lists another file of this base name: its page would choose that one."""
    listed = modules_list.found(path.name)
    if listed is not None and plain_path(listed) != plain_path(path):
        raise RefusedError(
            msg(
                "{file} is there twice under one name, and the WebUI lists the other one: {path}. Rename one of them.",
                code="listed-twice",
                file=path.name,
                path=listed,
            )
        )


def _with(files: Sequence[str], more: Sequence[Path]) -> list[str]:
    """Return a list with `more`: a VAE replaces that of the list, everything else stays."""
    old, new = modules_list.sort_out(files), modules_list.sort_out(str(plain_path(path)) for path in more)
    found = list(dict.fromkeys([*(new.vaes or old.vaes), *old.others, *new.others]))
    return sorted(found) if detection.has_presets() else found  # as each of the two does


def _options_of(presets: Sequence[str]) -> list[str]:
    """Return the options with the lists of these presets, on a Forge that has presets."""
    if not detection.has_presets():
        return []
    return [name for name in (f"{OPTION}_{preset}" for preset in presets) if host_values.has_option(name)]
