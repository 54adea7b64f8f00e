"""Imitates Forge's modules/devices.py: the types are `backend.memory_management`'s, and NaN is not looked for."""

from __future__ import annotations

import torch
from backend import memory_management

from tests.host.layers import underneath

webui = underneath(globals())

device: torch.device = memory_management.get_torch_device()
dtype: torch.dtype = torch.float32 if memory_management.unet_dtype() is torch.float32 else torch.float16
dtype_vae: torch.dtype = memory_management.vae_dtype()
dtype_unet: torch.dtype = memory_management.unet_dtype()
dtype_inference: torch.dtype = memory_management.unet_dtype()
del force_fp16  # noqa: F821  # the WebUI's


def test_for_nans(x: torch.Tensor, where: str) -> None:
    pass
