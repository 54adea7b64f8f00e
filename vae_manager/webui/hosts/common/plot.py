"""X/Y/Z plots over VAEs: a cell whose VAE is refused says so, and the other cells come.

The plot's script takes each cell by `process_images`. A cell that raises leaves a blank square; if it is the first one,
the whole plot is lost, since the script then reads prompts and seeds that this cell has not got yet (xyz_grid.py:720).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from ....errors import VaeManagerError
from .. import host_values
from .patching import Function, Patch

logger = logging.getLogger(__name__)

NEEDED = ("draw_xyz_grid", "process_images")
"""What the plot's script has, wherever a WebUI keeps it."""


def patches() -> Iterator[Patch]:
    """Those of the scripts that are loaded: none before the WebUI has loaded its scripts."""
    for module in _scripts():
        yield Patch(module, "process_images", _process_images)


def _scripts() -> Iterator[ModuleType]:
    known = set()
    for data in list(host_values.value("modules.scripts", "scripts_data", [])):
        module = getattr(data, "module", None)
        if module is not None and all(hasattr(module, name) for name in NEEDED) and id(module) not in known:
            known.add(id(module))
            yield module


def _process_images(host: Any, original: Function) -> Function:
    def process_images(p: Any) -> Any:
        try:
            return original(p)
        except VaeManagerError as error:
            logger.warning("%s", error.sentence)
            return _told(p, str(error.sentence))

    return process_images


def _told(p: Any, text: str) -> Any:
    """The result of a cell: a picture of the sentence, with the sentence for its infotext."""
    from ....compare.sheet import written_out

    if not p.all_prompts:
        p.setup_prompts()
    count = len(p.all_prompts)
    p.all_seeds, p.all_subseeds = (_numbers(given, count) for given in (p.seed, p.subseed))
    p.comment(text)
    picture = written_out(text, _size(p))
    return host_values.needed("modules.processing", "Processed")(p, [picture], p.all_seeds[0], text, infotexts=[text])


def _numbers(given: Any, count: int) -> list[int]:
    numbers = given if isinstance(given, list) else [given]
    return [int(number) for number in (numbers * count)[:count]]


def _size(p: Any) -> tuple[int, int]:
    """That of the pictures of the other cells."""
    if not getattr(p, "enable_hr", False):
        return p.width, p.height
    p.calculate_target_resolution()
    return p.hr_upscale_to_x, p.hr_upscale_to_y
