"""Imitates Neo's modules/sd_models.py: after a load that failed a stand-in is the model again, and the next one begins.

A1111's and Forge's functions that load by another way are not there.
"""

from __future__ import annotations

from typing import Any

import torch

from tests.host.layers import underneath

forge = underneath(globals())
for _name in ("load_model", "reload_model_weights", "read_state_dict"):
    globals().pop(_name, None)


@torch.inference_mode()
def forge_model_reload() -> tuple[Any, bool]:
    try:
        loaded: tuple[Any, bool] = forge.forge_model_reload()
    except Exception:
        forge.model_data.sd_model = forge.FakeInitialModel()
        forge.model_data.forge_hash = ""
        raise
    return loaded
