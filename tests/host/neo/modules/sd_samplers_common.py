"""Imitates Neo's modules/sd_samplers_common.py: a refiner is a reload that is of no preset."""

from __future__ import annotations

from typing import Any

from modules import sd_models, shared
from modules_forge import main_entry

from tests.host.layers import underneath

forge = underneath(globals())


def load_refiner(refiner: Any) -> None:
    before = shared.opts.sd_model_checkpoint
    if main_entry.checkpoint_change(refiner.short_title, preset=None, save=False, refresh=False):
        try:
            main_entry.refresh_model_loading_parameters()
            sd_models.forge_model_reload()
        finally:
            main_entry.checkpoint_change(before, preset=None, save=False, refresh=True)
