"""As modules/devices.py of reForge, which looks for no NaN."""

from __future__ import annotations

from typing import Any

import torch

from tests.host.layers import underneath

underneath(globals())

dtype_vae: torch.dtype = torch.float32
del force_fp16  # noqa: F821


def test_for_nans(x: Any, where: str) -> None:
    pass
