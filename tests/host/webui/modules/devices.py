"""Imitates modules/devices.py for the one device that the stand-in has, the CPU."""

from __future__ import annotations

import contextlib

import torch

from modules import shared

cpu: torch.device = torch.device("cpu")
fp8: bool = False
device: torch.device | None = None
dtype: torch.dtype = torch.float16
dtype_vae: torch.dtype = torch.float16
dtype_inference: torch.dtype = torch.float16
force_fp16: bool = False
unet_needs_upcast = False


def get_optimal_device_name() -> str:
    return "cpu"


def get_optimal_device() -> torch.device:
    return torch.device(get_optimal_device_name())


def torch_gc() -> None:
    """Would free cached memory of a GPU."""


def autocast(disable: bool = False) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def without_autocast(disable: bool = False) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


class NansException(Exception):
    """A result that is not a number."""


def test_for_nans(x: torch.Tensor, where: str) -> None:
    """Looks at the first number only, as the WebUI does."""
    if shared.cmd_opts.disable_nan_check or not torch.isnan(x[(0,) * len(x.shape)]):
        return
    place = {"unet": " in Unet", "vae": " in VAE"}.get(where, "")
    raise NansException(
        f"A tensor with NaNs was produced{place}. Use --disable-nan-check commandline argument to disable this check."
    )
